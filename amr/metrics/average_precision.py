"""Average precision of ranked windows at many IoU thresholds.

The detection AP of ActivityNet and VOC 2011 as the field's evaluator computes it: greedy matching, an
envelope of the precision, all-point interpolation. Every float operation is done in the evaluator's order, so
that a value here is its value to the last bit.
"""

from __future__ import annotations

import numpy as np

from amr.arrays import BoolArray, Float64Array
from amr.metrics.iou import sum_union_iou
from amr.metrics.ragged import Ragged, even_blocks, sum_selected


def average_precision(ranked: Ragged, truth: Ragged, thresholds: tuple[float, ...]) -> Float64Array:
    """``(queries, thresholds)`` AP of each query at each IoU threshold.

    Args:
        ranked: predicted windows, rows ``(start_s, end_s)``, best first; no row: AP 0.
        truth: true windows of the same queries, rows ``(start_s, end_s)``; at least one each.
        thresholds: IoU from which a match counts.
    """
    result = np.zeros((len(ranked), len(thresholds)))
    for queries, (num_ranked, num_true) in even_blocks(
        ranked.counts, truth.counts, cells_an_item=len(thresholds)
    ):
        if num_ranked == 0:
            continue
        hits = greedy_hits(ranked.block(queries, num_ranked), truth.block(queries, num_true), thresholds)
        flat = interpolated_precision(hits.reshape(-1, num_ranked), num_true)
        result[queries] = flat.reshape(len(queries), len(thresholds))
    return result


def greedy_hits(ranked: Float64Array, truth: Float64Array, thresholds: tuple[float, ...]) -> BoolArray:
    """``(queries, thresholds, ranked)`` which predictions find a true window that no better one has taken.

    A prediction takes, of the windows still free at a threshold, the one of highest IoU; of equal ones the
    last. A NaN IoU is above every threshold and every number, as in the official evaluator; callers who want
    none see to it that windows are finite and not inverted.

    Args:
        ranked: ``(queries, ranked, 2)`` best first.
        truth: ``(queries, true, 2)``.
        thresholds: IoU from which a match counts.
    """
    num_queries, num_ranked = ranked.shape[:2]
    num_true = truth.shape[1]
    iou = sum_union_iou(ranked[:, :, None, :], truth[:, None, :, :])  # (queries, ranked, true)
    iou[np.isnan(iou)] = np.inf
    floor = np.array(thresholds)[:, None]
    free = np.ones((num_queries, len(thresholds), num_true), dtype=bool)
    hits = np.zeros((num_queries, len(thresholds), num_ranked), dtype=bool)
    for rank in range(num_ranked):
        near = np.flatnonzero(iou[:, rank].max(axis=1) >= min(thresholds))
        reach = iou[near, rank][:, None, :]  # (near, 1, true)
        matched = free[near] & (reach >= floor)  # (near, thresholds, true)
        hits[near, :, rank] = matched.any(axis=2)
        best = num_true - 1 - np.argmax(np.where(matched, reach, -np.inf)[:, :, ::-1], axis=2)
        query, level = np.nonzero(hits[near, :, rank])
        free[near[query], level, best[query, level]] = False
    return hits


def interpolated_precision(hits: BoolArray, num_true: int) -> Float64Array:
    """``(rows,)`` all-point interpolated AP (VOC 2011) of rows of hits ``(rows, ranked)``, best first."""
    num_rows, num_ranked = hits.shape
    found = np.cumsum(hits, axis=1).astype(np.float64)
    recall = found / float(num_true)
    precision = found / np.arange(1.0, num_ranked + 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    before = np.concatenate([np.zeros((num_rows, 1)), recall[:, :-1]], axis=1)
    # A last, empty step from the recall reached up to 1: it adds 0, yet counts in how a sum is grouped.
    area = np.concatenate([(recall - before) * envelope, np.zeros((num_rows, 1))], axis=1)
    steps = np.concatenate([hits, recall[:, -1:] != 1.0], axis=1)
    return sum_selected(area, steps)
