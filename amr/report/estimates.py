"""Shares with their uncertainty, for figures; queries of one recording go together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

DRAWS = 1000
LOW_PERCENT, HIGH_PERCENT = 2.5, 97.5


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def resampled_counts(groups: Sequence[Hashable], *, seed: int = 0, draws: int = DRAWS) -> FloatArray:
    """``(draws, queries)`` how often each query is in each bootstrap sample of whole groups (recordings).

    The cluster bootstrap: groups are drawn with replacement, as many as there are; Davison and Hinkley,
    Bootstrap Methods and their Application (1997), section 3.8.
    """
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(codes), np.full(len(codes), 1.0 / len(codes)), size=draws)
    counts: FloatArray = times[:, [codes[group] for group in groups]].astype(np.float64)
    return counts


def mean_estimate(values: FloatArray, counts: FloatArray) -> Estimate:
    """Mean of ``values (queries,)`` with a percentile interval from ``counts (draws, queries)``."""
    drawn = counts.sum(axis=1)
    means = (counts @ values)[drawn > 0] / drawn[drawn > 0]
    low, high = np.percentile(means, [LOW_PERCENT, HIGH_PERCENT])
    return Estimate(float(values.mean()), float(low), float(high))


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers whose scores lie in one range.

    Args:
        low, high: the range of scores.
        score: their mean score.
        share: how many of them are right, in [0, 1].
        count: how many they are.
    """

    low: float
    high: float
    score: float
    share: float
    count: int


def reliability_bins(
    scores: FloatArray, right: npt.NDArray[np.bool_], bins: int = 10
) -> list[ReliabilityBin]:
    """Even ranges of [0, 1] that hold an answer; scores outside belong to the outermost range."""
    place = np.clip((scores * bins).astype(np.int64), 0, bins - 1)
    found = []
    for index in np.unique(place):
        inside = place == index
        found.append(
            ReliabilityBin(
                low=float(index / bins),
                high=float((index + 1) / bins),
                score=float(scores[inside].mean()),
                share=float(right[inside].mean()),
                count=int(inside.sum()),
            )
        )
    return found


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Mean distance of share and score, weighted by count; Guo et al. 2017, eq. 3."""
    total = sum(entry.count for entry in bins)
    return sum(entry.count * abs(entry.share - entry.score) for entry in bins) / total if total else 0.0
