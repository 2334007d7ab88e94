"""``amr convert``: moments into the forms of other tools and back, clips, submission packages."""

from __future__ import annotations

import json
import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amr.cli import options
from amr.cli.messages import warn
from amr.errors import InputError, UsageError

if TYPE_CHECKING:
    from amr.formats.notices import Notices
    from amr.formats.tracks import Track


class InputForm(str, Enum):
    """What a file that comes in is."""

    JSONL = "jsonl"
    AUDACITY = "audacity"
    CSV = "csv"
    RTTM = "rttm"
    JAMS = "jams"


class OutputForm(str, Enum):
    """What goes out."""

    PREDICTIONS = "predictions"
    ANNOTATIONS = "annotations"
    AUDACITY = "audacity"
    CSV = "csv"
    RTTM = "rttm"
    JAMS = "jams"


class ClipForm(str, Enum):
    """Audio forms of clips."""

    WAV = "wav"
    FLAC = "flac"
    OGG = "ogg"
    MP3 = "mp3"


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
        typer.Option("--dir", metavar="DIR", help="audacity, jams: write a file for each recording here."),
    ] = None,
    clips: Annotated[
        Path | None, typer.Option("--clips", metavar="DIR", help="Cut every moment out as a sound file here.")
    ] = None,
    clip_form: Annotated[ClipForm, typer.Option("--clip-form", help="--clips: the sound files' form.")] = (
        ClipForm.WAV
    ),
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
    top: Annotated[int | None, typer.Option(min=1, help="The best moments of each query only.")] = None,
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
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Take moments to Audacity, spreadsheets and other tools, and bring them back.

    \b
    amr convert preds.jsonl --to audacity --dir labels/ --top 3
    amr convert labels/*.txt --to annotations --ids preds.jsonl -o corrected.jsonl
    amr convert preds.jsonl --clips found/ --audio audio/ --min-score 0.5
    amr convert --dcase-form > form.ini
    amr convert a.jsonl b.jsonl --dcase form.ini --queries eval.jsonl --report r.pdf -o sub.zip

    CSV and RTTM hold many recordings in a file; Audacity and JAMS have a file for each, named like it.
    """
    from amr.formats.notices import Notices

    del verbose  # read by the command's own error report
    if dcase_form:
        from amr.formats.dcase_form import TEMPLATE

        write_text(TEMPLATE, output, force)
        return
    require_one_product(inputs or [], to, clips, dcase, output, folder)
    notices = Notices()
    if dcase is not None:
        write_package(inputs or [], dcase, queries, report, output, force, notices)
    else:
        tracks = gather(inputs or [], from_, ids, audio if to is not None else None, notices)
        tracks = [kept(track, top, min_score) for track in tracks]
        if clips is not None:
            write_clips(tracks, clips, clip_form, context, audio, force)
        elif to is not None and folder is not None:
            write_folder(tracks, to.value, folder, force)
        elif to is not None:
            write_text(one_text(tracks, to.value), output, force)
    warn("convert", notices.lines(), quiet=quiet)


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
    if folder is not None and (output is not None or to not in (OutputForm.AUDACITY, OutputForm.JAMS)):
        raise UsageError("goes with --to audacity or --to jams, and without -o", where="--dir")
    if clips is not None and output is not None:
        raise UsageError(
            "clips go into the folder of --clips; their list goes to standard output", where="-o"
        )


def gather(
    inputs: list[str],
    form: InputForm | None,
    ids: str | None,
    audio: list[str] | None,
    notices: Notices,
) -> list[Track]:
    """The tracks of all inputs, with ids, and lengths where they can be known."""
    from dataclasses import replace

    from amr.formats.exchange import form_of, read_tracks
    from amr.formats.tracks import identified

    known = read_tracks(ids, "jsonl", notices) if ids is not None else []
    tracks: list[Track] = []
    for source in inputs:
        tracks += read_tracks(source, form.value if form is not None else form_of(source), notices)
    if not tracks:
        raise InputError("holds no moment", where=inputs[0])
    tracks = identified(tracks, known, notices)
    if not audio:
        return tracks
    from amr.report.sound import find_recordings, length_s

    files = find_recordings(audio)
    wanted = {track.vid for track in tracks if track.duration_s is None}
    lengths = {vid: round(length_s(files[vid]), 3) for vid in wanted & set(files)}
    return [replace(track, duration_s=lengths.get(track.vid, track.duration_s)) for track in tracks]


def kept(track: Track, top: int | None, min_score: float | None) -> Track:
    """The track with its best moments only; moments without a score are never below one."""
    from dataclasses import replace

    if top is None and min_score is None:
        return track
    good = [w for w in track.ranked if min_score is None or w.score is None or w.score >= min_score]
    return replace(track, windows=good[:top])


def one_text(tracks: list[Track], form: str) -> str:
    """All tracks as the text of one file."""
    from amr.formats.exchange import FORMS

    vids = list(dict.fromkeys(track.vid for track in tracks))
    if FORMS[form].holds_one and len(vids) > 1:
        raise UsageError(
            f"{form} holds one recording a file, these are {len(vids)}",
            where="--to",
            hint="give a folder: --dir DIR",
        )
    return FORMS[form].render(tracks)


def write_text(text: str, output: Path | None, force: bool) -> None:
    """The product, to a file or standard output."""
    from amr.formats.streams import STDIO, open_output

    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError("a text of the input holds half a character (a lone surrogate)") from error
    with open_output(output if output is not None else STDIO, force=force) as file:
        file.write(content)


def write_folder(tracks: list[Track], form: str, folder: Path, force: bool) -> None:
    """A file for each recording; every name is checked before the first is written."""
    from amr.formats.exchange import FORMS, render_files
    from amr.formats.streams import require_writable
    from amr.formats.tracks import file_stem

    files = {file_stem(vid) + FORMS[form].ending: text for vid, text in render_files(tracks, form).items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        require_writable(folder / name, force=force)
    for name, text in files.items():
        write_text(text, folder / name, force)


def write_clips(
    tracks: list[Track], folder: Path, form: ClipForm, context_s: float, audio: list[str] | None, force: bool
) -> None:
    """The clips, and their list on standard output: a line of JSON each, at a terminal the path."""
    from amr.formats.streams import require_writable
    from amr.report.clips import cut_clips, plan_clips
    from amr.report.sound import find_recordings

    if not audio:
        raise UsageError("clips are cut from recordings: name them", where="--audio")
    files = find_recordings(audio)
    planned = plan_clips(tracks, form.value)
    folder.mkdir(parents=True, exist_ok=True)
    for clip in planned:
        require_writable(folder / clip.name, force=force)
    for clip, path in cut_clips(planned, files, folder, context_s=context_s, force=force):
        if sys.stdout.isatty():
            say_product(os.fspath(path))
        else:
            start_s, end_s, score = clip.window
            record = {"clip": os.fspath(path), "vid": clip.track.vid, "qid": clip.track.qid}
            moment = {"query": clip.track.query, "start": start_s, "end": end_s, "score": score}
            say_product(json.dumps({**record, **moment}, ensure_ascii=False))


def say_product(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # the product


def write_package(
    inputs: list[str],
    form_file: str,
    queries_file: str | None,
    report_file: str | None,
    output: Path | None,
    force: bool,
    notices: Notices,
) -> None:
    """The submission's zip, checked before it is written."""
    from amr.formats.dcase import answers_in_order, output_text, package
    from amr.formats.dcase_form import parse_form
    from amr.formats.exchange import read_tracks
    from amr.formats.queries import read_queries
    from amr.formats.streams import STDIO, open_input, open_output
    from amr.formats.tracks import read_text

    for where, value in (("--queries", queries_file), ("--report", report_file)):
        if value is None:
            raise UsageError("a submission needs it", where=where, hint="see amr convert -h")
    if output is None and sys.stdout.isatty():
        raise UsageError("a zip file cannot be shown at a terminal", where="-o", hint="-o submission.zip")
    form = parse_form(read_text(form_file), form_file, len(inputs))
    asked = read_queries(queries_file or "")
    outputs = [
        output_text(answers_in_order(read_tracks(source, "jsonl", notices), asked, source))
        for source in inputs
    ]
    with open_input(report_file or "") as file:
        content = package(outputs, form, file.read(), report_file or "")
    with open_output(output if output is not None else STDIO, force=force) as target:
        target.write(content)
