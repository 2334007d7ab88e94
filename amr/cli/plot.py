"""``amr plot``: figures, and a page to listen to."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amr.cli import options
from amr.cli.messages import warn
from amr.errors import InputError, UsageError

if TYPE_CHECKING:
    from amr.formats.notices import Notices
    from amr.report.records import Case

LOG_ENDING = ".log.jsonl"
FIGURE_COLUMNS, FIGURE_BANDS = 900, 96


class FigureKind(str, Enum):
    """What a figure shows."""

    MOMENTS = "moments"
    TRAINING = "training"
    IOU = "iou"
    LENGTH = "length"
    RELIABILITY = "reliability"
    COMPARE = "compare"


class Picture(str, Enum):
    """How a recording is drawn."""

    SPECTROGRAM = "spectrogram"
    WAVEFORM = "waveform"


class ImageKind(str, Enum):
    """File forms of a figure."""

    PNG = "png"
    SVG = "svg"


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
    ] = FigureKind.MOMENTS,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write a page of all queries to listen to.")
    ] = None,
    truth: Annotated[str | None, typer.Option(metavar="FILE", help="Annotations (JSONL).")] = None,
    audio: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE", help="The recordings: files, folders; may be repeated."),
    ] = None,
    qid: Annotated[str | None, typer.Option(help="moments: the query to draw.")] = None,
    picture: Annotated[Picture, typer.Option(help="moments: how the sound is drawn.")] = Picture.SPECTROGRAM,
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
    from amr.formats.notices import Notices

    del verbose  # read by the command's own error report
    notices = Notices()
    require_fitting(figure, html, inputs, truth)
    if html is not None:
        cases = read_cases(inputs[0], truth, notices)[:limit]
        write_page(cases, html, audio, title or Path(inputs[0]).name, spectrograms, embed, force, quiet)
    elif figure is FigureKind.MOMENTS and output is None and sys.stdout.isatty():
        show_in_characters(read_cases(inputs[0], truth, notices), qid, limit)
    else:
        write_figure(figure, inputs, truth, audio, qid, picture, iou, image, output, force, notices)
    warn("plot", notices.lines(), quiet=quiet)


def require_fitting(figure: FigureKind, html: str | None, inputs: list[str], truth: str | None) -> None:
    """Refuse options that do not go together, before anything is read."""
    scores = (FigureKind.IOU, FigureKind.LENGTH, FigureKind.RELIABILITY, FigureKind.COMPARE)
    several = (FigureKind.IOU, FigureKind.LENGTH, FigureKind.COMPARE)
    if html is not None and figure is not FigureKind.MOMENTS:
        raise UsageError("a page shows moments and nothing else", where="--html")
    if figure in scores and truth is None:
        raise UsageError(f"the figure {figure.value!r} needs the ground truth", where="--truth")
    if len(inputs) > 1 and figure not in several:
        what = "a page" if html is not None else f"the figure {figure.value!r}"
        raise UsageError(f"{what} is made of one file, {len(inputs)} are given", where="INPUT")
    if figure is FigureKind.COMPARE and len(inputs) < 2:
        raise UsageError("a comparison needs two files or more", where="INPUT")


def read_cases(source: str, truth: str | None, notices: Notices) -> list[Case]:
    """Predictions with their truth."""
    from amr.formats.annotations import read_annotations
    from amr.formats.predictions import read_predictions
    from amr.report.records import match_cases

    annotations = read_annotations(truth, notices) if truth is not None else []
    return match_cases(read_predictions(source), annotations, notices)


def choose_case(cases: list[Case], qid: str | None) -> Case:
    """The case that is drawn: the only one, or the one asked for."""
    chosen = [case for case in cases if qid is None or str(case.qid) == qid]
    if len(chosen) == 1:
        return chosen[0]
    shown = ", ".join(str(case.qid) for case in (chosen or cases)[:5])
    if chosen and qid is None:
        raise UsageError(
            f"the file answers {len(cases)} queries, a figure shows one of them: {shown}, ...",
            where="--qid",
            hint="name one with --qid, or see all of them with --html page.html",
        )
    found = f"{len(chosen)} times" if chosen else "not"
    raise InputError(f"{qid!r} is {found} in the file, which has: {shown}", where="--qid")


def show_in_characters(cases: list[Case], qid: str | None, limit: int | None) -> None:
    """The picture-free picture: lines of characters, as wide as the terminal."""
    import shutil

    from amr.report.text_figure import text_figure

    chosen = [case for case in cases if qid is None or str(case.qid) == qid][:limit]
    if not chosen:
        choose_case(cases, qid)
    width = shutil.get_terminal_size().columns
    for number, case in enumerate(chosen):
        lines = [""] * bool(number) + text_figure(case, width)
        print("\n".join(lines))  # noqa: T201  # the product


def write_page(
    cases: list[Case],
    target: str,
    audio: list[str] | None,
    title: str,
    spectrograms: bool,
    embed: int,
    force: bool,
    quiet: bool,
) -> None:
    """Build the page and write it."""
    from amr.formats.streams import STDIO, open_text_output, require_writable
    from amr.report.page import build_page
    from amr.report.page_sound import SoundOptions, page_recordings
    from amr.report.sound import find_recordings

    if embed and not audio:
        raise UsageError("there is nothing to embed without --audio", where="--embed")
    require_writable(target, force=force)
    folder = Path() if target == STDIO else Path(target).parent
    files = find_recordings(audio or [])
    vids = {case.vid for case in cases}
    if audio and not quiet and (silent := len(vids - set(files))):
        warn("plot", [f"{silent} of {len(vids)} recordings are not among --audio and will be silent"])
    with progress(len(vids & set(files)), quiet) as on_progress:
        recordings = page_recordings(
            cases, files, SoundOptions(folder=folder, images=spectrograms, embed=embed), on_progress
        )
    page = build_page(cases, recordings, title=title, embedded=bool(embed))
    with open_text_output(target, force=force) as file:
        file.write(page)


def progress(total: int, quiet: bool) -> Any:
    """A bar on stderr at a terminal; nothing otherwise."""
    from collections.abc import Callable, Iterator
    from contextlib import contextmanager

    @contextmanager
    def bar() -> Iterator[Callable[[], None]]:
        if quiet or not sys.stderr.isatty():
            yield lambda: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(
            console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
        ) as shown:
            task = shown.add_task("drawing recordings", total=total)
            yield lambda: shown.advance(task)

    return bar()


def write_figure(
    kind: FigureKind,
    inputs: list[str],
    truth: str | None,
    audio: list[str] | None,
    qid: str | None,
    picture: Picture,
    iou: float,
    image: ImageKind | None,
    output: Path | None,
    force: bool,
    notices: Notices,
) -> None:
    """Draw one figure into a file or a pipe."""
    from amr.formats.streams import STDIO, open_output, require_writable
    from amr.report.canvas import require_matplotlib, save, style

    require_matplotlib()
    form = image_form(image, output)
    target = str(output) if output is not None else STDIO
    require_writable(target, force=force)
    with style():
        if kind is FigureKind.MOMENTS:
            drawn = draw_moments(choose_case(read_cases(inputs[0], truth, notices), qid), audio, picture)
        elif kind is FigureKind.TRAINING:
            drawn = draw_training(inputs[0])
        else:
            drawn = draw_scores(kind, inputs, truth or "", iou, notices)
        with open_output(target, force=force) as file:
            save(drawn, file, form)


def image_form(image: ImageKind | None, output: Path | None) -> str:
    """``png`` or ``svg``.

    Raises:
        UsageError: the ending of the output is another, or a picture would be poured into a terminal.
    """
    ending = output.suffix.lower().removeprefix(".") if output is not None else ""
    if image is not None:
        return image.value
    if output is None or str(output) == "-":
        if sys.stdout.isatty():
            raise UsageError("a picture cannot be shown at a terminal", where="-o", hint="-o figure.png")
        return ImageKind.PNG.value
    if ending not in [kind.value for kind in ImageKind]:
        raise UsageError(
            f"{output.name!r} does not end in .png or .svg",
            where="-o",
            hint="name the form with --image png|svg",
        )
    return ending


def draw_moments(case: Case, audio: list[str] | None, picture: Picture) -> Any:
    """The figure of one query, with its recording where ``--audio`` has it."""
    from amr.report.moments_figure import moments_figure
    from amr.report.overview import overview
    from amr.report.sound import find_recordings

    sound = None
    if audio:
        files = find_recordings(audio)
        if case.vid not in files:
            here = ", ".join(list(files)[:3])
            raise InputError(f"the recording {case.vid!r} is not there; there are: {here}", where="--audio")
        sound = overview(files[case.vid], columns=FIGURE_COLUMNS, bands=FIGURE_BANDS)
    return moments_figure(case, sound, picture=picture.value)


def find_log(source: str) -> str:
    """The log that is meant: of a model, the only one of a folder, or the file itself."""
    path = Path(source)
    if path.is_dir():
        logs = sorted(str(log) for log in path.glob(f"*{LOG_ENDING}"))
        if len(logs) != 1:
            found = f"{len(logs)} logs ({', '.join(logs[:3])})" if logs else "no log"
            raise InputError(
                f"holds {found}, expected one *{LOG_ENDING}", where=source, hint="name the log itself"
            )
        return logs[0]
    beside = source + LOG_ENDING
    return beside if Path(beside).exists() else source


def draw_training(source: str) -> Any:
    """The curves of a run's log."""
    from amr.formats.jsonl import read_objects
    from amr.report.training_figure import training_figure

    log = find_log(source)
    drawn = training_figure([record for _, record in read_objects(log)])
    if drawn is None:
        raise InputError("holds no loss, score or learning rate to draw", where=log)
    return drawn


def draw_scores(kind: FigureKind, inputs: list[str], truth: str, iou: float, notices: Notices) -> Any:
    """The figures that compare predictions with the truth."""
    from amr.formats.annotations import read_annotations
    from amr.formats.predictions import read_predictions
    from amr.report import score_figures
    from amr.report.results import judge, judge_by_length

    annotations = read_annotations(truth, notices)
    systems = [(Path(source).stem, read_predictions(source)) for source in inputs]
    if kind is FigureKind.LENGTH:
        return score_figures.length_figure(judge_by_length(systems, annotations, notices), iou=iou)
    results = [judge(name, answers, annotations, notices) for name, answers in systems]
    if not len(results[0].top_iou):
        raise InputError("holds no moment to judge by", where=truth)
    if kind is FigureKind.IOU:
        return score_figures.iou_figure(results)
    if kind is FigureKind.RELIABILITY:
        return score_figures.reliability_figure(results[0], iou=iou)
    return score_figures.comparison_figure(results, iou=iou)
