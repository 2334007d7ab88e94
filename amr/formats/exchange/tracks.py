"""Moments on their way between file forms: what predictions, annotations and label files have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from amr.audio.names import canonical, file_name_of
from amr.errors import InputError, printable
from amr.formats.annotations import Annotation, is_moment, parse_annotation
from amr.formats.fields import is_file_stem
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction, parse_prediction
from amr.formats.streams import display_name, open_input
from amr.formats.untrusted.bounds import MOST_TEXT_BYTES

TIME_DECIMALS = 6
"""Some four million moments. Such files are held in memory whole."""


class Window(NamedTuple):
    """A moment, with its score where it is an answer."""

    start_s: float
    end_s: float
    score: float | None = None


@dataclass(frozen=True)
class Track:
    """The moments of one query on one recording, from a file of any form.

    Args:
        vid: the recording's id.
        query: the sentence or label.
        windows: in the file's order.
        qid: the query's id; None where the form has none.
        duration_s: the recording's length, where known.
        where: ``file:line``, for messages.
        path: the recording's file, where known.
    """

    vid: str
    query: str
    windows: list[Window]
    qid: int | str | None = None
    duration_s: float | None = None
    where: str = ""
    path: str = ""

    @property
    def ranked(self) -> list[Window]:
        """Best first; windows without a score keep their order."""
        return sorted(self.windows, key=lambda window: -(window.score or 0.0))

    @property
    def by_time(self) -> list[Window]:
        return sorted(self.windows, key=lambda window: window[:2])

    def printable(self) -> Track:
        """The same without what a terminal would obey."""
        qid = printable(self.qid) if isinstance(self.qid, str) else self.qid
        return replace(
            self, vid=printable(self.vid), query=printable(self.query), qid=qid, path=printable(self.path)
        )


def jsonl_track(record: dict[str, Any], where: str, notices: Notices) -> Track:
    """A line of predictions or annotations, by its keys; windows that are no moments are left out, counted.

    Raises:
        InputError: it is neither.
    """
    known: Prediction | Annotation
    if "pred_relevant_windows" in record:
        known = parse_prediction(record, where)
        windows = [Window(row[0], row[1], row[2] if known.has_scores else None) for row in known.windows]
    else:
        known = parse_annotation(record, where)
        windows = [Window(row[0], row[1]) for row in known.windows]
    good = [window for window in windows if is_moment(window.start_s, window.end_s)]
    for _ in range(len(windows) - len(good)):
        notices.add("window of no length, inverted or not a number, left out", where)
    for _ in range(sum(not is_score(window.score) for window in good)):
        notices.add("score is not a finite number and is left out", where)
    good = [window if is_score(window.score) else Window(*window[:2]) for window in good]
    duration_s = known.duration_s
    if duration_s is not None and not math.isfinite(duration_s):
        notices.add("'duration' is not a finite number and is left out", where)
        duration_s = None
    path = known.extra.get("path")
    return Track(
        known.vid,
        known.query,
        good,
        known.qid,
        duration_s,
        where,
        path if isinstance(path, str) else "",
    )


def is_score(score: float | None) -> bool:
    """Whether a score is a number, or not there at all."""
    return score is None or math.isfinite(score)


def prediction_record(track: Track) -> dict[str, Any]:
    """The track as a line of predictions, best first; without scores where none is known."""
    scored = all(window.score is not None for window in track.windows)
    return Prediction(
        qid=track.qid if track.qid is not None else "",
        query=track.query,
        vid=track.vid,
        windows=[[w.start_s, w.end_s, w.score or 0.0] for w in track.ranked],
        duration_s=track.duration_s,
        has_scores=scored,
        extra={"path": track.path} if track.path else {},
    ).record()


def annotation_record(track: Track) -> dict[str, Any]:
    """The track as a line of annotations, windows by time; scores are dropped."""
    return Annotation(
        qid=track.qid if track.qid is not None else "",
        query=track.query,
        vid=track.vid,
        duration_s=track.duration_s,
        windows=[[w.start_s, w.end_s] for w in track.by_time],
    ).record()


def plain(text: str) -> str:
    """A sentence on one line: what is not printable, tabs and line ends too, becomes a space."""
    return printable(text).strip()


def identified(tracks: Iterable[Track], known: Sequence[Track], notices: Notices) -> list[Track]:
    """The tracks with ids and lengths of ``known`` for the same recording and sentence; else ids ``VID_N``.

    What ``known`` has and ``tracks`` lacks (someone deleted all its labels) is counted in ``notices``.
    """
    by_name = {name_of(track): track for track in known}
    taken = {track.qid for track in known}
    counts: dict[str, int] = {}
    result = []
    for track in tracks:
        twin = by_name.pop(name_of(track), None)
        if twin is not None:
            duration_s = track.duration_s if track.duration_s is not None else twin.duration_s
            track = replace(track, qid=twin.qid, query=twin.query, duration_s=duration_s)
        elif known:
            notices.add("label that --ids does not know, given a new id", track.where)
        qid = track.qid
        while qid is None or (twin is None and qid in taken):
            counts[track.vid] = counts.get(track.vid, 0) + 1
            qid = f"{track.vid}_{counts[track.vid]}"
        taken.add(qid)
        result.append(replace(track, qid=qid))
    for left in by_name.values():
        notices.add("query of --ids without a label, left out", left.where)
    return result


def name_of(track: Track) -> tuple[str, str]:
    """By what a track is recognised: recording and sentence, composed."""
    return canonical(track.vid), canonical(plain(track.query))


def grouped(labels: Iterable[tuple[str, str, Window, str]]) -> list[Track]:
    """Single labels ``(vid, query, window, where)`` as tracks, in the order in which they first come up."""
    found: dict[tuple[str, str], Track] = {}
    for vid, query, window, where in labels:
        found.setdefault((vid, query), Track(vid, query, [], where=where)).windows.append(window)
    return list(found.values())


def by_recording(tracks: Iterable[Track]) -> dict[str, list[Track]]:
    """Tracks of each recording, in order, by its id as it is spelt first."""
    found: dict[str, list[Track]] = {}
    for track in tracks:
        found.setdefault(canonical(track.vid), []).append(track)
    return {group[0].vid: group for group in found.values()}


def file_stem(vid: str) -> str:
    """A recording's id as the name of a file in a folder; :func:`amr.audio.names.id_of_file_name` reads it.

    Raises:
        InputError: it could lead to another folder, is hidden, empty, too long, or not printable.
    """
    if not is_file_stem(name := file_name_of(vid)):
        raise InputError(
            f"the recording id {vid[:80]!r} cannot name a file",
            hint="choose a form that keeps all recordings in one file: csv or rttm",
        )
    return name


def read_text(source: str | Path, limit: int = MOST_TEXT_BYTES) -> str:
    """A whole text file of up to ``limit`` bytes, UTF-8 with or without a byte order mark.

    Raises:
        InputError: it is not there, too long, or not UTF-8.
    """
    with open_input(source) as file:
        return text_of(b"", file, display_name(source), limit)


def text_of(begun: bytes, file: BinaryIO, name: str, limit: int) -> str:
    """The text of an open file whose first bytes have been read; see :func:`read_text`."""
    rest = file.read(max(limit + 1 - len(begun), 0))
    if len(begun) + len(rest) > limit:  # looked at before both are in memory once more
        raise InputError(f"is longer than {limit} bytes", where=name)
    content = begun + rest
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text (byte {error.start})", where=name) from error


def seconds(text: str, what: str, where: str, unit: str = "seconds") -> float:
    """A number (of seconds, or of ``unit``) as people and programs write it; a decimal comma is understood.

    Raises:
        InputError: it is not a finite number.
    """
    try:
        value = float("nan" if "_" in text else text.strip().replace(",", "."))  # 1_0 is ten in Python alone
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise InputError(f"{what} is {text[:40]!r}, expected {unit}", where=where)
    return value


def score_of(cell: str, where: str) -> float | None:
    """A score as people and programs write it; ``nan`` is how some say that there is none.

    Raises:
        InputError: it is not a finite number.
    """
    text = cell.strip()
    return None if text.lower() in ("", "nan") else seconds(text, "score", where, "a number")


def moment_window(start_s: float, end_s: float, score: float | None, where: str) -> Window:
    """A window that is a moment.

    Raises:
        InputError: it has no length, ends before it begins, or an end of it is no finite number.
    """
    if not (math.isfinite(start_s) and math.isfinite(end_s)):
        raise InputError(f"a label from {start_s} to {end_s} s, expected finite numbers", where=where)
    if end_s <= start_s:
        raise InputError(
            f"a label from {start_s:g} to {end_s:g} s has no length",
            where=where,
            hint="a moment needs a start and a later end: drag the label over its sound",
        )
    return Window(start_s, end_s, score)


def number_text(value: float) -> str:
    """A number of seconds with at most ``TIME_DECIMALS`` decimals, no exponent, no idle zeros."""
    return f"{value:.{TIME_DECIMALS}f}".rstrip("0").rstrip(".") or "0"
