"""Annotations: which moments of a recording a query means.

One JSON object a line in the field's own keys: ``qid query vid duration relevant_windows``. Everything is
kept as read (ids with their JSON type, windows in file order, unknown keys); oddities are counted, and
:attr:`Annotation.moments` is the clean view.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amr.errors import InputError
from amr.formats import fields
from amr.formats.jsonl import read_objects
from amr.formats.notices import Notices
from amr.formats.streams import display_name
from amr.moments import Span

KNOWN_KEYS = frozenset({"qid", "query", "vid", "duration", "relevant_windows"})

REJECTED = "rejected_windows"
"""Moments that a person has heard and found not to be meant (``amr.formats.labels``)."""


@dataclass(frozen=True)
class Annotation:
    """One query on one recording and the moments it means.

    Args:
        qid: the query's id, int or string as in the file.
        query: the sentence.
        vid: the recording's id, the stem of its audio and feature files.
        duration_s: the recording's length, where the file says it.
        windows: ``[start_s, end_s]`` exactly as in the file: unsorted, past the end, even inverted.
        where: ``file:line``, for messages.
        extra: keys this program does not know, carried through.
    """

    qid: int | str
    query: str
    vid: str
    duration_s: float | None
    windows: list[list[float]]
    where: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def moments(self) -> list[Span]:
        """The windows that are moments (finite, longer than zero), sorted by start; not clamped."""
        return sorted(Span(start, end) for start, end in self.windows if is_moment(start, end))

    def record(self) -> dict[str, Any]:
        """The JSON object, known keys first in the field's order."""
        known: dict[str, Any] = {"qid": self.qid, "query": self.query, "duration": self.duration_s}
        return {**known, "vid": self.vid, "relevant_windows": self.windows, **self.extra}


def is_moment(start_s: float, end_s: float) -> bool:
    """Whether a window is finite and longer than nothing."""
    return math.isfinite(start_s) and math.isfinite(end_s) and end_s > start_s


def says_nothing(record: dict[str, Any], where: str = "", notices: Notices | None = None) -> bool:
    """Whether a line rejects moments and accepts none: that the rest of the recording is not meant, either,
    is more than it says. Readers of ground truth pass it over; it is counted in ``notices``."""
    is_silent = bool(record.get(REJECTED)) and record.get("relevant_windows") == []
    if is_silent and notices is not None:
        notices.add("line of rejected moments alone, skipped", where)
    return is_silent


def parse_annotation(record: dict[str, Any], where: str, notices: Notices | None = None) -> Annotation:
    """One annotation from its JSON object.

    Raises:
        InputError: a key is missing or of another type; ``where`` says where.
    """
    annotation = Annotation(
        qid=fields.identifier(record, "qid", where),
        query=fields.text(record, "query", where),
        vid=fields.name(record, "vid", where),
        duration_s=fields.optional_number(record, "duration", where),
        windows=fields.number_rows(record, "relevant_windows", where, (2,)),
        where=where,
        extra={key: value for key, value in record.items() if key not in KNOWN_KEYS},
    )
    if notices is not None:
        note_oddities(annotation, notices)
    return annotation


def note_oddities(annotation: Annotation, notices: Notices) -> None:
    """Count what is strange about an annotation's windows."""
    duration_s = annotation.duration_s
    if not annotation.windows:
        notices.add("annotation without a window", annotation.where)
    for start_s, end_s in annotation.windows:
        if not (math.isfinite(start_s) and math.isfinite(end_s)):
            notices.add("window with a value that is not a number", annotation.where)
        elif end_s <= start_s:
            notices.add("window of no length or inverted", annotation.where)
        elif start_s < 0:
            notices.add("window begins before its recording", annotation.where)
        elif duration_s is not None and end_s > duration_s:
            notices.add("window ends after its recording", annotation.where)


def iter_annotations(source: str | Path, notices: Notices | None = None) -> Iterator[Annotation]:
    """The annotations of a JSONL file (``-``: standard input), a line at a time."""
    name = display_name(source)
    for number, record in read_objects(source):
        yield parse_annotation(record, f"{name}:{number}", notices)


def read_annotations(source: str | Path, notices: Notices | None = None) -> list[Annotation]:
    """Ground truth: which moments of which recording each query means.

    Lighthouse, QVHighlights, Clotho-Moment and DCASE 2026 Task 6 files are read as they are: JSON Lines with
    the keys ``qid query vid duration relevant_windows``. ``annotation.moments`` are the clean windows,
    ``annotation.windows`` what the file says, ``annotation.record()`` is the JSON object again.

    Args:
        source: the file; ``-`` is standard input.
        notices: counts what is strange about windows (inverted, past the end); None: nobody does.

    Returns:
        One :class:`Annotation` a line, in file order; times in seconds.

    Raises:
        InputError: there is no such file, a line is wrong (``error.where`` is ``file:line``), or there is no
            annotation at all.
    """
    name = display_name(source)
    records = ((f"{name}:{number}", record) for number, record in read_objects(source))
    annotations = [
        parse_annotation(record, where, notices)
        for where, record in records
        if not says_nothing(record, where, notices)
    ]
    if not annotations:
        raise InputError("holds no annotation", where=name)
    return annotations
