"""The file forms that moments travel in, by name, and which of them a file is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from amr.errors import InputError, UsageError
from amr.formats import audacity, csv_moments, jams, rttm
from amr.formats.jsonl import parse_lines
from amr.formats.notices import Notices
from amr.formats.streams import display_name, open_input
from amr.formats.tracks import (
    MOST_TEXT_BYTES,
    Track,
    annotation_record,
    by_recording,
    jsonl_track,
    prediction_record,
    read_text,
)


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


def jsonl_text(records: Iterable[dict[str, object]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


FORMS = {
    "predictions": Form(lambda tracks: jsonl_text(map(prediction_record, tracks)), ".jsonl", False),
    "annotations": Form(lambda tracks: jsonl_text(map(annotation_record, tracks)), ".jsonl", False),
    "audacity": Form(audacity.render, ".txt", True),
    "csv": Form(csv_moments.render, ".csv", False),
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
READABLE = ("jsonl", "audacity", "csv", "rttm", "jams")


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
            f"the ending {ending!r} does not say what the file is",
            where=source,
            hint=f"say it with --from {'|'.join(READABLE)}",
        )
    return ENDINGS[ending]


def read_tracks(source: str, form: str, notices: Notices) -> list[Track]:
    """The tracks of a file of any form; the forms of one recording take its id from the file's name.

    Raises:
        InputError: the file is not of that form.
    """
    name = display_name(source)
    if form == "jsonl":
        with open_input(source) as file:
            return [
                jsonl_track(record, f"{name}:{line}", notices) for line, record in parse_lines(file, name)
            ]
    text = read_text(source, jams.MOST_BYTES if form == "jams" else MOST_TEXT_BYTES)
    stem = utf8_stem(source)
    if form == "audacity":
        return audacity.parse(text, name, stem)
    if form == "csv":
        return csv_moments.parse(text, name)
    if form == "rttm":
        return rttm.parse(text, name)
    return jams.parse(text, name, stem)


def utf8_stem(source: str) -> str:
    """A file's name without its ending, as the id of a recording.

    Raises:
        InputError: it is not UTF-8, so no text could hold it.
    """
    stem = Path(source).stem
    try:
        stem.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = stem.encode("utf-8", "backslashreplace").decode()
        raise InputError(f"the file's name {shown!r} is not UTF-8", where=shown, hint="rename it") from error
    return stem


def render_files(tracks: list[Track], form: str) -> dict[str, str]:
    """``{recording id: text}`` of a form that holds one recording a file."""
    return {vid: FORMS[form].render(group) for vid, group in by_recording(tracks).items()}
