"""The highest score that a recording can have, from what an index says of its frames.

A calibrated network's score is a product of two chances (docs/decisions/0017-presence.md). One of them
follows from the level of the window that the moment lies in, and the level from the frames' cosines and
similarities, which an index has. The other is at most 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array
from amr.models.frames.level import COSINE_LEVEL, HALF_FOOT, SIMILARITY_LEVEL
from amr.retrieval.archive.curves import highest_smoothed
from amr.retrieval.archive.ranking import above_level
from amr.retrieval.archive.spaces import Offsets, Vector
from amr.retrieval.trained.model import MomentModel
from amr.retrieval.trained.windows import cut

# A guess at the logit of the other chance, which the network alone knows: it is the surer of its best moment
# the higher the curve still reaches when it is smoothed twice as widely, the more a recording's cosine
# spreads, the lower that is on average, and the fewer frames make it. Fitted by
# tests/benchmarks/archive_order.py --fit (docs/measurements/0017-presence.md).
OWN_SHIFT = -1.11
OWN_WEIGHTS = (1.01, 19.2, -5.1, 0.2)
LEAST_SPREAD = 1e-6
WIDE_HALF_FOOT = 2 * HALF_FOOT


@dataclass(frozen=True)
class ScoreBound:
    """Of one network: see ``level_weight``, ``level_shift`` and ``level_similarity`` of its configuration.

    Args:
        weight, shift: a level's chance is sigmoid(weight level + shift).
        similarity: of a unit of similarity, in a level.
        window_frames: what the network sees at once; each window of a longer recording has its own level.
    """

    weight: float
    shift: float
    similarity: float
    window_frames: int

    def highest_score(self, level: Vector) -> Float64Array:
        """``(recordings,)`` of :meth:`levels`; 0 for a recording without a frame."""
        logit = np.where(np.isfinite(level), self.weight * level.astype(np.float64) + self.shift, -np.inf)
        bound: Float64Array = 1 / (1 + np.exp(-np.clip(logit, -700, None)))
        return bound

    def levels(self, similarity: Vector, cosine: Vector, start: Offsets) -> Vector:
        """``(recordings,)``: the highest level of any window; minus infinity where there is no frame.

        Args:
            similarity, cosine: ``(frames,)`` of all recordings.
            start: ``(recordings + 1,)``, where each begins.
        """
        highest = self._levels(similarity, cosine, start)
        for number in np.flatnonzero(np.diff(start) > self.window_frames):
            windows = cut(int(start[number + 1] - start[number]), self.window_frames)
            rows = start[number] + np.concatenate([np.arange(each.start, each.stop) for each in windows])
            ends = np.arange(len(windows) + 1) * self.window_frames
            highest[number] = self._levels(similarity[rows], cosine[rows], ends).max()
        return highest

    def _levels(self, similarity: Vector, cosine: Vector, start: Offsets) -> Vector:
        """``(stretches,)``: the level of each stretch as a whole."""
        return highest_smoothed(self._curve(similarity, cosine, start), start, HALF_FOOT)

    def _curve(self, similarity: Vector, cosine: Vector, start: Offsets) -> Vector:
        curve = above_level(cosine, start, 1.0, COSINE_LEVEL)
        curve += above_level(similarity, start, self.similarity, SIMILARITY_LEVEL)
        return curve

    def likely(self, similarity: Vector, cosine: Vector, start: Offsets, level: Vector) -> Float64Array:
        """``(recordings,)``: a guess at the best score of each, which ranks them and bounds nothing.

        Args:
            similarity, cosine: ``(frames,)`` of all recordings, none of which is without frames.
            start: ``(recordings + 1,)``, where each begins.
            level: of :meth:`levels`.
        """
        logit = OWN_SHIFT + self.own_signs(similarity, cosine, start) @ np.array(OWN_WEIGHTS)
        guess: Float64Array = self.highest_score(level) / (1 + np.exp(-logit))
        return guess

    def own_signs(self, similarity: Vector, cosine: Vector, start: Offsets) -> Float64Array:
        """``(recordings, 4)``, what the guess is made of: the highest point of the curve smoothed twice as
        widely as for a level; the standard deviation, the mean and the skewness of the cosine.

        Args:
            similarity, cosine, start: of :meth:`likely`.
        """
        wide = highest_smoothed(self._curve(similarity, cosine, start), start, WIDE_HALF_FOOT)
        lengths, first = np.diff(start), start[:-1]
        mean = np.add.reduceat(cosine, first) / lengths
        apart = cosine - np.repeat(mean, lengths)
        spread = np.sqrt(np.add.reduceat(apart**2, first) / lengths)
        skew = np.add.reduceat(apart**3, first) / lengths / np.maximum(spread, LEAST_SPREAD) ** 3
        return np.stack((wide, spread, mean, skew), axis=1).astype(np.float64)


def bound_of(model: MomentModel | None) -> ScoreBound | None:
    """The bound of a network's scores; None where it has none: it is not calibrated, or has no prototypes."""
    if model is None or model.prototypes is None or model.config.level_weight <= 0:
        return None
    config = model.config
    return ScoreBound(config.level_weight, config.level_shift, config.level_similarity, config.window_frames)
