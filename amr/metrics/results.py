"""The figures of an evaluation: per query, and their means as the field prints them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array, Int64Array

IOU_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""0.5:0.05:0.95, each the float nearest to its two decimals: 0.7, not 0.5 + 4 * 0.05."""

MAX_ANSWERS = 10
"""Predicted windows of a query that count; the evaluator of Moment-DETR set it, all of the field follows."""


@dataclass(frozen=True)
class RetrievalScores:
    """Moment retrieval figures of the queries judged.

    Args:
        query: ``(queries,)`` codes of the queries.
        top_iou: ``(queries,)`` IoU of each top window with the true window that it meets best.
        average_precision: ``(queries, thresholds)``.
        num_windows: true windows in all.
    """

    query: Int64Array
    top_iou: Float64Array
    average_precision: Float64Array
    num_windows: int

    def recall_at_1(self) -> dict[str, float]:
        """Per cent of queries whose top window reaches each IoU threshold, by the threshold's name."""
        return {str(iou): two_decimals(float(np.mean(self.top_iou >= iou) * 100)) for iou in IOU_THRESHOLDS}

    def mean_average_precision(self) -> dict[str, float]:
        """Mean AP in per cent at each IoU threshold, and ``average``: the mean of the unrounded ten."""
        return mean_average_precision(self.average_precision)

    def mean_iou(self) -> float:
        """Mean IoU of the top windows in per cent."""
        return two_decimals(float(np.mean(self.top_iou) * 100))


def mean_average_precision(average_precision: Float64Array) -> dict[str, float]:
    """See :meth:`RetrievalScores.mean_average_precision`; from ``(queries, thresholds)``."""
    means = average_precision.mean(axis=0)
    named = dict(zip(map(str, IOU_THRESHOLDS), means, strict=True))
    named["average"] = np.mean(means)
    return {name: two_decimals(100 * float(value)) for name, value in named.items()}


def two_decimals(value: float) -> float:
    """A float as it reads after printing with two decimals (half to even of the binary value)."""
    return float(f"{value:.2f}")
