"""How well the top window of a query meets its best true window: the figure under R1 and mIoU."""

from __future__ import annotations

import numpy as np

from amr.arrays import Float64Array
from amr.metrics.iou import hull_union_iou, sum_union_iou
from amr.metrics.ragged import Ragged, even_blocks


def top_iou(top: Float64Array, truth: Ragged) -> Float64Array:
    """``(queries,)`` IoU of each query's top window with the true window that it meets best.

    The partner is chosen by :func:`sum_union_iou` (of equals the first; a NaN counts as the highest) and
    judged by :func:`hull_union_iou`, as the official evaluator does.

    Args:
        top: ``(queries, 2)`` the first-ranked windows.
        truth: true windows of the same queries; at least one each.
    """
    result = np.zeros(len(top))
    for queries, (num_true,) in even_blocks(truth.counts, cells_an_item=2):
        windows = truth.block(queries, num_true)  # (queries, true, 2)
        partner = np.argmax(sum_union_iou(top[queries][:, None, :], windows), axis=1)
        result[queries] = hull_union_iou(top[queries], windows[np.arange(len(queries)), partner])
    return result
