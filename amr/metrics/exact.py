"""The figures without the official program's quirks: what a reader of "R1" and "mAP" takes them to mean.

On files without oddities (:mod:`amr.metrics.oddities`) these are the official figures to the last bit. They
differ where the official program rewards or ignores a fault. The reasons stand in
docs/measurements/0004-scoring.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.metrics.average_precision import average_precision
from amr.metrics.oddities import is_listed_before, is_usable, is_window
from amr.metrics.official import LengthRange
from amr.metrics.ragged import Ragged, gather
from amr.metrics.recall import top_iou
from amr.metrics.records import Answers, Truths
from amr.metrics.results import IOU_THRESHOLDS, MAX_ANSWERS, RetrievalScores

FULL: LengthRange = (0.0, np.inf)
RANGES: dict[str, LengthRange] = {
    "short": (0.0, 10.0),
    "middle": (10.0, 30.0),
    "long": (30.0, np.inf),
    "full": FULL,
}
"""QVHighlights' ranges; "long" has no ceiling, for recordings longer than 150 s."""


@dataclass(frozen=True)
class RankedQueries:
    """Both files made fit to judge; item ``q`` is the query of code ``q``.

    Args:
        ranked: predicted windows, rows ``(start_s, end_s, ...)``, best first, at most ten; columns after the
            second are not looked at.
        truth: true windows, rows ``(start_s, end_s)``, finite, longer than zero, each once.
    """

    ranked: Ragged
    truth: Ragged


def rank_queries(answers: Answers, truths: Truths, num_queries: int) -> RankedQueries:
    """Rank predictions by score, rows ``(start_s, end_s, score)``; drop true windows that cannot be.

    Records of one qid are one query. A predicted window that cannot be (inverted, not finite) keeps its rank
    and meets nothing. Equal scores keep the order of the file; a NaN score ranks last.
    """
    usable = truths.keep_rows(is_usable(truths))
    once = usable.keep_rows(~is_listed_before(usable))
    truth = gather(once.row_query, once.windows.rows, num_queries)
    return RankedQueries(ranked_windows(answers, num_queries), truth)


def ranked_windows(answers: Answers, num_queries: int) -> Ragged:
    """The ``ranked`` half of :func:`rank_queries`."""
    owner, rows = answers.row_query, answers.windows.rows
    order = np.lexsort((-rows[:, 2], owner))  # stable, and NaN goes last
    windows = np.where(is_window(rows)[:, None], rows[:, :2], 0.0)  # a window of no length meets nothing
    scored = np.concatenate([windows, rows[:, 2:]], axis=1)
    everything = gather(owner[order], scored[order], num_queries)
    counted = everything.rank < MAX_ANSWERS
    return gather(everything.owner[counted], everything.rows[counted], num_queries)


def exact_scores(queries: RankedQueries, length_range: LengthRange = FULL) -> RetrievalScores | None:
    """The figures over queries with a true window of length ``(low, high]``; None where there is none.

    A query without any predicted window is a miss: IoU 0, AP 0.
    """
    low, high = length_range
    length_s = queries.truth.rows[:, 1] - queries.truth.rows[:, 0]
    keep = (low < length_s) & (length_s <= high)
    truth = gather(queries.truth.owner[keep], queries.truth.rows[keep], len(queries.truth))
    chosen = np.flatnonzero(truth.counts > 0)
    if not len(chosen):
        return None
    truth, ranked = truth.take(chosen), queries.ranked.take(chosen)
    top = np.zeros((len(chosen), 2))  # a window of no length meets nothing
    has_answer = ranked.counts > 0
    top[has_answer] = ranked.rows[ranked.start[:-1][has_answer], :2]
    precision = average_precision(ranked, truth, IOU_THRESHOLDS)
    return RetrievalScores(chosen, top_iou(top, truth), precision, num_windows=len(truth.rows))
