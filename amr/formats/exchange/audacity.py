"""Audacity's label tracks: a text file a recording, a label a line, ``start TAB end TAB text`` in seconds.

The file's name says which recording is meant. Lines that begin with a backslash hold a label's frequency
range and are skipped (Audacity manual, "Importing and Exporting Labels").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from amr.errors import InputError
from amr.formats.exchange.tracks import TIME_DECIMALS, Track, Window, grouped, moment_window, plain, seconds


def render(tracks: Iterable[Track]) -> str:
    """The labels of one recording, by time; the text is the query."""
    labels = [(window, plain(track.query)) for track in tracks for window in track.windows]
    labels.sort(key=lambda label: (label[0][:2], label[1]))
    digits = TIME_DECIMALS
    return "".join(f"{w.start_s:.{digits}f}\t{w.end_s:.{digits}f}\t{text}\n" for w, text in labels)


def parse(text: str, name: str, vid: str) -> list[Track]:
    """The labels of a file, one track a text.

    Raises:
        InputError: a line is no label, has no text, or marks a point.
    """
    return grouped((vid, query, window, where) for query, window, where in iter_labels(text, name))


def iter_labels(text: str, name: str) -> Iterator[tuple[str, Window, str]]:
    """``(text, window, where)`` of each label."""
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("\\"):
            continue
        where = f"{name}:{number}"
        parts = line.split("\t", 2)
        if len(parts) < 2:
            raise InputError(
                f"{line[:60]!r} is not a label",
                where=where,
                hint="Audacity's form is: start, tab, end, tab, text, as Export Labels writes it",
            )
        query = plain(parts[2]) if len(parts) == 3 else ""
        if not query:
            raise InputError("the label has no text", where=where, hint="write the query into the label")
        start_s, end_s = seconds(parts[0], "start", where), seconds(parts[1], "end", where)
        yield query, moment_window(start_s, end_s, None, where), where
