"""How a system did on each query of a ground truth: what the score figures are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from amr.errors import InputError
from amr.formats.annotations import Annotation, is_moment
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction
from amr.moments import Moment, ScoredMoment
from amr.report.estimates import FloatArray
from amr.report.records import iou

LENGTH_EDGES_S = (0.0, 5.0, 10.0, 30.0, float("inf"))
"""0-5, 5-10, 10-30 and longer than 30 seconds; a range holds its upper end."""


@dataclass(frozen=True)
class SystemResult:
    """How one system did on each query; systems that are compared have the same queries in one order.

    Args:
        name: how the figure calls it.
        recordings: ``(queries,)`` the recording of each query; queries of one recording go together.
        top_iou: ``(queries,)`` IoU of the best answer with the true moment that it meets best; 0 where the
            system has no answer.
        top_score: ``(queries,)`` the score of that answer; NaN where there is none.
    """

    name: str
    recordings: Sequence[str]
    top_iou: FloatArray
    top_score: FloatArray


class LengthResult(NamedTuple):
    """How systems did on the true moments of one range of lengths, ``(low, high]`` seconds."""

    low_s: float
    high_s: float
    systems: list[SystemResult]


def judge(
    name: str,
    predictions: Iterable[Prediction],
    annotations: Sequence[Annotation],
    notices: Notices,
    length_range_s: tuple[float, float] = (0.0, float("inf")),
) -> SystemResult:
    """One system against the ground truth: the first window of each query, rank by file order.

    Only true moments with a length in ``(low, high]`` count, and only queries that have one, as in the
    field's breakdown by length (QVHighlights). May be empty.

    Raises:
        InputError: the predictions answer none of the queries.
    """
    answers = {prediction.qid: prediction for prediction in predictions}
    truth = merged_truth(annotations, length_range_s)
    if not any(qid in answers for qid in (annotation.qid for annotation in annotations)):
        raise InputError(
            "answers no query of the ground truth: no 'qid' is in both files",
            where=name,
            hint='ids are compared with their type: 1 and "1" differ',
        )
    tops = [first_answer(answers.get(qid), name, notices) for qid in truth]
    return SystemResult(
        name=name,
        recordings=[vid for vid, _ in truth.values()],
        top_iou=np.array(
            [best_iou(top, moments) for top, (_, moments) in zip(tops, truth.values(), strict=True)]
        ),
        top_score=np.array([top.score if top else np.nan for top in tops]),
    )


def merged_truth(
    annotations: Sequence[Annotation], length_range_s: tuple[float, float]
) -> dict[int | str, tuple[str, list[Moment]]]:
    """Recording and true moments of each qid that has one in the range of lengths."""
    low_s, high_s = length_range_s
    truth: dict[int | str, tuple[str, list[Moment]]] = {}
    for annotation in annotations:
        moments = [moment for moment in annotation.moments if low_s < moment.length_s <= high_s]
        if moments:
            truth.setdefault(annotation.qid, (annotation.vid, []))[1].extend(moments)
    return truth


def first_answer(prediction: Prediction | None, name: str, notices: Notices) -> ScoredMoment | None:
    """A prediction's first window, even one that is no moment."""
    if prediction is None or not prediction.windows:
        notices.add("query of the ground truth without an answer, counted as missed", name)
        return None
    return prediction.moments[0]


def best_iou(answer: ScoredMoment | None, moments: Sequence[Moment]) -> float:
    """With the true moment that it meets best; 0 for no answer, and for a window that is no moment."""
    if answer is None or not is_moment(answer.start_s, answer.end_s):
        return 0.0
    return max(iou(answer, moment) for moment in moments)


def judge_by_length(
    systems: Sequence[tuple[str, list[Prediction]]],
    annotations: Sequence[Annotation],
    notices: Notices,
    edges_s: Sequence[float] = LENGTH_EDGES_S,
) -> list[LengthResult]:
    """:func:`judge` for each range of lengths and each system."""
    return [
        LengthResult(
            low, high, [judge(name, answers, annotations, notices, (low, high)) for name, answers in systems]
        )
        for low, high in pairwise(edges_s)
    ]
