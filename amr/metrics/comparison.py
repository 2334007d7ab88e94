"""Two systems on the same queries: how far apart, how surely, and query by query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.metrics.bootstrap import confidence_intervals, recording_sums
from amr.metrics.figures import PerQuery
from amr.metrics.permutation import permutation_p


@dataclass(frozen=True)
class Comparison:
    """The second system minus the first, a row a figure.

    Args:
        difference: ``(figures,)`` of the means, as shares.
        interval: ``(figures, 2)`` of the difference; NaN where resampling cannot tell.
        p: ``(figures,)`` of the paired permutation, two-sided.
        won: ``(figures,)`` queries on which the second is better.
        lost: ``(figures,)`` queries on which the first is better.
    """

    difference: Float64Array
    interval: Float64Array
    p: Float64Array
    won: Int64Array
    lost: Int64Array


def compare(first: PerQuery, second: PerQuery, *, draws: int, seed: int) -> Comparison:
    """Compare two systems on the same queries, in the same order.

    Raises:
        ValueError: they are not of the same queries.
    """
    if not np.array_equal(first.recording, second.recording):
        raise ValueError("the two systems do not have the same queries in the same order")
    change = second.values - first.values
    sums, _ = recording_sums(change, first.recording)
    return Comparison(
        difference=change.mean(axis=0),
        interval=confidence_intervals(change, first.recording, draws=draws, seed=seed),
        p=permutation_p(sums, draws=draws, seed=seed),
        won=(change > 0).sum(axis=0),
        lost=(change < 0).sum(axis=0),
    )
