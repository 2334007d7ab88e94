"""Predictions: the moments a system answers with, in the field's own keys.

``{"qid", "query", "vid", "duration", "pred_relevant_windows": [[start, end, score], ...]}``, and per-frame
``pred_saliency_scores`` where requested. DCASE submissions leave the score out; rank becomes score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amr.errors import InputError
from amr.formats import fields
from amr.formats.jsonl import json_type, read_objects
from amr.formats.streams import display_name
from amr.moments import Moment

KNOWN_KEYS = frozenset({"qid", "query", "vid", "duration", "pred_relevant_windows", "pred_saliency_scores"})


@dataclass(frozen=True)
class Prediction:
    """One system's answer to one query on one recording.

    Args:
        qid: the query's id, int or string as in the file.
        query: the sentence; empty where the file has none.
        vid: the recording's id.
        windows: ``[start_s, end_s, score]`` in file order, best first; values as read.
        duration_s: the recording's length, where known.
        saliency: one value a frame in [0, 1], where requested; as read from a file, any scale.
        has_scores: False when the file had ``[start, end]`` only and the scores here are ``1 / rank``.
        where: ``file:line``, for messages.
        extra: keys this program does not know, carried through.
    """

    qid: int | str
    query: str
    vid: str
    windows: list[list[float]]
    duration_s: float | None = None
    saliency: list[float] | None = None
    has_scores: bool = True
    where: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def moments(self) -> list[Moment]:
        """The windows as they are, in file order; even those that are inverted or not finite."""
        return [Moment(start, end, score) for start, end, score in self.windows]

    def record(self) -> dict[str, Any]:
        """The JSON object, known keys first; windows without scores where the file had none."""
        record: dict[str, Any] = {"qid": self.qid, "query": self.query, "vid": self.vid}
        if self.duration_s is not None:
            record["duration"] = self.duration_s
        width = 3 if self.has_scores else 2
        record["pred_relevant_windows"] = [window[:width] for window in self.windows]
        if self.saliency is not None:
            record["pred_saliency_scores"] = self.saliency
        return {**record, **self.extra}


def parse_prediction(record: dict[str, Any], where: str) -> Prediction:
    """One prediction from its JSON object.

    Raises:
        InputError: a key is missing or of another type, or some windows have a score and some have none.
    """
    windows = fields.number_rows(record, "pred_relevant_windows", where, (2, 3))
    has_scores = not any(len(window) == 2 for window in windows)
    if not has_scores:
        if any(len(window) == 3 for window in windows):
            raise InputError(
                "'pred_relevant_windows': some windows have a score and some have none", where=where
            )
        windows = [[*window, 1.0 / (rank + 1)] for rank, window in enumerate(windows)]
    return Prediction(
        qid=fields.identifier(record, "qid", where),
        query=fields.text(record, "query", where) if "query" in record else "",
        vid=fields.name(record, "vid", where) if "vid" in record else "",
        windows=windows,
        duration_s=fields.optional_number(record, "duration", where),
        saliency=parse_saliency(record, where),
        has_scores=has_scores,
        where=where,
        extra={key: value for key, value in record.items() if key not in KNOWN_KEYS},
    )


def parse_saliency(record: dict[str, Any], where: str) -> list[float] | None:
    """The per-frame curve, or None where the record has none."""
    values = record.get("pred_saliency_scores")
    if values is None:
        return None
    if not isinstance(values, list):
        raise InputError(f"'pred_saliency_scores' is {json_type(values)}, expected a list", where=where)
    return [fields.number(value, "'pred_saliency_scores'", where) for value in values]


def iter_predictions(source: str | Path) -> Iterator[Prediction]:
    """The predictions of a JSONL file (``-``: standard input), a line at a time."""
    name = display_name(source)
    for number, record in read_objects(source):
        yield parse_prediction(record, f"{name}:{number}")


def read_predictions(source: str | Path) -> list[Prediction]:
    """What a system answered: the moments that it found for each query.

    Files of ``amr predict``, Lighthouse and DCASE 2026 Task 6 are read as they are: JSON Lines with the keys
    ``qid query vid pred_relevant_windows``. ``prediction.moments`` are ``Moment(start_s, end_s, score)`` in
    file order, ``prediction.record()`` is the JSON object again.

    Args:
        source: the file; ``-`` is standard input.

    Returns:
        One :class:`Prediction` a line, in file order; times in seconds. Where the file has windows without
        scores, ``1 / rank`` stands for the score and ``has_scores`` is False.

    Raises:
        InputError: there is no such file, a line is wrong (``error.where`` is ``file:line``), or there is no
            prediction at all.
    """
    predictions = list(iter_predictions(source))
    if not predictions:
        raise InputError("holds no prediction", where=display_name(source))
    return predictions
