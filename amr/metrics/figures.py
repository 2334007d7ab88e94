"""The quoted figures as per-query values: what intervals and comparisons are computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.metrics.results import IOU_THRESHOLDS, RetrievalScores

FIGURES = ("R1@0.5", "R1@0.7", "mAP", "mAP@0.5", "mAP@0.75", "mIoU")
"""Each is the mean over queries of a value in [0, 1]."""


@dataclass(frozen=True)
class PerQuery:
    """Values of each query, and which recording it is asked of.

    Args:
        values: ``(queries, figures)`` in [0, 1], columns as :data:`FIGURES`.
        recording: ``(queries,)`` codes ``0 .. recordings - 1``; queries of one recording are not independent.
    """

    values: Float64Array
    recording: Int64Array

    @property
    def num_recordings(self) -> int:
        """How many recordings have a query."""
        return int(self.recording.max(initial=-1)) + 1

    def means(self) -> Float64Array:
        """``(figures,)`` as shares."""
        means: Float64Array = self.values.mean(axis=0)
        return means


def figure_values(scores: RetrievalScores) -> Float64Array:
    """``(queries, figures)`` the value of each query under each of :data:`FIGURES`."""
    precision = scores.average_precision
    columns = [
        (scores.top_iou >= 0.5).astype(np.float64),
        (scores.top_iou >= 0.7).astype(np.float64),
        precision.mean(axis=1),
        precision[:, IOU_THRESHOLDS.index(0.5)],
        precision[:, IOU_THRESHOLDS.index(0.75)],
        scores.top_iou,
    ]
    return np.stack(columns, axis=1)


def coded(names: list[str]) -> Int64Array:
    """``(names,)`` codes in order of first appearance; equal names, equal codes."""
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    return np.array([codes[name] for name in names], dtype=np.int64)
