"""What is strange in the two files of an evaluation, and may set exact and official figures apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from amr.arrays import BoolArray, Float64Array, Int64Array
from amr.metrics.ragged import Ragged
from amr.metrics.records import Answers, Truths

CEILING_S = 1500.0
"""A longer true window is a typing error, unless its recording is that long."""


class Oddity(Enum):
    """What may make exact and official figures differ, or queries drop out; the value names it in JSON."""

    NO_ANSWER = "query_without_predicted_window"
    IMPOSSIBLE_ANSWER = "predicted_window_inverted_or_not_finite"
    EMPTY_ANSWER = "predicted_window_of_no_length"
    UNSORTED = "predictions_not_in_order_of_score"
    NAN_SCORE = "score_is_nan"
    SCORELESS = "predictions_without_scores"
    REPEATED_ANSWER = "qid_repeated_in_predictions"
    REPEATED_TRUTH = "qid_repeated_in_ground_truth"
    WINDOW_TWICE = "true_window_listed_twice"
    IMPOSSIBLE_TRUTH = "true_window_that_cannot_be"
    OVER_CEILING = "true_window_over_the_official_ceiling"
    UNJUDGED = "query_without_true_window"


@dataclass(frozen=True)
class Finding:
    """How often an oddity was met, and the first record it was met in.

    Args:
        oddity: what.
        count: how many records or windows.
        record: index of the first record; into the truths where the oddity is theirs, else into the answers.
    """

    oddity: Oddity
    count: int
    record: int


TRUTH_ODDITIES = frozenset(
    {
        Oddity.REPEATED_TRUTH,
        Oddity.WINDOW_TWICE,
        Oddity.IMPOSSIBLE_TRUTH,
        Oddity.OVER_CEILING,
        Oddity.UNJUDGED,
    }
)


def find_oddities(answers: Answers, truths: Truths, *, ceiling_s: float = CEILING_S) -> list[Finding]:
    """Every oddity of the two files; none: exact and official figures are the same.

    Args:
        answers: predictions; those of queries that cannot be judged are not looked at.
        truths: ground truth.
        ceiling_s: the longest true window that the official program looks at.
    """
    usable = truths.keep_rows(is_usable(truths))
    length_s = usable.windows.rows[:, 1] - usable.windows.rows[:, 0]
    judged = np.isin(answers.query, usable.row_query)
    rows, owner = answers.windows.rows, answers.windows.owner
    empty = np.isfinite(rows[:, 0]) & (rows[:, 1] == rows[:, 0])
    answer_rows = {
        Oddity.IMPOSSIBLE_ANSWER: ~is_window(rows) & ~empty,
        Oddity.EMPTY_ANSWER: empty,
        Oddity.NAN_SCORE: np.isnan(rows[:, 2]),
    }
    answer_records = {
        Oddity.NO_ANSWER: answers.windows.counts == 0,
        Oddity.UNSORTED: has_rising_score(answers.windows),
        Oddity.SCORELESS: ~answers.has_scores,
        Oddity.REPEATED_ANSWER: is_repeated(answers.query),
    }
    cases = {oddity: owner[found & judged[owner]] for oddity, found in answer_rows.items()}
    cases |= {oddity: np.flatnonzero(found & judged) for oddity, found in answer_records.items()}
    cases |= {
        Oddity.WINDOW_TWICE: usable.windows.owner[is_listed_before(usable)],
        Oddity.IMPOSSIBLE_TRUTH: truths.windows.owner[~is_usable(truths)],
        Oddity.OVER_CEILING: usable.windows.owner[length_s > ceiling_s],
        Oddity.REPEATED_TRUTH: np.flatnonzero(is_repeated(truths.query)),
        Oddity.UNJUDGED: np.flatnonzero(~np.isin(truths.query, usable.row_query)),
    }
    return [
        Finding(oddity, len(cases[oddity]), int(cases[oddity][0])) for oddity in Oddity if len(cases[oddity])
    ]


def is_window(rows: Float64Array) -> BoolArray:
    """``(rows,)`` whether ``(start_s, end_s, ...)`` is finite and longer than nothing."""
    found: BoolArray = np.isfinite(rows[:, :2]).all(axis=1) & (rows[:, 1] > rows[:, 0])
    return found


def is_usable(truths: Truths) -> BoolArray:
    """``(rows,)`` whether a true window can be: one over 1500 s and longer than its recording cannot."""
    with np.errstate(invalid="ignore"):
        length_s = truths.windows.rows[:, 1] - truths.windows.rows[:, 0]
    duration_s = truths.duration_s[truths.windows.owner]
    absurd = (length_s > CEILING_S) & ~(length_s <= duration_s)
    return is_window(truths.windows.rows) & ~absurd


def is_listed_before(truths: Truths) -> BoolArray:
    """``(rows,)`` whether the same window of the same query stands earlier in the file."""
    query, rows = truths.row_query, truths.windows.rows
    order = np.lexsort((rows[:, 1], rows[:, 0], query))
    same = (query[order][1:] == query[order][:-1]) & (rows[order][1:] == rows[order][:-1]).all(axis=1)
    listed = np.zeros(len(rows), dtype=bool)
    listed[order[1:]] = same
    return listed


def is_repeated(query: Int64Array) -> BoolArray:
    """``(records,)`` whether an earlier record has the same code."""
    first = np.ones(len(query), dtype=bool)
    first[np.unique(query, return_index=True)[1]] = False
    return first


def has_rising_score(windows: Ragged) -> BoolArray:
    """``(records,)`` whether a window's score is above that of the window before it."""
    rises = windows.rows[1:, 2] > windows.rows[:-1, 2]
    rises &= windows.owner[1:] == windows.owner[:-1]
    return np.bincount(windows.owner[1:][rises], minlength=len(windows)) > 0
