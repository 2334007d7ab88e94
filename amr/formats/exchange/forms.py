"""The file forms that moments travel in, by name, and which of them a file is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from amr.audio.names import id_of_file_name
from amr.errors import InputError, UsageError
from amr.formats.annotations import says_nothing
from amr.formats.exchange import audacity, jams, raven, rttm
from amr.formats.exchange import csv as csv_moments
from amr.formats.exchange.tracks import (
    Track,
    annotation_record,
    by_recording,
    jsonl_track,
    prediction_record,
    text_of,
)
from amr.formats.jsonl import ChainedLines, line_of, parse_lines
from amr.formats.notices import Notices
from amr.formats.streams import display_name, open_input
from amr.formats.untrusted.bounds import MAX_LINE_BYTES, MOST_TEXT_BYTES


class Form(NamedTuple):
    """One file form.

    Args:
        render: text of the tracks of one file.
        ending: of the file names.
        holds_one: whether a file holds one recording only.
    """

    render: Callable[[list[Track]], str]
    ending: str
    holds_one: bool


def jsonl_text(records: Iterable[dict[str, Any]]) -> str:
    return "".join(line_of(record) + "\n" for record in records)


FORMS = {
    "predictions": Form(lambda tracks: jsonl_text(map(prediction_record, tracks)), ".jsonl", False),
    "annotations": Form(lambda tracks: jsonl_text(map(annotation_record, tracks)), ".jsonl", False),
    "audacity": Form(audacity.render, ".txt", True),
    "csv": Form(csv_moments.render, ".csv", False),
    "raven": Form(raven.render, ".selections.txt", True),
    "rttm": Form(rttm.render, ".rttm", False),
    "jams": Form(lambda tracks: jams.render(tracks, tracks[0].vid), ".jams", True),
}

ENDINGS = {
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".txt": "audacity",
    ".csv": "csv",
    ".tsv": "csv",
    ".rttm": "rttm",
    ".jams": "jams",
}
HEAD_BYTES = 8192
"""So much of a file says its form."""

RAVEN_ENDING = re.compile(r"(\.BirdNET)?(\.Table\.\d+)?\.selections?(\.table)?$", re.IGNORECASE)
"""What Raven puts between a recording's name and ``.txt``."""

READABLE = ("jsonl", "audacity", "csv", "rttm", "jams")


def form_in(text: str) -> str | None:
    """Which form a text has by its first line that is no comment; None where that says nothing."""
    first = next((line for line in text.split("\n") if line.strip() and line.lstrip()[0] not in "#;\\"), "")
    if first.lstrip().startswith(("{", "[")):
        return "jams" if is_jams(text) else "jsonl"
    if first.startswith("SPEAKER "):
        return "rttm"
    if re.match(r"\s*-?\d[\d.,]*\t-?\d[\d.,]*(\t|\s*$)", first):
        return "audacity"
    return "csv" if csv_moments.is_header(first) else None


def is_jams(text: str) -> bool:
    """Whether a text that begins a JSON object is one JAMS document; lines of JSON have other keys."""
    return re.match(r'\s*\{\s*"(annotations|file_metadata|sandbox)"', text) is not None


def form_of(source: str) -> str:
    """Which form a file has by its ending; standard input is JSONL.

    Raises:
        UsageError: the ending says nothing.
    """
    if source == "-":
        return "jsonl"
    ending = Path(source).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(
            f"the ending {ending!r} does not tell the form of the file",
            where=source,
            hint=f"name the form with --from {'|'.join(READABLE)}",
        )
    return ENDINGS[ending]


def read_tracks(source: str, form: str | None, notices: Notices) -> list[Track]:
    """The tracks of a file; the forms of one recording take its id from the file's name.

    Args:
        form: one of :data:`READABLE`; None: what the content says, or else the ending.
        notices: counts what is strange about the moments.

    Raises:
        UsageError: neither content nor ending says the form.
        InputError: the file is not of that form.
    """
    tracks = parse_tracks(source, form, notices)
    for track in tracks:
        for _ in filter(lambda window: window.start_s < 0, track.windows):
            notices.add("window begins before its recording", track.where)
    return tracks


def parse_tracks(source: str, form: str | None, notices: Notices) -> list[Track]:
    """The tracks as the file has them; see :func:`read_tracks`."""
    name = display_name(source)
    with open_input(source) as file:
        head = file.read(HEAD_BYTES)
        head += file.readline(MAX_LINE_BYTES) if head else b""
        form = form or form_in(head.decode("utf-8-sig", "replace")) or form_of(source)
        if form == "jsonl":
            lines = parse_lines(ChainedLines(head, file), name)
            placed = ((f"{name}:{line}", record) for line, record in lines)
            return [
                jsonl_track(record, where, notices)
                for where, record in placed
                if not says_nothing(record, where, notices)
            ]
        text = text_of(head, file, name, jams.MOST_BYTES if form == "jams" else MOST_TEXT_BYTES)
    stem = utf8_stem(source)
    if form == "audacity":
        return audacity.parse(text, name, stem)
    if form == "csv":
        return csv_moments.parse(text, name, RAVEN_ENDING.sub("", stem), notices)
    if form == "rttm":
        return rttm.parse(text, name)
    return jams.parse(text, name, stem)


def utf8_stem(source: str) -> str:
    """A file's name without its ending, as the id of a recording: what ``convert --dir`` made of one.

    Raises:
        InputError: it is not UTF-8, so no text could hold it.
    """
    stem = Path(source).stem
    try:
        stem.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = stem.encode("utf-8", "backslashreplace").decode()
        raise InputError(f"the file's name {shown!r} is not UTF-8", where=shown, hint="rename it") from error
    return id_of_file_name(stem)


def render_files(tracks: list[Track], form: str) -> dict[str, str]:
    """``{recording id: text}`` of a form that holds one recording a file."""
    return {vid: FORMS[form].render(group) for vid, group in by_recording(tracks).items()}
