"""``amr convert``: moments into the forms of other tools and back, clips, submission packages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from amr.cli import options
from amr.cli.tables import is_terminal
from amr.errors import UsageError, printable

if TYPE_CHECKING:
    from amr.tasks.convert import MomentFiles

InputForm = Literal["jsonl", "audacity", "csv", "rttm", "jams"]
OutputForm = Literal["predictions", "annotations", "audacity", "raven", "csv", "rttm", "jams"]
ClipForm = Literal["wav", "flac", "ogg", "mp3"]


def convert(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help="Predictions or annotations (JSONL), Audacity labels (.txt), .csv, .tsv, .rttm, .jams; '-'.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[OutputForm | None, typer.Option("--to", help="The form that goes out.")] = None,
    from_: Annotated[
        InputForm | None,
        typer.Option("--from", help="The form that comes in; default: by the file's ending."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="audacity, raven, jams: write a file for each recording here."
        ),
    ] = None,
    clips: Annotated[
        Path | None, typer.Option("--clips", metavar="DIR", help="Cut every moment out as a sound file here.")
    ] = None,
    clip_form: Annotated[
        ClipForm, typer.Option("--clip-form", help="--clips: the sound files' form.")
    ] = "wav",
    context: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="--clips: sound around each moment.")
    ] = 0.0,
    audio: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE", help="The recordings, for clips and for lengths; may be repeated."),
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Take ids and lengths from this JSONL, by recording and query: labels that "
            "were exported and corrected get their ids back.",
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="The best moments of each query and recording only.")
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="The best moments of each query over all recordings, as in amr predict."),
    ] = None,
    min_score: Annotated[float | None, typer.Option(help="Moments from this score on only.")] = None,
    dcase: Annotated[
        str | None,
        typer.Option(
            metavar="FORM", help="Package a DCASE 2026 Task 6 submission of the INPUTs with this form."
        ),
    ] = None,
    dcase_form: Annotated[bool, typer.Option("--dcase-form", help="Print an empty form and stop.")] = False,
    queries: Annotated[
        str | None, typer.Option(metavar="FILE", help="--dcase: the evaluation list (JSONL).")
    ] = None,
    report: Annotated[str | None, typer.Option(metavar="PDF", help="--dcase: the technical report.")] = None,
    output: options.Output = None,
    force: options.Force = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="--dir, --clips: keep what an interrupted run has written.")
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Take moments to Audacity, spreadsheets and other tools, and bring them back.

    \b
    amr convert preds.jsonl --to audacity --dir labels/ --top-k 3
    amr convert labels/*.txt --to annotations --ids preds.jsonl -o corrected.jsonl
    amr convert preds.jsonl --clips found/ --audio audio/ --min-score 0.5
    amr convert --dcase-form > form.ini
    amr convert a.jsonl b.jsonl --dcase form.ini --queries eval.jsonl --report r.pdf -o sub.zip

    CSV and RTTM hold many recordings in a file; Audacity and JAMS have a file for each, named like it.
    """
    from amr.formats.exchange.dcase_form import TEMPLATE
    from amr.tasks.convert import MomentFiles, convert_moments, package_submission, write_text

    del quiet, verbose  # read by options.hush, and by the command's own error report
    paths = inputs or []
    if dcase_form:
        write_text(TEMPLATE, output, force=force)
        return
    require_one_product(paths, to, clips, dcase, output, folder)
    if resume and (force or (folder is None and clips is None)):
        raise UsageError("--resume needs --dir or --clips, and no --force")
    if dcase is not None:
        for where, value in (("--queries", queries), ("--report", report)):
            if value is None:
                raise UsageError("a submission needs this option", where=where, hint="see amr convert -h")
        if output is None and sys.stdout.isatty():
            raise UsageError("a zip file cannot be shown at a terminal", where="-o", hint="-o submission.zip")
        package_submission(
            paths, form=dcase, queries=queries or "", report=report or "", output=output, force=force
        )
        return
    moments = MomentFiles(paths, form=from_, ids=ids, top_k=top_k, top=top, min_score=min_score)
    if to is not None:
        convert_moments(
            moments,
            to,
            output=output,
            folder=folder,
            audio=audio or [],
            force=force,
            resume=resume,
            is_shown=is_terminal(),
        )
    elif clips is not None:
        show_clips(moments, clips, audio or [], clip_form, context, force=force, resume=resume)


def require_one_product(
    inputs: list[str],
    to: OutputForm | None,
    clips: Path | None,
    dcase: str | None,
    output: Path | None,
    folder: Path | None,
) -> None:
    """Refuse a command line without a product, or with two."""
    named = [name for name, on in (("--to", to), ("--clips", clips), ("--dcase", dcase)) if on is not None]
    if not inputs:
        raise UsageError("nothing to convert: no INPUT is named", hint="see amr convert -h")
    if len(named) != 1:
        found = " and ".join(named) or "none of them"
        raise UsageError(
            f"say what to make with one of --to, --clips, --dcase; found {found}", hint="see amr convert -h"
        )
    if folder is not None and (output is not None or to not in ("audacity", "raven", "jams")):
        raise UsageError("--dir needs --to audacity, raven or jams, and no -o")
    if clips is not None and output is not None:
        raise UsageError(
            "clips go into the folder of --clips; their list goes to standard output", where="-o"
        )


def show_clips(
    moments: MomentFiles,
    folder: Path,
    audio: list[str],
    form: str,
    context_s: float,
    *,
    force: bool,
    resume: bool,
) -> None:
    """Cut the clips and list them on standard output: a line of JSON each, at a terminal the path."""
    from amr.formats.jsonl import line_of
    from amr.tasks.convert import cut_clips

    if not audio:
        raise UsageError("clips are cut from recordings: name them", where="--audio")
    for clip in cut_clips(
        moments, folder, audio=audio, form=form, context_s=context_s, force=force, resume=resume
    ):
        line = line_of(clip.record())
        print(printable(str(clip.path)) if is_terminal() else line, flush=True)  # noqa: T201  # the product
