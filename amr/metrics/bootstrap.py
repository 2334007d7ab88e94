"""Confidence intervals of means over queries, by resampling recordings.

Queries of one recording share its sound, so the recording is what is drawn (the cluster bootstrap: Davison
and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). A resampled mean is a ratio, the
drawn recordings' sums over their numbers of queries, so a draw costs an addition a recording.

The interval is BCa (Efron, J. Am. Stat. Assoc. 82, 1987) at levels widened by Student's t (Hesterberg, Am.
Stat. 69, 2015, section 4.3): of the methods simulated, it alone kept 93 to 97 % (docs/metrics.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.metrics.student import t_quantile

LEVEL = 0.95
MIN_RECORDINGS = 2

MAX_BLOCK_CELLS = 1 << 22
"""Cells of a block of draws: 32 MB."""

TIE = 1e-12
"""Means closer than this are equal: sums of the same numbers in another order."""

NORMAL = NormalDist()


def confidence_intervals(
    values: Float64Array, recording: Int64Array, *, draws: int, seed: int, level: float = LEVEL
) -> Float64Array:
    """``(figures, 2)`` lower and upper end of the interval of each column's mean.

    NaN where resampling cannot tell: fewer than two recordings, no draws, or the same mean whichever
    recordings are drawn (every query a hit, or none).

    Args:
        values: ``(queries, figures)``.
        recording: ``(queries,)`` codes ``0 .. recordings - 1``.
        draws: how many bootstrap samples.
        seed: of the draws; the same seed, the same interval.
        level: nominal coverage.
    """
    sums, sizes = recording_sums(values, recording)
    ends = np.full((values.shape[1], 2), np.nan)
    if len(sizes) < MIN_RECORDINGS or draws < 1:
        return ends
    means = resampled_means(sums, sizes, draws=draws, seed=seed)
    without = (sums.sum(axis=0) - sums) / (sizes.sum() - sizes)[:, None]  # (recordings, figures)
    for figure, mean in enumerate(sums.sum(axis=0) / sizes.sum()):
        if np.ptp(means[:, figure]) > TIE:
            levels = bca_levels(means[:, figure], mean, without[:, figure], level)
            ends[figure] = np.quantile(means[:, figure], levels)
    return ends


def recording_sums(values: Float64Array, recording: Int64Array) -> tuple[Float64Array, Float64Array]:
    """``(recordings, figures)`` sums of values and ``(recordings,)`` numbers of queries."""
    sizes: Float64Array = np.bincount(recording).astype(np.float64)
    sums: Float64Array = np.stack(
        [np.bincount(recording, weights=column, minlength=len(sizes)) for column in values.T], axis=1
    )
    return sums, sizes


def resampled_means(sums: Float64Array, sizes: Float64Array, *, draws: int, seed: int) -> Float64Array:
    """``(draws, figures)`` the mean over queries of each sample of recordings.

    Args:
        sums: ``(recordings, figures)``.
        sizes: ``(recordings,)`` queries, at least one each.
        draws: how many samples.
        seed: of the draws.
    """
    table = np.concatenate([sums, sizes[:, None]], axis=1)
    drawn = np.concatenate([counts @ table for counts in drawn_counts(len(sizes), draws, seed)])
    means: Float64Array = drawn[:, :-1] / drawn[:, -1:]
    return means


def drawn_counts(num_recordings: int, draws: int, seed: int) -> Iterator[Float64Array]:
    """Blocks ``(draws, recordings)``: how often each recording is in each sample, multinomial."""
    generator = np.random.default_rng(seed)
    block = max(1, MAX_BLOCK_CELLS // num_recordings)
    for first in range(0, draws, block):
        size = min(block, draws - first)
        chosen = generator.integers(0, num_recordings, size=(size, num_recordings))
        chosen += num_recordings * np.arange(size)[:, None]
        flat = np.bincount(chosen.ravel(), minlength=size * num_recordings)
        yield flat.reshape(size, num_recordings).astype(np.float64)


def bca_levels(
    resampled: Float64Array, mean: float, without: Float64Array, level: float
) -> tuple[float, float]:
    """Which quantiles of the resampled means end the interval; Efron 1987, eq. 2.3 to 4.4 and 6.6.

    Args:
        resampled: ``(draws,)``.
        mean: of the data as they are.
        without: ``(recordings,)`` the mean without each recording.
        level: nominal coverage.
    """
    bias, acceleration = bias_and_acceleration(resampled, mean, without)
    reach = widened_reach(len(without), level)
    return shifted(bias, acceleration, -reach), shifted(bias, acceleration, reach)


def bias_and_acceleration(resampled: Float64Array, mean: float, without: Float64Array) -> tuple[float, float]:
    """The two corrections of BCa, from the resampled means and from leaving out each recording."""
    below = np.mean(resampled < mean - TIE) + np.mean(np.abs(resampled - mean) <= TIE) / 2
    edge = 1 / (2 * len(resampled))
    bias = NORMAL.inv_cdf(min(max(float(below), edge), 1 - edge))
    spread = without.mean() - without
    scale = float(np.sum(spread**2)) ** 1.5
    return bias, float(np.sum(spread**3)) / (6 * scale) if scale > 0 else 0.0


def widened_reach(num_recordings: int, level: float) -> float:
    """Standard normal quantile that makes up for few recordings: Student's t, and n against n - 1."""
    tail = (1 - level) / 2
    wide = np.sqrt(num_recordings / (num_recordings - 1)) * t_quantile(1 - tail, num_recordings - 1)
    return float(wide)


def shifted(bias: float, acceleration: float, reach: float) -> float:
    """A level moved for the bias and the skew of the resampled means."""
    below = bias + reach
    slope = 1 - acceleration * below
    if slope <= 0:  # beyond the pole of the transformation: the end of the resampled means
        return 1.0 if below > 0 else 0.0
    return NORMAL.cdf(bias + below / slope)
