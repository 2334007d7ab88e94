"""The two files of an evaluation read into columns, a line at a time, with their sha256.

A hundred thousand records with ten windows each are 30 MB here; as objects they would be some 500.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from amr.arrays import BoolArray, Float64Array
from amr.audio.names import Spellings, canonical
from amr.errors import InputError
from amr.formats import fields
from amr.formats.annotations import Annotation, parse_annotation, says_nothing
from amr.formats.jsonl import parse_lines
from amr.formats.predictions import Prediction, parse_prediction
from amr.formats.streams import display_name, open_input
from amr.metrics.highlights import CLIP_S, PEOPLE
from amr.metrics.ragged import Ragged, offsets

Qid = int | str

MAX_CLIPS = 43_200
"""Clips of two seconds in a day; highlights are labelled in recordings of minutes."""

SET_KEY = "dataset"
"""Where a record of a mixed ground truth says which dataset it is of."""


@dataclass(frozen=True)
class Columns:
    """What both files have, a row a record.

    Args:
        name: how messages call the file.
        sha256: of its bytes as read.
        qids: ids, int or string as in the file.
        vids: the recordings' ids; empty where a record has none.
        queries: the sentences; empty where a record has none.
        lines: line numbers.
        windows: rows as in the file: ``(start_s, end_s)``, of predictions ``(start_s, end_s, score)``.
    """

    name: str
    sha256: str
    qids: list[Qid]
    vids: list[str]
    queries: list[str]
    lines: list[int]
    windows: Ragged

    def where(self, record: int) -> str:
        """``file:line`` of a record."""
        return f"{self.name}:{self.lines[record]}"

    def spelt_as(self, other: Columns) -> Columns:
        """The same, with names and sentences as ``other`` spells them, whatever their composition."""
        if all(str(name).isascii() for name in chain(self.qids, self.vids, self.queries)):
            return self
        qids = Spellings(dict.fromkeys(qid for qid in other.qids if isinstance(qid, str)))
        vids = Spellings(dict.fromkeys(other.vids))
        queries = Spellings(dict.fromkeys(other.queries))
        return replace(
            self,
            qids=[qids.of(qid) if isinstance(qid, str) else qid for qid in self.qids],
            vids=list(map(vids.of, self.vids)),
            queries=list(map(queries.of, self.queries)),
        )

    def take(self, records: list[int]) -> Columns:
        """Some records, under the whole file's name and sha256."""
        return Columns(
            self.name,
            self.sha256,
            qids=[self.qids[record] for record in records],
            vids=[self.vids[record] for record in records],
            queries=[self.queries[record] for record in records],
            lines=[self.lines[record] for record in records],
            windows=self.windows.take(np.array(records, dtype=np.int64)),
        )


@dataclass(frozen=True)
class TruthFile:
    """Ground truth.

    Args:
        columns: what it shares with predictions.
        duration_s: ``(records,)``, NaN where the file does not say.
        labels: ``(clips, 3)`` saliency labels a record, None where it has none; empty when not requested.
        sets: which dataset each record says it is of, None where it does not say.
    """

    columns: Columns
    duration_s: Float64Array
    labels: list[Float64Array | None]
    sets: list[str | None]

    def take(self, records: list[int]) -> TruthFile:
        """Some records, under the whole file's name and sha256."""
        labels = [self.labels[record] for record in records] if self.labels else []
        sets = [self.sets[record] for record in records]
        return TruthFile(self.columns.take(records), self.duration_s[records], labels, sets)


@dataclass(frozen=True)
class AnswerFile:
    """Predictions.

    Args:
        columns: what they share with ground truth.
        has_scores: ``(records,)`` False where windows have no score and ``1 / rank`` stands in.
        curves: a saliency curve a record, None where it has none; empty when not requested.
    """

    columns: Columns
    has_scores: BoolArray
    curves: list[Float64Array | None]

    def take(self, records: list[int]) -> AnswerFile:
        """Some records, under the whole file's name and sha256."""
        curves = [self.curves[record] for record in records] if self.curves else []
        return AnswerFile(self.columns.take(records), self.has_scores[records], curves)


Source = str | Path | Sequence[Annotation | Prediction | dict[str, Any]]
"""A JSONL file, ``-`` for standard input, or records."""


def source_name(source: Source, name: str) -> str:
    """How messages call a file; ``name`` for records."""
    return display_name(source) if isinstance(source, (str, Path)) else name


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """A file, or records as the file that they would be."""
    if isinstance(source, (str, Path)):
        with open_input(source) as file:
            yield file
    else:
        records = (record if isinstance(record, dict) else record.record() for record in source)
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)  # NaN stays what it is
        yield BytesIO("".join(lines).encode("utf-8", "surrogatepass"))


class HashedLines:
    """``readline`` that hashes what it hands on, so that even a stream is known by its bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def readline(self, limit: int = -1) -> bytes:
        line = self._file.readline(limit)
        self._digest.update(line)
        return line

    def records(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """``(line number, object)`` of every line; see :func:`amr.formats.jsonl.parse_lines`."""
        return parse_lines(cast(BinaryIO, self), name)  # it asks for readline only

    def sha256(self) -> str:
        """Of everything read so far."""
        return self._digest.hexdigest()


class Collector:
    """Records gathered into columns; windows go straight into flat memory."""

    def __init__(self, name: str, *, width: int) -> None:
        self._name = name
        self._width = width
        self._qids: list[Qid] = []
        self._vids: list[str] = []
        self._queries: list[str] = []
        self._lines: list[int] = []
        self._values = array("d")
        self._counts = array("q")

    def add(self, line: int, record: Annotation | Prediction) -> None:
        """One more row."""
        self._qids.append(record.qid)
        self._vids.append(record.vid)
        self._queries.append(record.query)
        self._lines.append(line)
        self._values.extend(chain.from_iterable(record.windows))
        self._counts.append(len(record.windows))

    def columns(self, sha256: str) -> Columns:
        """Everything gathered.

        Raises:
            InputError: there is nothing.
        """
        if not self._qids:
            raise InputError("holds no record", where=self._name)
        rows = np.array(self._values, dtype=np.float64).reshape(-1, self._width)
        windows = Ragged(offsets(np.array(self._counts, dtype=np.int64)), rows)
        return Columns(self._name, sha256, self._qids, self._vids, self._queries, self._lines, windows)


def read_truth(
    source: Source, *, with_labels: bool = False, set_key: str = SET_KEY, needs_set: bool = False
) -> TruthFile:
    """Ground truth in columns.

    Args:
        source: where from; messages call records ``annotations``.
        with_labels: read QVHighlights' clip labels too.
        set_key: the key that says which dataset a record is of.
        needs_set: every record must have it.

    Raises:
        InputError: a line is wrong, or there is none.
    """
    name = source_name(source, "annotations")
    collector, duration_s = Collector(name, width=2), array("d")
    labels: list[Float64Array | None] = []
    sets: list[str | None] = []
    with open_source(source) as file:
        hashed = HashedLines(file)
        for line, record in hashed.records(name):
            where = f"{name}:{line}"
            refuse_other_kind(record, where, needed="relevant_windows", other="pred_relevant_windows")
            if says_nothing(record):
                continue
            annotation = parse_annotation(record, where)
            collector.add(line, annotation)
            duration_s.append(np.nan if annotation.duration_s is None else annotation.duration_s)
            if with_labels:
                labels.append(clip_labels(annotation))
            value = fields.required(record, set_key, where) if needs_set else record.get(set_key)
            sets.append(None if value is None else str(value))
    columns = collector.columns(hashed.sha256())
    return TruthFile(columns, np.array(duration_s, dtype=np.float64), labels, sets)


def read_answers(source: Source, *, with_curves: bool = False, name: str = "predictions") -> AnswerFile:
    """Predictions in columns.

    Args:
        source: where from.
        with_curves: read saliency curves too.
        name: how messages call records that are no file.

    Raises:
        InputError: a line is wrong, or there is none.
    """
    name = source_name(source, name)
    collector, has_scores = Collector(name, width=3), []
    curves: list[Float64Array | None] = []
    with open_source(source) as file:
        hashed = HashedLines(file)
        for line, record in hashed.records(name):
            where = f"{name}:{line}"
            refuse_other_kind(record, where, needed="pred_relevant_windows", other="relevant_windows")
            prediction = parse_prediction(record, where)
            collector.add(line, prediction)
            has_scores.append(prediction.has_scores)
            if with_curves:
                curve = prediction.saliency
                curves.append(None if curve is None else np.array(curve, dtype=np.float64))
    return AnswerFile(collector.columns(hashed.sha256()), np.array(has_scores, dtype=bool), curves)


def refuse_other_kind(record: dict[str, Any], where: str, *, needed: str, other: str) -> None:
    """Tell the commonest mistake, the two files in the wrong order, from a missing key."""
    if needed not in record and other in record:
        raise InputError(
            f"has {other!r} and no {needed!r}",
            where=where,
            hint="are the files in the right order? amr score PREDICTIONS GROUND_TRUTH",
        )


def clip_labels(annotation: Annotation) -> Float64Array | None:
    """``(clips, 3)`` saliency of every two-second clip by three people, 0 where none is given.

    None where the record has no labels, or an empty list of them.

    Raises:
        InputError: the labels contradict each other or the recording's length.
    """
    extra, where = annotation.extra, annotation.where
    if "relevant_clip_ids" not in extra and "saliency_scores" not in extra:
        return None
    ids = fields.required(extra, "relevant_clip_ids", where)
    scores = fields.number_rows(extra, "saliency_scores", where, (PEOPLE,))
    if annotation.duration_s is None or not np.isfinite(annotation.duration_s):
        raise InputError("clip labels need a 'duration'", where=where)
    num_clips = max(0, int(annotation.duration_s / CLIP_S))
    if num_clips > MAX_CLIPS:
        raise InputError(
            f"'duration' is {annotation.duration_s:g} s; clip labels go up to a day", where=where
        )
    if not isinstance(ids, list) or not all(type(clip) is int and 0 <= clip < num_clips for clip in ids):
        what = f"'relevant_clip_ids' must be a list of integers from 0 to {num_clips - 1}"
        raise InputError(what, where=where)
    if len(ids) != len(scores):
        what = f"{len(ids)} 'relevant_clip_ids' and {len(scores)} 'saliency_scores', expected as many"
        raise InputError(what, where=where)
    if not ids:
        return None
    labels = np.zeros((num_clips, PEOPLE))
    labels[ids] = scores
    return labels


def contradiction(columns: Columns) -> tuple[int, int] | None:
    """The first record whose qid an earlier one uses for another recording or sentence, and that one.

    Empty vids and sentences contradict nothing.
    """
    if len(set(columns.qids)) == len(columns.qids):
        return None
    first: dict[Qid, int] = {}
    for record, qid in enumerate(columns.qids):
        earlier = first.setdefault(qid, record)
        for names in (columns.vids, columns.queries):
            if names[record] and names[earlier] and canonical(names[record]) != canonical(names[earlier]):
                return record, earlier
    return None
