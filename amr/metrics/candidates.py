"""How well each predicted window meets its best true window: what R@k, calibration and re-ranking see."""

from __future__ import annotations

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.metrics.exact import RankedQueries
from amr.metrics.iou import hull_union_iou, sum_union_iou
from amr.metrics.ragged import Ragged, even_blocks
from amr.metrics.results import MAX_ANSWERS


def candidate_iou(ranked_queries: RankedQueries, chosen: Int64Array) -> Ragged:
    """The IoU of each predicted window of some queries with the true window that it meets best.

    Partner and IoU as of the top window (:func:`amr.metrics.recall.top_iou`), so the first row of each query
    is the figure under R1. Several windows may meet one true window.

    Args:
        ranked_queries: both files.
        chosen: codes of queries that have a true window.

    Returns:
        item ``i``: rows ``(ranked,)`` of query ``chosen[i]``, best score first.
    """
    ranked, truth = ranked_queries.ranked.take(chosen), ranked_queries.truth.take(chosen)
    found = np.zeros(len(ranked.rows))
    for items, (num_ranked, num_true) in even_blocks(ranked.counts, truth.counts, cells_an_item=2):
        if num_ranked == 0:
            continue
        windows = ranked.block(items, num_ranked)[:, :, None, :]  # (items, ranked, 1, 2)
        true = truth.block(items, num_true)[:, None, :, :]  # (items, 1, true, 2)
        partner = np.argmax(sum_union_iou(windows, true), axis=2)[:, :, None]  # (items, ranked, 1)
        hull = np.take_along_axis(hull_union_iou(windows, true), partner, axis=2)[:, :, 0]
        found[ranked.start[items][:, None] + np.arange(num_ranked)] = hull
    return Ragged(ranked.start, found)


def best_of_top(iou: Ragged, depths: tuple[int, ...]) -> Float64Array:
    """``(queries, depths)`` the highest IoU among the first windows of each query; 0 where there is none.

    Args:
        iou: see :func:`candidate_iou`.
        depths: how many windows from the top, each at most :data:`MAX_ANSWERS`.
    """
    grid = np.zeros((len(iou), MAX_ANSWERS))
    grid[iou.owner, iou.rank] = iou.rows
    running = np.maximum.accumulate(grid, axis=1)
    best: Float64Array = running[:, [depth - 1 for depth in depths]]
    return best
