"""QVHighlights' highlight metrics: does the curve over a recording rise where people saw highlights?

Each two-second clip has a saliency from 0 to 4 by each of three people; a clip is positive from 2 (Fair),
3 (Good) or 4 (VeryGood). HL-mAP is the mean AP over queries and people, HL-Hit1 how often the top clip is
positive for anyone. Source: ``standalone_eval`` of Moment-DETR; every quirk is kept, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array
from amr.metrics.official import OfficialStopError
from amr.metrics.ragged import Ragged, even_blocks, sum_selected
from amr.metrics.results import two_decimals

CLIP_S = 2.0
PEOPLE = 3
LEVELS = {"Fair": 2.0, "Good": 3.0, "VeryGood": 4.0}
"""The least saliency of a positive clip."""


@dataclass(frozen=True)
class HighlightScores:
    """Highlight figures at one level.

    Args:
        average_precision: ``(queries, people)``.
        top_hit: ``(queries,)`` 1 where the top clip is positive for someone.
    """

    average_precision: Float64Array
    top_hit: Float64Array

    def mean_average_precision(self) -> float:
        """HL-mAP in per cent."""
        return two_decimals(float(100 * np.mean(self.average_precision)))

    def hit_at_1(self) -> float:
        """HL-Hit1 in per cent."""
        return two_decimals(float(100 * np.mean(self.top_hit)))


def highlight_scores(curves: Ragged, labels: Ragged) -> dict[str, HighlightScores]:
    """The figures of each level, by its name.

    Args:
        curves: predicted saliency, a row a clip; longer curves are cut, shorter ones filled up with 0.
        labels: of the same queries, rows ``(person 1, person 2, person 3)``, a row a clip.

    Raises:
        OfficialStopError: a curve is empty or not finite, or a recording has no whole clip.
    """
    if (curves.counts == 0).any():
        raise OfficialStopError("ValueError", "a saliency curve has no value")
    if not np.isfinite(curves.rows).all():
        raise OfficialStopError("ValueError", "a saliency curve holds a value that is not finite")
    if (labels.counts == 0).any():
        raise OfficialStopError("ValueError", "a recording is shorter than one clip")
    return {name: level_scores(curves, labels, least) for name, least in LEVELS.items()}


def level_scores(curves: Ragged, labels: Ragged, least: float) -> HighlightScores:
    """The figures of one level; ``least``: the saliency from which a clip is positive."""
    precision, hit = np.zeros((len(curves), PEOPLE)), np.zeros(len(curves))
    for queries, (num_values, num_clips) in even_blocks(curves.counts, labels.counts, cells_an_item=PEOPLE):
        curve = curves.block(queries, num_values)  # (queries, values)
        positive = labels.block(queries, num_clips) >= least  # (queries, clips, people)
        top = np.argmax(curve, axis=1)
        inside = top < num_clips
        hit[queries[inside]] = positive[inside, top[inside]].max(axis=1)
        fitted = np.zeros((len(queries), num_clips))
        shared = min(num_values, num_clips)
        fitted[:, :shared] = curve[:, :shared]
        precision[queries] = clip_precision(fitted, positive.astype(np.float64))
    return HighlightScores(precision, hit)


def clip_precision(curve: Float64Array, positive: Float64Array) -> Float64Array:
    """``(queries, people)`` mean interpolated precision over the recalls that the curve's levels reach.

    Clips of equal value are taken together. Each recall weighs the same, however many clips it adds.

    Args:
        curve: ``(queries, clips)``.
        positive: ``(queries, clips, people)``, 0 or 1.
    """
    num_queries, num_clips = curve.shape
    order = np.argsort(-curve, axis=1, kind="stable")
    falling = np.take_along_axis(curve, order, axis=1)
    ends_level = np.ones((num_queries, num_clips), dtype=bool)
    ends_level[:, :-1] = falling[:, 1:] != falling[:, :-1]
    found = np.cumsum(np.take_along_axis(positive, order[:, :, None], axis=1), axis=1)
    reached = np.where(ends_level[:, :, None], found, 0.0)
    precision = reached / np.arange(1.0, num_clips + 1)[:, None]
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)  # lowest level first, as it is summed
    before = np.zeros_like(reached)
    before[:, 1:] = np.maximum.accumulate(reached, axis=1)[:, :-1]
    is_step = (reached > before)[:, ::-1]
    values = envelope.transpose(0, 2, 1).reshape(-1, num_clips)  # (queries * people, clips)
    steps = is_step.transpose(0, 2, 1).reshape(-1, num_clips)
    means = sum_selected(values, steps) / np.maximum(steps.sum(axis=1), 1)
    result: Float64Array = means.reshape(num_queries, PEOPLE)
    return result
