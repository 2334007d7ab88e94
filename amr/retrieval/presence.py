"""Scores where another share of the questions is about something that is there than calibration saw.

Calibration asks as many questions where they are answered as where they are not. Of the best moment of a
question, scored s, three things can be: it is right, with the chance r(s); it is wrong, though what is asked
for is there elsewhere, with the chance u(s) among wrong ones; or nothing is there. Where a share q of all
questions is present and not a half of them, Bayes' rule weighs them anew,

    s' = r q / (r q + (1 - r) (u q + (1 - u) (1 - q))),

r and u being logistic curves, of the logits of s and of r. With a slope of u from 0 to 1 this keeps the order
of scores, whatever q is. r is s itself but for this: scores are fitted to all moments, and best ones are
right more often than others of the same score. The share is given, or estimated from the scores of all
questions by expectation and maximisation (Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a
classifier to new a priori probabilities", equations 2.9).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array, FloatingArray
from amr.errors import UsageError
from amr.models.config import NetworkConfig

AUTO = "auto"
CALIBRATED = 0.5
"""The share of questions that were present in calibration."""
BELIEVED = 2.0
"""So many present and so many absent questions are believed to have been seen before any: of a few questions
the share stays near a half, and one question says little of itself."""
MOST_ROUNDS = 1000
TOLERANCE = 1e-6
LEAST = 1e-6
"""Scores and shares are kept so far from 0 and 1 where their logarithm is taken."""


@dataclass(frozen=True)
class Curve:
    """A chance by the logit of another one: sigmoid(slope logit + shift)."""

    slope: float
    shift: float

    def __call__(self, chance: FloatingArray) -> Float64Array:
        clipped = np.clip(np.asarray(chance, dtype=np.float64), LEAST, 1 - LEAST)
        found: Float64Array = 1 / (1 + np.exp(-self.slope * np.log(clipped / (1 - clipped)) - self.shift))
        return found


@dataclass(frozen=True)
class Presence:
    """What a calibrated model's scores say of whether something is there at all.

    Args:
        right: r above, by s.
        wrong_but_there: u above, by r.
        by_level: the chance that something is there by a first look alone, by the highest score that it
            leaves possible (``amr.retrieval.archive.bounds``); None: nothing is known of first looks.
    """

    right: Curve
    wrong_but_there: Curve
    by_level: Curve | None = None

    def there(self, scores: FloatingArray) -> Float64Array:
        """The chance that what is asked for is there, by a question's best score; of equal shares."""
        right = self.right(scores)
        return right + (1 - right) * self.wrong_but_there(right)

    def corrected(self, scores: FloatingArray, share: float) -> Float64Array:
        """Scores where ``share`` of the questions is present; in the order of ``scores``."""
        chance = self.right(scores)
        there = self.wrong_but_there(chance)
        right = chance * share
        wrong = (1 - chance) * (there * share + (1 - there) * (1 - share))
        found: Float64Array = right / (right + wrong)
        return found


def presence_of(config: NetworkConfig | None) -> Presence | None:
    """What calibration found; None where the model was not calibrated so."""
    if config is None or not config.right_slope:
        return None
    level = Curve(config.there_level_slope, config.there_level_shift)
    return Presence(
        Curve(config.right_slope, config.right_shift),
        Curve(config.there_slope, config.there_shift),
        level if level.slope else None,
    )


def estimated_share(there: FloatingArray) -> float:
    """The likeliest share of present questions, by each one's chance where present and absent are as many.

    Args:
        there: ``(questions,)`` of :meth:`Presence.there`.
    """
    odds = there / np.maximum(1 - there, LEAST)
    share = CALIBRATED
    for _ in range(MOST_ROUNDS):
        present = float((odds * share / (odds * share + (1 - share))).sum())
        following = (present + BELIEVED) / (len(there) + 2 * BELIEVED)
        if abs(following - share) < TOLERANCE:
            return following
        share = following
    return share


def checked_share(text: str | float | None) -> str | float | None:
    """A share as it was given: a number above 0 and up to 1, ``auto``, or None.

    Raises:
        UsageError: it is neither.
    """
    if text is None or text == AUTO:
        return text
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise UsageError(
            f"{text!r} is not a share of present queries",
            where="--prior",
            hint=f"give a number above 0 and up to 1, such as 0.01 for one in a hundred, or {AUTO}",
        )
    return share
