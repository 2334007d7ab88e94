"""The honest figures restated from docs/metrics.md: plain loops over plain lists."""

from __future__ import annotations

import math

from oracles.official import (
    THRESHOLDS,
    Record,
    Window,
    columnwise_mean,
    iou_by_hull,
    iou_by_sum,
    mean,
    query_average_precision,
    two_decimals,
)


def is_window(window: Window) -> bool:
    return math.isfinite(window[0]) and math.isfinite(window[1]) and window[1] > window[0]


def true_windows(truths: list[Record]) -> dict[int | str, list[Window]]:
    """The windows of every qid that can be, each once, in file order; qids without one vanish."""
    true: dict[int | str, list[Window]] = {}
    for record in truths:
        for window in record["relevant_windows"]:
            length_s = window[1] - window[0]
            absurd = length_s > 1500 and not length_s <= record["duration"]
            known = true.get(record["qid"], [])
            if is_window(window) and not absurd and window not in known:
                true[record["qid"]] = [*known, window]
    return true


def ranked_windows(answers: list[Record]) -> dict[int | str, list[Window]]:
    """The ten best windows of every qid; those that cannot be as windows that meet nothing."""
    predicted: dict[int | str, list[Window]] = {}
    for record in answers:
        predicted.setdefault(record["qid"], []).extend(record["pred_relevant_windows"])
    ranked = {}
    for qid, windows in predicted.items():
        falling = sorted(windows, key=lambda w: math.inf if math.isnan(w[2]) else -w[2])
        # A NaN score comes after minus infinity too.
        falling = [w for w in falling if not math.isnan(w[2])] + [w for w in falling if math.isnan(w[2])]
        ranked[qid] = [w if is_window(w) else [0.0, 0.0, w[2]] for w in falling[:10]]
    return ranked


def retrieval(
    answers: list[Record], truths: list[Record], low: float = 0.0, high: float = math.inf
) -> Record | None:
    """The block of one range of lengths; None where no query has such a window."""
    predicted, ious, precisions = ranked_windows(answers), [], []
    true = true_windows(truths)
    for qid in predicted:
        windows = [w for w in true.get(qid, []) if low < w[1] - w[0] <= high]
        if not windows:
            continue
        answer = predicted[qid]
        ious.append(best_iou(answer[0], windows) if answer else 0.0)
        # The rank order stands: equal made-up scores keep it.
        unscored = [[start, end, 0.0] for start, end, _ in answer]
        precisions.append(
            [query_average_precision(unscored, windows, t) if answer else 0.0 for t in THRESHOLDS]
        )
    if not ious:
        return None
    means = [columnwise_mean([row[k] for row in precisions]) for k in range(len(THRESHOLDS))]
    mean_ap = dict(zip(map(str, THRESHOLDS), means, strict=True)) | {"average": mean(means)}
    return {
        "MR-mAP": {name: two_decimals(100 * value) for name, value in mean_ap.items()},
        "MR-R1": {str(t): two_decimals(sum(i >= t for i in ious) / len(ious) * 100) for t in THRESHOLDS},
        "mIoU": two_decimals(mean(ious) * 100),
    }


def best_iou(window: Window, windows: list[Window]) -> float:
    """IoU with the window that it meets best."""
    best = max(windows, key=lambda true: iou_by_sum(window, true))
    return iou_by_hull(window, best)
