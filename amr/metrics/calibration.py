"""Do scores mean what they say: of windows scored 0.8, do 80 % hit?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.arrays import BoolArray, Float64Array, Int64Array

HIT_IOU = 0.5
"""A window is right when its IoU with some true window reaches this; a second one on the same moment too."""

NUM_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Windows by score, in even bins of [0, 1]; the first holds 0, each its upper end.

    Args:
        count: ``(bins,)`` windows.
        score: ``(bins,)`` their mean score, NaN where there is none.
        share: ``(bins,)`` share of them that are right, NaN where there is none.
    """

    count: Int64Array
    score: Float64Array
    share: Float64Array

    def expected_error(self) -> float:
        """Mean distance of score and share, weighted by windows (ECE; Guo et al., ICML 2017, eq. 3)."""
        held = self.count > 0
        gaps = np.abs(self.score[held] - self.share[held])
        return float(np.average(gaps, weights=self.count[held]))


def reliability(score: Float64Array, right: BoolArray, bins: int = NUM_BINS) -> Reliability | None:
    """How scores ``(windows,)`` go with being right; None where they cannot be probabilities.

    That is where there is none, or one is NaN or outside [0, 1].
    """
    if not len(score) or not bool(np.all((score >= 0) & (score <= 1))):
        return None
    edges = np.arange(1, bins) / bins
    place = np.searchsorted(edges, score, side="left")  # an upper end belongs to its bin
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            count=count,
            score=np.bincount(place, weights=score, minlength=bins) / count,
            share=np.bincount(place, weights=right.astype(np.float64), minlength=bins) / count,
        )
