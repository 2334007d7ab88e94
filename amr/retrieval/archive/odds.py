"""How likely it is that recordings that were not searched hold one of the best moments.

The level of a recording is one factor of its best score; at the other there is a guess (``bounds``). How far
guesses are off is learned from the recordings that were searched, for each query by itself.
"""

from __future__ import annotations

import numpy as np

from amr.arrays import Float64Array, IntpArray
from amr.retrieval.archive.bounds import ScoreBound
from amr.retrieval.archive.levels import Levels

FEWEST, LATEST = 32, 96
"""Recordings that have to be searched before anything is said, and on how many of the last it rests."""
LEAST_DEVIATION = 0.2
"""Of a logit. The next recordings may differ more than the last few did."""
LEAST_SHARE, MOST_SHARE = 0.01, 0.98
"""Within which a factor is told from others: beyond, a single one would outweigh all."""
FARTHEST = 30.0
"""In deviations; beyond, nothing changes."""


class Odds:
    """Of one query.

    Args:
        bound: of the model's scores.
        levels: of all recordings.
    """

    def __init__(self, bound: ScoreBound, levels: Levels) -> None:
        self._chance = bound.highest_score(levels.level)
        self._guess = logit(levels.likely, self._chance)
        self._guessed = np.isfinite(levels.likely)
        self._off: list[float] = []

    def see(self, at: int, score: float) -> None:
        """Learn of a recording that was searched: its number among all, and its best score."""
        if self._guessed[at]:
            own = logit(np.array([score]), self._chance[at : at + 1])[0]
            self._off.append(float(own - self._guess[at]))

    def missing(self, left: IntpArray, least: float) -> float:
        """How many of some recordings are likely to reach a score; infinity where nothing is known yet.

        Args:
            left: their numbers among all.
            least: the score.
        """
        if len(self._off) < FEWEST:
            return np.inf
        last = np.array(self._off[-LATEST:])
        some = left[(self._chance[left] > least) & self._guessed[left]]
        needed = logit(np.full(len(some), least), self._chance[some])
        far = (needed - self._guess[some] - last.mean()) / max(float(last.std()), LEAST_DEVIATION)
        # The logistic distribution of this deviation: its tails are heavier than the normal one's.
        return float((1 / (1 + np.exp(np.clip(far * np.pi / np.sqrt(3), -FARTHEST, FARTHEST)))).sum())


def logit(score: Float64Array, chance: Float64Array) -> Float64Array:
    """Of the factor that makes a score of the chance that the sound is there at all."""
    share = np.divide(score, chance, out=np.zeros_like(chance), where=chance > 0)
    share = np.clip(share, LEAST_SHARE, MOST_SHARE)
    found: Float64Array = np.log(share) - np.log1p(-share)
    return found
