"""Shares with their uncertainty, for figures: the intervals that ``amr score`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amr.arrays import Float64Array
from amr.metrics.bootstrap import confidence_intervals
from amr.metrics.figures import coded

SEED = 0


class Estimate(NamedTuple):
    """A value and its 95 % interval, NaN where resampling cannot tell."""

    value: float
    low: float
    high: float


def mean_estimates(values: Float64Array, recordings: Sequence[str], *, draws: int) -> list[Estimate]:
    """Mean of each column of ``values (queries, columns)``; queries of one recording go together.

    Args:
        values: at least one query.
        recordings: ``(queries,)`` the recording of each query.
        draws: how many bootstrap samples.
    """
    ends = confidence_intervals(values, coded(list(recordings)), draws=draws, seed=SEED)
    return [
        Estimate(float(mean), float(low), float(high))
        for mean, (low, high) in zip(values.mean(axis=0), ends, strict=True)
    ]
