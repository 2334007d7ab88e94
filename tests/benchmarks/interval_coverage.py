"""How often an interval holds the truth, by method and number of recordings, in worlds with a known mean.

    python tests/benchmarks/interval_coverage.py [TIMES]

Prints a row a world and number of recordings; docs/metrics.md quotes it. Exit 1 when the method that
``amr score`` uses is outside 93 to 97 % with 30 recordings or more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from oracles.coverage import WORLDS, Array, coverage

from amr.metrics.bootstrap import (
    NORMAL,
    bias_and_acceleration,
    confidence_intervals,
    recording_sums,
    resampled_means,
    shifted,
    widened_reach,
)

TIMES = 3_000
DRAWS = 1_000
RECORDINGS = (15, 30, 80, 200)
LOWEST, HIGHEST, FROM_RECORDINGS = 0.93, 0.97, 30


def at_levels(levels: Callable[[Array, float, Array], tuple[float, float]]) -> Callable[..., Array]:
    """A method that differs in the quantiles that it takes."""

    def interval(values: Array, recording: Array, *, draws: int, seed: int) -> Array:
        sums, sizes = recording_sums(values, recording)
        means = resampled_means(sums, sizes, draws=draws, seed=seed)[:, 0]
        without = (sums.sum() - sums[:, 0]) / (sizes.sum() - sizes)
        return np.quantile(means, levels(means, float(values.mean()), without))[None, :]

    return interval


def plain(means: Array, mean: float, without: Array) -> tuple[float, float]:
    """The percentile method."""
    return 0.025, 0.975


def widened(means: Array, mean: float, without: Array) -> tuple[float, float]:
    """Percentiles at levels widened by Student's t."""
    tail = NORMAL.cdf(-widened_reach(len(without), 0.95))
    return tail, 1 - tail


def bca(means: Array, mean: float, without: Array) -> tuple[float, float]:
    """BCa without widening."""
    bias, acceleration = bias_and_acceleration(means, mean, without)
    reach = NORMAL.inv_cdf(0.975)
    return shifted(bias, acceleration, -reach), shifted(bias, acceleration, reach)


METHODS = {
    "percentile": at_levels(plain),
    "widened": at_levels(widened),
    "BCa": at_levels(bca),
    "BCa widened": confidence_intervals,
}


def main() -> int:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else TIMES
    missed = False
    print(f"{'':28}{'recordings':>10}" + "".join(f"{name:>13}" for name in METHODS))
    for name, (world, mean) in WORLDS.items():
        for recordings in RECORDINGS:
            held = {
                method: coverage(world, mean, interval, recordings=recordings, times=times, draws=DRAWS)
                for method, interval in METHODS.items()
            }
            ours = held["BCa widened"]
            missed |= recordings >= FROM_RECORDINGS and not LOWEST <= ours <= HIGHEST
            shares = "".join(f"{100 * share:13.1f}" for share in held.values())
            print(f"{name:28}{recordings:10}{shares}", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
