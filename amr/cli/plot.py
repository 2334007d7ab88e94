"""``amr plot``: figures, and a page to listen to."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from amr.cli import options
from amr.errors import UsageError

if TYPE_CHECKING:
    from amr.tasks.callbacks import OnProgress, Progress

FigureKind = Literal["moments", "training", "iou", "length", "reliability", "compare"]
Picture = Literal["spectrogram", "waveform"]
ImageKind = Literal["png", "svg"]


def plot(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Predictions (JSONL); to draw training: a model or its log. '-' is standard input.",
            show_default=False,
        ),
    ],
    figure: Annotated[
        FigureKind,
        typer.Option(help="What to draw; all but moments and training need --truth."),
    ] = "moments",
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write a page of all queries to listen to.")
    ] = None,
    truth: Annotated[str | None, typer.Option(metavar="FILE", help="Annotations (JSONL).")] = None,
    audio: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE", help="The recordings: files, folders; may be repeated."),
    ] = None,
    qid: Annotated[str | None, typer.Option(help="moments: the query to draw.")] = None,
    picture: Annotated[Picture, typer.Option(help="moments: how the sound is drawn.")] = "spectrogram",
    iou: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="length, reliability, compare: IoU of a right answer.")
    ] = 0.7,
    image: Annotated[
        ImageKind | None, typer.Option(help="File form; default: the ending of -o, else png.")
    ] = None,
    embed: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="--html: embed the N best and all true moments instead of linking files."
        ),
    ] = 0,
    spectrograms: Annotated[
        bool, typer.Option("--spectrograms/--no-spectrograms", help="--html: draw every recording.")
    ] = True,
    title: Annotated[str | None, typer.Option(help="--html: the page's title.")] = None,
    limit: options.Limit = None,
    output: options.Output = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw predictions, scores and training runs; make a page that plays the moments.

    \b
    amr plot preds.jsonl --truth gt.jsonl --audio audio/ --html report.html
    amr plot preds.jsonl --audio audio/ --qid street_1 -o street.png
    amr plot a.jsonl b.jsonl --truth gt.jsonl --figure compare -o compare.svg
    amr plot model.safetensors --figure training -o training.png

    Figures need the extra 'plot'; the page and, at a terminal, a picture in characters do not.
    """
    from amr.tasks.plot import draw_moments, draw_scores, draw_text, draw_training, write_figure, write_page

    del verbose  # read by the command's own error report
    require_fitting(figure, html, inputs, truth)
    source, places = inputs[0], audio or []
    if html is not None:
        if embed and not audio:
            raise UsageError("there is nothing to embed without --audio", where="--embed")
        with drawing_bar(quiet) as on_progress:
            write_page(
                source,
                html,
                truth=truth,
                audio=places,
                title=title,
                limit=limit,
                spectrograms=spectrograms,
                embed=embed,
                force=force,
                on_progress=on_progress,
            )
        return
    draw: Callable[[], Any] = partial(draw_scores, figure, inputs, truth or "", iou=iou)
    if figure == "moments" and output is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        for number, lines in enumerate(draw_text(source, truth=truth, qid=qid, limit=limit, width=width)):
            print("\n".join([""] * bool(number) + lines))  # noqa: T201  # the product
        return
    if figure == "moments":
        draw = partial(draw_moments, source, truth=truth, qid=qid, audio=places, picture=picture)
    elif figure == "training":
        draw = partial(draw_training, source)
    write_figure(draw, output or "-", image or image_form(output), force=force)


def require_fitting(figure: FigureKind, html: str | None, inputs: list[str], truth: str | None) -> None:
    """Refuse options that do not go together, before anything is read."""
    if html is not None and figure != "moments":
        raise UsageError("a page shows moments only", where="--html")
    if figure not in ("moments", "training") and truth is None:
        raise UsageError(f"the figure {figure!r} needs the ground truth", where="--truth")
    if len(inputs) > 1 and figure not in ("iou", "length", "compare"):
        what = "a page" if html is not None else f"the figure {figure!r}"
        raise UsageError(f"{what} is made of one file, {len(inputs)} are given", where="INPUT")
    if figure == "compare" and len(inputs) < 2:
        raise UsageError("a comparison needs two files or more", where="INPUT")


def image_form(output: Path | None) -> str:
    """``png`` or ``svg``, by the ending of the output.

    Raises:
        UsageError: the ending is another, or a picture would be poured into a terminal.
    """
    if output is None or str(output) == "-":
        if sys.stdout.isatty():
            raise UsageError("a picture cannot be shown at a terminal", where="-o", hint="-o figure.png")
        return "png"
    ending = output.suffix.lower().removeprefix(".")
    if ending not in ("png", "svg"):
        raise UsageError(
            f"{output.name!r} does not end in .png or .svg",
            where="-o",
            hint="name the form with --image png|svg",
        )
    return ending


@contextmanager
def drawing_bar(quiet: bool) -> Iterator[OnProgress]:
    """A bar on stderr at a terminal; nothing otherwise."""
    from amr.tasks.callbacks import ignore_progress

    if quiet or not sys.stderr.isatty():
        yield ignore_progress
        return
    from rich import progress
    from rich.console import Console

    with progress.Progress(
        console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task("drawing recordings")

        def show(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.total)

        yield show
