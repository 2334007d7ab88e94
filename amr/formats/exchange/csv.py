"""Moments as a table: one a line, with a header line. Spreadsheets, pandas and people read it.

We write ``vid,qid,query,start_s,end_s,score,rank,duration_s``, and ``path`` where a file is known. We read
any table whose header names a recording, a start, an end and a text, under the names that others use too
(``filename onset offset event_label``), separated by commas, semicolons or tabs; Raven's selection tables
too, whose recording the file's name says where no column does.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import replace

from amr.audio.names import ids_of_files
from amr.errors import InputError
from amr.formats.exchange.tracks import Track, moment_window, number_text, score_of, seconds
from amr.formats.notices import Notices
from amr.formats.tables import columns_of, looks_whole, qid_text, qid_value, table_rows

COLUMNS = ("vid", "qid", "query", "start_s", "end_s", "score", "rank", "duration_s")

FILE_COLUMNS = ("filename", "file_name", "file", "audio", "begin file", "begin path")
TIMES = {
    "start": ("start_time_seconds", "start_time", "event_onset"),
    "end": ("end_time_seconds", "end_time", "event_offset"),
}
"""AudioSet's strong labels, and some of DCASE's tables."""

NAMES = {
    "vid": ("vid", "recording", "segment_id", *FILE_COLUMNS),
    "qid": ("qid", "id"),
    "query": ("query", "label", "event_label", "text", "class", "annotation", "species", "common name"),
    "start_s": ("start_s", "start", "onset", "begin", "begin time (s)", "start (s)", *TIMES["start"]),
    "end_s": ("end_s", "end", "offset", "stop", "end time (s)", "end (s)", *TIMES["end"]),
    "score": ("score", "confidence", "probability"),
    "duration_s": ("duration_s", "recording_duration"),
    "path": ("path",),
    "selection": ("selection",),
    "view": ("view",),
    "in_file_s": ("file offset (s)",),
}
"""Our name of a column and the header words that mean it, the first found counts."""

NEEDED = ("vid", "query", "start_s", "end_s")
RUN = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # full width, as Asian spreadsheets take them too
EVENT = ("query", "start_s", "end_s")


def render(tracks: Iterable[Track]) -> str:
    """The table, tracks in order, each best first."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    quoted = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    tracks = list(tracks)
    has_paths = any(track.path for track in tracks)
    table.writerow([*COLUMNS, "path"] if has_paths else COLUMNS)
    for track in tracks:
        length = "" if track.duration_s is None else number_text(track.duration_s)
        for rank, window in enumerate(track.ranked, start=1):
            times = number_text(window.start_s), number_text(window.end_s)
            score = "" if window.score is None else repr(window.score)
            names = [harmless(name) for name in (track.vid, qid_text(track.qid), track.query)]
            path = [harmless(track.path)] if has_paths else []
            writer = quoted if "\r" in "".join([*names, *path]) else table  # which alone would be left bare
            writer.writerow([*names, *times, score, rank, length, *path])
    return buffer.getvalue()


def harmless(cell: str) -> str:
    """A cell that a spreadsheet would run (``=1+1``) behind an apostrophe, its own mark of text."""
    return f"'{cell}" if RUN.match(cell) and not looks_whole(cell) else cell


def as_written(cell: str) -> str:
    """What :func:`harmless` was given."""
    return cell[1:] if cell.startswith("'") and RUN.match(cell) else cell


def parse(text: str, name: str, vid: str = "", notices: Notices | None = None) -> list[Track]:
    """The tracks of a table; rows of one recording, id and text belong together.

    Args:
        vid: the recording's id where the table has no column that says it, as those of one recording.
        notices: counts the rows that have no event (as DESED lists recordings without one), passed over.

    Raises:
        InputError: a column is missing, or a row is wrong.
    """
    header, *rows = list(table_rows(text, name)) or [(1, [])]
    places = find_columns(header[1], name)
    place, word = places.get("vid", (0, ""))
    files = ids_of_files(as_written(row[place]) for _, row in rows if word and place < len(row))
    found: dict[tuple[str, str, str], Track] = {}
    selections: set[tuple[str, str]] = set()
    for number, row in rows:
        cells = {column: row[place] if place < len(row) else "" for column, (place, _) in places.items()}
        where = f"{name}:{number}"
        if any(cell.strip() for cell in row[len(header[1]) :]):
            hint = "a cell that holds what separates cells stands in quotes"
            raise InputError(f"has {len(row)} cells, the header has {len(header[1])}", where=where, hint=hint)
        if not any(cells[column].strip() for column in EVENT):
            if notices is not None:
                notices.add("row without an event, skipped", where)
            continue
        if "vid" in cells:
            cells["vid"] = as_written(cells["vid"])
            cells["vid"] = files.get(cells["vid"], "") if word in FILE_COLUMNS else cells["vid"]
        selection = cells.get("selection", ""), cells.get("vid", "")
        if "view" in places and selection in selections:
            continue  # Raven writes a selection once for each view
        selections.add(selection)
        add_row({"vid": vid, **cells}, places, where, found)
    return list(found.values())


def is_header(line: str) -> bool:
    """Whether a line is the header of a table of moments."""
    cells = re.split(r"[\t;,]", line.lower().replace('"', ""))
    return {"start_s", "end_s"} <= columns_of(cells, NAMES).keys()


def find_columns(header: list[str], name: str) -> dict[str, tuple[int, str]]:
    """Place and header word of each of our columns that the table has."""
    places = columns_of(header, NAMES)
    needed = EVENT if "selection" in places else NEEDED
    missing = [f"{column} ({', '.join(NAMES[column][1:])})" for column in needed if column not in places]
    if missing:
        found = ", ".join(header)[:200] or "nothing"
        raise InputError(
            f"the header has no column {' or '.join(missing)}; it has: {found}", where=f"{name}:1"
        )
    return places


def add_row(
    cells: dict[str, str],
    places: dict[str, tuple[int, str]],
    where: str,
    found: dict[tuple[str, str, str], Track],
) -> None:
    """Put one row's window into its track."""
    vid, query = cells["vid"], as_written(cells["query"].strip())
    if not vid.strip() or not query:
        raise InputError("the row has no recording or no text", where=where)
    start_s, end_s = seconds(cells["start_s"], "start", where), seconds(cells["end_s"], "end", where)
    if cells.get("in_file_s", "").strip() and "vid" in places:  # of several files, one after the other
        in_file_s = seconds(cells["in_file_s"], "file offset", where)
        start_s, end_s = in_file_s, round(in_file_s + end_s - start_s, 9)
    score = score_of(cells.get("score", ""), where)
    key = (vid, cells.get("qid", ""), query)
    track = found.setdefault(
        key,
        Track(
            vid, query, [], qid_value(as_written(key[1])), where=where, path=as_written(cells.get("path", ""))
        ),
    )
    if cells.get("duration_s", "").strip() and track.duration_s is None:
        track = found[key] = replace(track, duration_s=seconds(cells["duration_s"], "duration", where))
    track.windows.append(moment_window(start_s, end_s, score, where))
