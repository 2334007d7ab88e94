"""Several training runs of one system: what a new run, and other recordings, may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array
from amr.metrics.bootstrap import LEVEL, confidence_intervals
from amr.metrics.figures import PerQuery
from amr.metrics.student import t_quantile


@dataclass(frozen=True)
class SeedScores:
    """Figures of several runs, as shares.

    Args:
        runs: ``(runs, figures)``.
        mean: ``(figures,)``.
        deviation: ``(figures,)`` sample standard deviation (n - 1) of the runs.
        over_seeds: ``(figures, 2)`` where the mean over all seeds lies, on these recordings.
        over_recordings: ``(figures, 2)`` where the mean of these very runs lies, over all such recordings.
        over_both: ``(figures, 2)`` where the system lies, over all seeds and such recordings.
    """

    runs: Float64Array
    mean: Float64Array
    deviation: Float64Array
    over_seeds: Float64Array
    over_recordings: Float64Array
    over_both: Float64Array


def seed_scores(runs: Sequence[PerQuery], *, draws: int, seed: int) -> SeedScores:
    """Mean, spread and intervals of at least two runs on the same queries.

    Over seeds the interval is Student's, over recordings that of :mod:`amr.metrics.bootstrap`. Over both,
    the reaches of the two are squared and added (Zou and Donner, Stat. Med. 27, 2008, eq. 3); noise that is
    of one run and one recording is in both, so it errs on the wide side.

    Raises:
        ValueError: fewer than two runs, or not of the same queries.
    """
    first = runs[0]
    if len(runs) < 2 or any(not np.array_equal(run.recording, first.recording) for run in runs):
        raise ValueError("at least two runs on the same queries in the same order are needed")
    means = np.stack([run.means() for run in runs])
    values = np.mean([run.values for run in runs], axis=0)
    middle, deviation = means.mean(axis=0), means.std(axis=0, ddof=1)
    over_seeds = student_interval(middle, deviation, len(runs))
    over_recordings = confidence_intervals(values, first.recording, draws=draws, seed=seed)
    return SeedScores(
        means, middle, deviation, over_seeds, over_recordings, both(middle, over_seeds, over_recordings)
    )


def student_interval(middle: Float64Array, deviation: Float64Array, count: int) -> Float64Array:
    """``(figures, 2)`` of a mean of ``count`` runs; may reach beyond [0, 1]."""
    reach = t_quantile((1 + LEVEL) / 2, count - 1) * deviation / np.sqrt(count)
    return np.stack([middle - reach, middle + reach], axis=1)


def both(middle: Float64Array, first: Float64Array, second: Float64Array) -> Float64Array:
    """``(figures, 2)`` the interval of two independent sources of error around one value."""
    reach = np.hypot(first - middle[:, None], second - middle[:, None])
    return np.stack([middle - reach[:, 0], middle + reach[:, 1]], axis=1)
