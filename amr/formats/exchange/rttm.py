"""RTTM (Rich Transcription Time Marked, NIST): ten fields a line, one line a moment, many recordings a file.

``SPEAKER vid 1 start duration <NA> <NA> label score <NA>``. Fields hold no blanks: in labels a blank is
written ``_``; an underscore itself and everything else unfit is written ``%XX``, and read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from amr.errors import InputError
from amr.formats.exchange.tracks import (
    Track,
    Window,
    grouped,
    moment_window,
    number_text,
    plain,
    score_of,
    seconds,
)

KIND = "SPEAKER"
NOTHING = "<NA>"
MIN_FIELDS = 8
NUM_FIELDS = 10


def render(tracks: Iterable[Track]) -> str:
    """The lines of all tracks, each track by time."""
    lines = []
    for track in tracks:
        for window in track.by_time:
            times = f"{number_text(window.start_s)} {number_text(window.end_s - window.start_s)}"
            score = NOTHING if window.score is None else repr(window.score)
            label = written(plain(track.query), "_%").replace(" ", "_") or NOTHING
            vid = written(track.vid, "%")
            lines.append(f"{KIND} {vid} 1 {times} {NOTHING} {NOTHING} {label} {score} {NOTHING}\n")
    return "".join(lines)


def written(text: str, unfit: str) -> str:
    """The text with unfit characters as ``%XX`` of their UTF-8; blanks too, but a label's plain spaces."""
    keep_space = "_" in unfit
    return "".join(
        "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        if char in unfit or (char.isspace() and not (keep_space and char == " "))
        else char
        for char in text
    )


def parse(text: str, name: str) -> list[Track]:
    """The tracks of a file; lines of other kinds than ``SPEAKER`` are skipped as the form wants it.

    Raises:
        InputError: a line has too few fields, or a time is wrong.
    """
    return grouped(iter_labels(text, name))


def iter_labels(text: str, name: str) -> Iterator[tuple[str, str, Window, str]]:
    """``(vid, query, window, where)`` of each line."""
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != KIND:
            continue
        where = f"{name}:{number}"
        if len(fields) < MIN_FIELDS:
            raise InputError(f"has {len(fields)} fields, RTTM has ten", where=where)
        if len(fields) > NUM_FIELDS:
            raise InputError(
                f"has {len(fields)} fields, RTTM has ten",
                where=where,
                hint="a blank in a recording's name or a label parts fields: write it %20",
            )
        start_s = seconds(fields[3], "start", where)
        end_s = start_s + seconds(fields[4], "duration", where)
        score = fields[8] if len(fields) > 8 else NOTHING
        confidence = None if score == NOTHING else score_of(score, where)
        query = "" if fields[7] == NOTHING else unquote(fields[7].replace("_", " "))
        window = moment_window(start_s, round(end_s, 9), confidence, where)
        yield unquote(fields[1]), query, window, where
