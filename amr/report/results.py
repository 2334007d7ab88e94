"""How a system did on each query of a ground truth: what the score figures are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from amr.arrays import Float64Array
from amr.errors import InputError
from amr.evaluation.judged import JudgedFile, judge_records
from amr.formats.annotations import Annotation
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction
from amr.metrics.exact import FULL, exact_scores
from amr.metrics.official import LengthRange

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
    top_iou: Float64Array
    top_score: Float64Array


class LengthResult(NamedTuple):
    """How systems did on the true moments of one range of lengths, ``(low, high]`` seconds."""

    low_s: float
    high_s: float
    systems: list[SystemResult]


def judge(
    name: str, predictions: Sequence[Prediction], annotations: Sequence[Annotation], notices: Notices
) -> SystemResult:
    """One system against the ground truth, by query in its order; as ``amr score`` judges.

    A query without an answer is a miss and counted in ``notices``. May be empty.

    Raises:
        InputError: the predictions answer none of the queries, or a qid stands for two things.
    """
    return result_of(name, judge_system(name, predictions, annotations, notices), FULL)


def judge_by_length(
    systems: Sequence[tuple[str, Sequence[Prediction]]],
    annotations: Sequence[Annotation],
    notices: Notices,
    edges_s: Sequence[float] = LENGTH_EDGES_S,
) -> list[LengthResult]:
    """:func:`judge` of each system, on the true moments of each range of lengths.

    Only queries that have such a moment count, as in the field's breakdown by length (QVHighlights).
    """
    judged = [(name, judge_system(name, answers, annotations, notices)) for name, answers in systems]
    return [
        LengthResult(*limits, [result_of(name, each, limits) for name, each in judged])
        for limits in pairwise(edges_s)
    ]


def judge_system(
    name: str, predictions: Sequence[Prediction], annotations: Sequence[Annotation], notices: Notices
) -> JudgedFile | None:
    """See :func:`judge`; None where no query has a true moment."""
    if {prediction.qid for prediction in predictions}.isdisjoint(each.qid for each in annotations):
        raise InputError(
            "answers no query of the ground truth: no 'qid' is in both files",
            where=name,
            hint='ids are compared with their type: 1 and "1" differ',
        )
    judged = judge_records(predictions, annotations, name)
    for _ in range(0 if judged is None else int((judged.ranked.counts == 0).sum())):
        notices.add("query of the ground truth without an answer, counted as missed", name)
    return judged


def result_of(name: str, judged: JudgedFile | None, length_range_s: LengthRange) -> SystemResult:
    """The queries with a true moment in a range of lengths, in the order of the ground truth."""
    scores = None if judged is None else exact_scores(judged.exact.queries, length_range_s)
    if judged is None or scores is None:
        return SystemResult(name, [], np.zeros(0), np.zeros(0))
    rows = np.searchsorted(judged.scores.query, scores.query)
    order = np.argsort(judged.record[rows])
    recordings = [judged.recordings[row] for row in rows[order].tolist()]
    return SystemResult(name, recordings, scores.top_iou[order], judged.top_score[rows[order]])
