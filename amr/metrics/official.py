"""The field's own evaluator, quirk by quirk, on files however odd.

Sources: ``standalone_eval`` of Moment-DETR (QVHighlights) and of Lighthouse, whose copy DCASE 2026 Task 6
uses. Where that program crashes, :class:`OfficialStopError` says how. The reading without quirks is
:mod:`amr.metrics.exact`.
"""

from __future__ import annotations

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.metrics.average_precision import average_precision
from amr.metrics.ragged import gather
from amr.metrics.recall import top_iou
from amr.metrics.records import Answers, Truths
from amr.metrics.results import IOU_THRESHOLDS, MAX_ANSWERS, RetrievalScores

LengthRange = tuple[float, float]
"""``(low, high]`` in seconds."""

LIGHTHOUSE_RANGES: dict[str, LengthRange | None] = {"full": (0, 1500)}
"""Lighthouse and DCASE: one range; longer windows are typing errors in their data."""

QVHIGHLIGHTS_RANGES: dict[str, LengthRange | None] = {
    "short": (0, 10),
    "middle": (10, 30),
    "long": (30, 150),
    "full": None,
}
"""Moment-DETR: its range (0, 150] is a special case that filters nothing, not even inverted windows."""


class OfficialStopError(Exception):
    """The official program ends here with a Python exception and prints no figure.

    Args:
        exception: the name of that exception.
        reason: what makes it stop.
        answer: index of the first prediction record at fault; None where it is not one record's.
    """

    def __init__(self, exception: str, reason: str, answer: int | None = None) -> None:
        super().__init__(f"{exception}: {reason}")
        self.exception = exception
        self.reason = reason
        self.answer = answer


def official_scores(answers: Answers, truths: Truths, length_range: LengthRange | None) -> RetrievalScores:
    """What the official program makes of one range of true window lengths.

    Raises:
        OfficialStopError: it makes nothing of it.
    """
    if length_range is not None:
        truths = within(truths, length_range)
    elif (truths.windows.counts == 0).any():
        raise OfficialStopError("IndexError", "a query of the ground truth has no window")
    precision = official_precision(answers, truths)
    queries, iou = official_top_iou(answers, truths)
    return RetrievalScores(queries, iou, precision, num_windows=len(truths.windows.rows))


def within(truths: Truths, length_range: LengthRange) -> Truths:
    """The windows whose length lies in ``(low, high]``, and the records that have one left."""
    low, high = length_range
    with np.errstate(invalid="ignore"):  # inf - inf is NaN and lies in no range
        length_s = truths.windows.rows[:, 1] - truths.windows.rows[:, 0]
    kept = truths.keep_rows((low < length_s) & (length_s <= high))
    return kept.take(np.flatnonzero(kept.windows.counts > 0))


def official_precision(answers: Answers, truths: Truths) -> Float64Array:
    """``(queries, thresholds)`` AP of the queries of ``truths`` that have any predicted window, only those.

    The first ten windows of every record in file order, then by falling score; records of one qid add up, on
    both sides.

    Raises:
        OfficialStopError: windows have no score, or no query is left.
    """
    records = answered(answers, truths)
    answers = answers.take(records)
    scoreless = np.flatnonzero(~answers.has_scores & (answers.windows.counts > 0))
    if len(scoreless):
        raise OfficialStopError("IndexError", "a predicted window has no score", int(records[scoreless[0]]))
    counted = answers.windows.rank < MAX_ANSWERS
    if not counted.any():
        raise OfficialStopError("TypeError", "no query with a true and a predicted window is left")
    rows, owner = answers.windows.rows[counted], answers.row_query[counted]
    order = by_falling_score(rows[:, 2], owner)
    num_queries = 1 + int(max(owner.max(), truths.query.max()))
    ranked = gather(owner[order], rows[order, :2], num_queries)
    windows = gather(truths.row_query, truths.windows.rows, num_queries)
    queries = np.unique(owner)
    return average_precision(ranked.take(queries), windows.take(queries), IOU_THRESHOLDS)


def official_top_iou(answers: Answers, truths: Truths) -> tuple[Int64Array, Float64Array]:
    """``(queries,)`` codes of the queries of ``truths``, and the IoU of their top windows.

    The top window is the first of the file whatever its score; of several records of one qid the last counts,
    on both sides.

    Raises:
        OfficialStopError: a query has no predicted window.
    """
    records = answered(answers, truths)
    empty = records[answers.windows.counts[records] == 0]
    if len(empty):
        raise OfficialStopError("IndexError", "a query has no predicted window", int(empty[0]))
    queries = np.unique(answers.query[records])
    first_row = answers.windows.start[last_record(answers.query)[queries]]
    windows = truths.windows.take(last_record(truths.query)[queries])
    return queries, top_iou(answers.windows.rows[first_row, :2], windows)


def answered(answers: Answers, truths: Truths) -> Int64Array:
    """Indices of the prediction records whose query is in ``truths``."""
    return np.flatnonzero(np.isin(answers.query, truths.query))


def last_record(query: Int64Array) -> Int64Array:
    """``(num_queries,)`` the last record of each code; -1 where there is none."""
    last = np.full(1 + query.max(initial=-1), -1, dtype=np.int64)
    np.maximum.at(last, query, np.arange(len(query)))
    return last


def by_falling_score(score: Float64Array, owner: Int64Array) -> Int64Array:
    """``(rows,)`` order of rows: by owner, then by falling score, equal scores as they stand.

    NaN scores fall where Python's sort leaves them, which compares its way past them.
    """
    order = np.lexsort((-score, owner))
    in_order = owner[order]
    for query in np.unique(owner[np.isnan(score)]):
        place = slice(np.searchsorted(in_order, query), np.searchsorted(in_order, query, side="right"))
        order[place] = sorted(np.sort(order[place]).tolist(), key=lambda row: -score[row])
    return order
