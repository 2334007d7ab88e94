"""Zero-shot sound event detection in frames, as the AM-DETR paper's evaluation defines it.

Section V-C of arXiv 2409.15672 and its published program: a frame a second, at 0, 1, 2, … s, as many as the
recording's seconds rounded up; a frame is active from the start to the end of a window, both included, so
windows shorter than a second that lie between two whole seconds activate nothing; predicted windows count
when their score is above the threshold, not at it; P, R and F1 are micro averages over classes and frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array, Int64Array

THRESHOLD = 0.5

Window = Sequence[float]
Key = tuple[str, str]
"""Recording and class."""


@dataclass(frozen=True)
class Frames:
    """Every class and frame of a set of recordings, one row each, rows of one class together.

    Args:
        classes: distinct queries of the reference, in order of appearance.
        owner: ``(cells,)`` the class of each.
        score: ``(cells,)`` the highest score of a predicted window over it; -inf where there is none.
        true: ``(cells,)`` whether a true window is over it.
    """

    classes: list[str]
    owner: Int64Array
    score: Float64Array
    true: Float64Array


@dataclass(frozen=True)
class Rates:
    """Precision, recall and F1 as shares, from counts; 0 where they would divide by 0."""

    true_positives: int
    predicted: int
    positives: int

    @property
    def precision(self) -> float:
        return self.true_positives / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.true_positives / self.positives if self.positives else 0.0

    @property
    def f1(self) -> float:
        """2 P R / (P + R)."""
        both = self.predicted + self.positives
        return 2 * self.true_positives / both if both else 0.0


def make_frames(
    durations_s: dict[str, float],
    classes: Sequence[str],
    truth: dict[Key, list[Window]],
    answers: dict[Key, list[Window]],
) -> Frames:
    """Both sides laid out in frames; classes times recordings, whether or not a pair is in either.

    Args:
        durations_s: of each recording of the reference.
        classes: distinct queries of the reference.
        truth: ``(start_s, end_s)`` windows of each pair.
        answers: ``(start_s, end_s, score)`` windows of each pair.
    """
    owner, score, true = [], [], []
    for number, name in enumerate(classes):
        for vid, duration_s in durations_s.items():
            count = num_frames(duration_s)
            owner.append(np.full(count, number, dtype=np.int64))
            true.append(covered(truth.get((vid, name), ()), count))
            score.append(highest_score(answers.get((vid, name), ()), count))
    return Frames(list(classes), np.concatenate(owner), np.concatenate(score), np.concatenate(true))


def num_frames(duration_s: float) -> int:
    """A frame a second begun."""
    return math.ceil(duration_s)


def covered(windows: Iterable[Window], count: int) -> Float64Array:
    """``(frames,)`` 1 where a window is, both ends included."""
    time_s, found = np.arange(count), np.zeros(count)
    for start_s, end_s in windows:
        found[(time_s >= start_s) & (time_s <= end_s)] = 1.0
    return found


def highest_score(windows: Iterable[Window], count: int) -> Float64Array:
    """``(frames,)`` the highest score of the windows over each frame, no NaN; -inf where none is."""
    time_s, found = np.arange(count), np.full(count, -np.inf)
    for start_s, end_s, score in windows:
        inside = (time_s >= start_s) & (time_s <= end_s)
        found[inside] = np.fmax(found[inside], score)
    return found


def rates(frames: Frames, threshold: float) -> Rates:
    """Micro average over all classes."""
    active = frames.score > threshold
    return Rates(int(frames.true[active].sum()), int(active.sum()), int(frames.true.sum()))


def class_rates(frames: Frames, threshold: float) -> dict[str, Rates]:
    """The same of each class by itself."""
    found = {}
    for number, name in enumerate(frames.classes):
        here = frames.owner == number
        part = Frames([name], frames.owner[here], frames.score[here], frames.true[here])
        found[name] = rates(part, threshold)
    return found


@dataclass(frozen=True)
class Sweep:
    """Every operating point there is: thresholds at which another set of frames is active.

    Args:
        threshold: ``(points,)`` rising; the first lies below every score.
        rates: of each.
    """

    threshold: list[float]
    rates: list[Rates]

    def best(self) -> tuple[float, Rates]:
        """The threshold of highest F1; of equal ones the highest threshold."""
        index = max(range(len(self.rates)), key=lambda point: (self.rates[point].f1, point))
        return self.threshold[index], self.rates[index]


def sweep(frames: Frames) -> Sweep:
    """All operating points, from one sort.

    A threshold stands half-way between two neighbouring scores, so that it means the same on other files
    whose scores differ a little; the last one is the highest score, above which nothing is.
    """
    order = np.argsort(-frames.score, kind="stable")
    score = frames.score[order]
    order, score = order[np.isfinite(score)], score[np.isfinite(score)]
    positives = int(frames.true.sum())
    if not len(score):
        return Sweep([THRESHOLD], [Rates(0, 0, positives)])
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # the last frame of each score
    found = np.cumsum(frames.true[order])[ends]
    levels = score[ends]  # falling
    below = np.append((levels[:-1] + levels[1:]) / 2, levels[-1] - 1.0)
    below = np.where(below < levels, below, np.append(levels[1:], below[-1]))  # neighbours one bit apart
    points = [(float(levels[0]), Rates(0, 0, positives))]
    points += [
        (threshold, Rates(int(hits), int(end) + 1, positives))
        for threshold, hits, end in zip(below.tolist(), found, ends, strict=True)
    ]
    points.reverse()
    return Sweep([threshold for threshold, _ in points], [rate for _, rate in points])
