"""Raven's selection tables: a text file a recording, tabs between columns, times in seconds.

They are read by :mod:`amr.formats.exchange.csv`; the file's name says which recording is meant.
"""

from __future__ import annotations

from collections.abc import Iterable

from amr.formats.exchange.csv import harmless
from amr.formats.exchange.tracks import Track, number_text, plain

COLUMNS = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Score", "Annotation")
VIEW = "Spectrogram 1"


def render(tracks: Iterable[Track]) -> str:
    """The selections of one recording, by time; the annotation is the query."""
    rows = sorted((window[:2], plain(track.query), window) for track in tracks for window in track.windows)
    lines = ["\t".join(COLUMNS)]
    for number, (_, text, window) in enumerate(rows, start=1):
        times = number_text(window.start_s), number_text(window.end_s)
        score = "" if window.score is None else repr(window.score)
        lines.append("\t".join([str(number), VIEW, "1", *times, score, harmless(text)]))
    return "".join(line + "\n" for line in lines)
