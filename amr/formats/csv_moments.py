"""Moments as a table: one a line, with a header line. Spreadsheets, pandas and people read it.

We write ``vid,qid,query,start_s,end_s,score,rank,duration_s``. We read any table whose header names a
recording, a start, an end and a text, under the names that others use too (``filename onset offset
event_label``), separated by commas, semicolons or tabs.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import replace

from amr.audio.files import recording_id
from amr.errors import InputError
from amr.formats.tracks import Track, moment_window, number_text, seconds

COLUMNS = ("vid", "qid", "query", "start_s", "end_s", "score", "rank", "duration_s")

NAMES = {
    "vid": ("vid", "recording", "filename", "file", "audio"),
    "qid": ("qid", "id"),
    "query": ("query", "label", "event_label", "text", "class"),
    "start_s": ("start_s", "start", "onset", "begin"),
    "end_s": ("end_s", "end", "offset", "stop"),
    "score": ("score", "confidence", "probability"),
    "duration_s": ("duration_s", "recording_duration"),
}
"""Our name of a column and the header words that mean it, the first found counts."""

NEEDED = ("vid", "query", "start_s", "end_s")
FILE_COLUMNS = ("filename", "file", "audio")


def render(tracks: Iterable[Track]) -> str:
    """The table, tracks in order, each best first."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(COLUMNS)
    for track in tracks:
        length = "" if track.duration_s is None else number_text(track.duration_s)
        for rank, window in enumerate(track.ranked, start=1):
            times = number_text(window.start_s), number_text(window.end_s)
            score = "" if window.score is None else repr(window.score)
            table.writerow([track.vid, qid_text(track.qid), track.query, *times, score, rank, length])
    return buffer.getvalue()


def parse(text: str, name: str) -> list[Track]:
    """The tracks of a table; rows of one recording, id and text belong together.

    Raises:
        InputError: a column is missing, or a row is wrong.
    """
    header_line = text.split("\n", 1)[0]
    separator = max("\t;,", key=header_line.count)
    rows = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    found: dict[tuple[str, str, str], Track] = {}
    try:
        places = find_columns(next(rows, []), name)
        for row in rows:
            if any(cell.strip() for cell in row):
                add_row(row, places, f"{name}:{rows.line_num}", found)
    except csv.Error as error:
        raise InputError(f"is not a table: {error}", where=f"{name}:{rows.line_num}") from error
    return list(found.values())


def find_columns(header: list[str], name: str) -> dict[str, tuple[int, str]]:
    """Place and header word of each of our columns that the table has."""
    words = {word.strip().lower(): place for place, word in reversed(list(enumerate(header)))}
    places = {}
    for column, others in NAMES.items():
        word = next((word for word in others if word in words), None)
        if word is not None:
            places[column] = (words[word], word)
    missing = [f"{column} ({', '.join(NAMES[column][1:])})" for column in NEEDED if column not in places]
    if missing:
        found = ", ".join(header)[:200] or "nothing"
        raise InputError(
            f"the header has no column {' or '.join(missing)}; it has: {found}", where=f"{name}:1"
        )
    return places


def add_row(
    row: list[str], places: dict[str, tuple[int, str]], where: str, found: dict[tuple[str, str, str], Track]
) -> None:
    """Put one row's window into its track."""
    cells = {column: row[place] if place < len(row) else "" for column, (place, _) in places.items()}
    vid = cells["vid"].strip()
    if places["vid"][1] in FILE_COLUMNS:
        vid = recording_id(vid.replace("\\", "/").rsplit("/", 1)[-1])
    query = cells["query"].strip()
    if not vid or not query:
        raise InputError("a row without a recording or without a text", where=where)
    start_s, end_s = seconds(cells["start_s"], "start", where), seconds(cells["end_s"], "end", where)
    score = seconds(cells["score"], "score", where) if cells.get("score", "").strip() else None
    key = (vid, cells.get("qid", ""), query)
    track = found.setdefault(key, Track(vid, query, [], qid_value(key[1]), where=where))
    if cells.get("duration_s", "").strip() and track.duration_s is None:
        track = found[key] = replace(track, duration_s=seconds(cells["duration_s"], "duration", where))
    track.windows.append(moment_window(start_s, end_s, score, where))


def qid_text(qid: int | str | None) -> str:
    """An id as a cell; a string that reads like a number gets JSON's quotes, so that it comes back as one."""
    if qid is None:
        return ""
    return json.dumps(qid) if isinstance(qid, str) and (looks_whole(qid) or qid.startswith('"')) else str(qid)


def qid_value(cell: str) -> int | str | None:
    """The id that :func:`qid_text` wrote."""
    cell = cell.strip()
    if not cell:
        return None
    if looks_whole(cell):
        return int(cell)
    if cell.startswith('"'):
        try:
            text = str(json.loads(cell))
            text.encode("utf-8")  # JSON can spell half a character
        except (json.JSONDecodeError, UnicodeEncodeError):
            return cell
        return text
    return cell


def looks_whole(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,18}", text, re.ASCII) is not None
