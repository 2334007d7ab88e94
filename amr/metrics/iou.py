"""Intersection over union of intervals, with the field's two unions.

The official evaluator matches windows by one union and judges the best one by another. For windows that
overlap the two are equal in exact arithmetic and may differ in the last bit of a float, so both are kept.
"""

from __future__ import annotations

import numpy as np

from amr.arrays import Float64Array


def sum_union_iou(a: Float64Array, b: Float64Array) -> Float64Array:
    """IoU of windows ``a (..., 2)`` and ``b (..., 2)``, broadcast; union = both lengths - intersection.

    NaN where the lengths cancel each other or a bound is NaN; the caller decides what that means.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        overlap = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
        overlap = np.clip(overlap, 0, None)
        union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - overlap
        iou: Float64Array = overlap / union
    return iou


def hull_union_iou(a: Float64Array, b: Float64Array) -> Float64Array:
    """IoU of windows ``a (..., 2)`` and ``b (..., 2)``, broadcast; union = latest end - earliest start.

    0 where the hull is empty; NaN where a bound is NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        overlap = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
        overlap = np.maximum(0, overlap)
        hull = np.maximum(a[..., 1], b[..., 1]) - np.minimum(a[..., 0], b[..., 0])
        iou: Float64Array = np.divide(overlap, hull, out=np.zeros_like(overlap), where=hull != 0)
    return iou
