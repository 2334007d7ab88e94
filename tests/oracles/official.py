"""The official evaluator restated from its definitions: plain loops over plain lists.

Numpy appears only in :func:`total` and :func:`mean`, because how a sum is grouped decides its last bit and
the evaluator sums with numpy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Window = list[float]
Record = dict[str, Any]
Range = tuple[float, float] | None

THRESHOLDS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
LIGHTHOUSE = {"full": (0, 1500)}
QVHIGHLIGHTS = {"short": (0, 10), "middle": (10, 30), "long": (30, 150), "full": None}


class StopsError(Exception):
    """The official evaluator ends with an exception here."""


def total(values: list[float]) -> float:
    return float(np.sum(np.array(values, dtype=np.float64)))


def mean(values: list[float]) -> float:
    return float(np.mean(np.array(values, dtype=np.float64)))


def larger(a: float, b: float) -> float:
    """The larger of two; NaN when one of them is."""
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)


def smaller(a: float, b: float) -> float:
    return -larger(-a, -b)


def ratio(above: float, below: float) -> float:
    """Division that gives NaN or an infinity where Python would raise."""
    if below == 0:
        return math.nan if above == 0 or math.isnan(above) else math.copysign(math.inf, above)
    return above / below


def overlap(a: Window, b: Window) -> float:
    return larger(0.0, smaller(a[1], b[1]) - larger(a[0], b[0]))


def iou_by_sum(a: Window, b: Window) -> float:
    shared = overlap(a, b)
    return ratio(shared, (a[1] - a[0]) + (b[1] - b[0]) - shared)


def iou_by_hull(a: Window, b: Window) -> float:
    hull = larger(a[1], b[1]) - smaller(a[0], b[0])
    return 0.0 if hull == 0 else ratio(overlap(a, b), hull)


def in_range(truths: list[Record], length_range: Range) -> list[Record]:
    """Ground truth with the windows of length (low, high] only; records without any vanish."""
    if length_range is None:
        return truths
    low, high = length_range
    kept = []
    for record in truths:
        windows = [w for w in record["relevant_windows"] if low < w[1] - w[0] <= high]
        if windows:
            kept.append({**record, "relevant_windows": windows})
    return kept


def query_average_precision(answers: list[Window], truths: list[Window], threshold: float) -> float:
    """AP of one query at one threshold; ``answers`` are (start, end, score) in file order."""
    ranked = sorted(answers, key=lambda window: -window[2])
    taken: set[int] = set()
    hits = []
    for answer in ranked:
        ious = [iou_by_sum(answer, truth) for truth in truths]
        # Highest first; of equal ones the last; a NaN before all others.
        walk = sorted(
            range(len(truths)), key=lambda i: (math.isnan(ious[i]), 0 if math.isnan(ious[i]) else ious[i], i)
        )[::-1]
        hit = False
        for i in walk:
            if ious[i] < threshold:
                break
            if i not in taken:
                taken.add(i)
                hit = True
                break
        hits.append(hit)
    recalls = [sum(hits[: k + 1]) / len(truths) for k in range(len(hits))]
    precisions = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))]
    recalls, precisions = [0.0, *recalls, 1.0], [0.0, *precisions, 0.0]
    pieces = []
    for k in range(1, len(recalls)):
        if recalls[k] != recalls[k - 1]:
            pieces.append((recalls[k] - recalls[k - 1]) * max(precisions[k:]))
    return total(pieces)


def average_precisions(answers: list[Record], truths: list[Record]) -> dict[Any, list[float]]:
    """For every qid that has any predicted window, its AP at the ten thresholds."""
    predicted: dict[Any, list[Window]] = {}
    for record in answers:
        for window in record["pred_relevant_windows"][:10]:
            if len(window) < 3:
                raise StopsError("IndexError")
            predicted.setdefault(record["qid"], []).append(window)
    true: dict[Any, list[Window]] = {}
    for record in truths:
        true.setdefault(record["qid"], []).extend(record["relevant_windows"])
    return {
        qid: [query_average_precision(windows, true[qid], threshold) for threshold in THRESHOLDS]
        for qid, windows in predicted.items()
    }


def top_ious(answers: list[Record], truths: list[Record]) -> dict[Any, float]:
    """For every predicted qid the IoU of its first window with the best true one."""
    first = {}
    for record in answers:
        if not record["pred_relevant_windows"]:
            raise StopsError("IndexError")
        first[record["qid"]] = record["pred_relevant_windows"][0][:2]
    partner = {}
    for record in truths:
        best = 0
        ious = [iou_by_sum(first[record["qid"]], truth) for truth in record["relevant_windows"]]
        for i, iou in enumerate(ious):
            if not math.isnan(ious[best]) and (math.isnan(iou) or iou > ious[best]):
                best = i
        partner[record["qid"]] = record["relevant_windows"][best]
    return {qid: iou_by_hull(window, partner[qid]) for qid, window in first.items()}


def two_decimals(value: float) -> float:
    return float(f"{value:.2f}")


def retrieval(answers: list[Record], truths: list[Record], length_range: Range) -> Record:
    """The block of one range of lengths."""
    if length_range is None and any(not record["relevant_windows"] for record in truths):
        raise StopsError("IndexError")
    truths = in_range(truths, length_range)
    qids = {record["qid"] for record in truths}
    answers = [record for record in answers if record["qid"] in qids]
    precisions = list(average_precisions(answers, truths).values())
    if not precisions:
        raise StopsError("TypeError")
    means = [columnwise_mean([row[k] for row in precisions]) for k in range(len(THRESHOLDS))]
    mean_ap = dict(zip(map(str, THRESHOLDS), means, strict=True)) | {"average": mean(means)}
    ious = list(top_ious(answers, truths).values())
    recall = {str(t): two_decimals(sum(iou >= t for iou in ious) / len(ious) * 100) for t in THRESHOLDS}
    return {"MR-mAP": {name: two_decimals(100 * value) for name, value in mean_ap.items()}, "MR-R1": recall}


def columnwise_mean(values: list[float]) -> float:
    """The mean over queries: numpy adds the rows of a table one after the other."""
    result = 0.0
    for value in values:
        result += value
    return result / len(values)


def clip_average_precision(positive: list[bool], curve: list[float]) -> float:
    """AP over clips: at each value of the curve one point, each distinct recall with its best precision."""
    points = []  # (clips found, precision) from the highest level down
    for level in sorted(set(curve), reverse=True):
        chosen = [p for p, value in zip(positive, curve, strict=True) if value >= level]
        points.append((sum(chosen), sum(chosen) / len(chosen)))
    kept = []
    for k, (found, _) in enumerate(points):
        if found > (points[k - 1][0] if k else 0):
            kept.append(max(precision for _, precision in points[k:]))
    return mean(kept[::-1]) if kept else 0.0


def highlights(answers: list[Record], truths: list[Record]) -> Record:
    """The three highlight blocks."""
    curves = {record["qid"]: record["pred_saliency_scores"] for record in answers}
    labels = {}
    for record in truths:
        clips = [[0.0, 0.0, 0.0] for _ in range(int(record["duration"] / 2))]
        if "relevant_clip_ids" not in record:
            raise StopsError("KeyError")
        for clip, scores in zip(record["relevant_clip_ids"], record["saliency_scores"], strict=True):
            clips[clip] = scores
        labels[record["qid"]] = clips
    blocks = {}
    for name, least in (("Fair", 2), ("Good", 3), ("VeryGood", 4)):
        precisions, hits = [], []
        for qid, curve in curves.items():
            clips = labels[qid]
            top = curve.index(max(curve))
            hits.append(float(top < len(clips) and max(clips[top]) >= least))
            fitted = (list(curve) + [0.0] * len(clips))[: len(clips)]
            precisions += [
                clip_average_precision([clip[person] >= least for clip in clips], fitted)
                for person in range(3)
            ]
        blocks[f"HL-min-{name}"] = {
            "HL-mAP": two_decimals(100 * mean(precisions)),
            "HL-Hit1": two_decimals(100 * mean(hits)),
        }
    return blocks


def evaluate(answers: list[Record], truths: list[Record], ranges: Record = LIGHTHOUSE) -> Record:
    """The whole metrics file of the official evaluator.

    Raises:
        StopsError: it crashes; the argument is the name of its exception.
    """
    if {record["qid"] for record in answers} != {record["qid"] for record in truths}:
        raise StopsError("AssertionError")
    blocks = {name: retrieval(answers, truths, length_range) for name, length_range in ranges.items()}
    full = blocks["full"]
    brief = {
        "MR-full-mAP": full["MR-mAP"]["average"],
        "MR-full-mAP@0.5": full["MR-mAP"]["0.5"],
        "MR-full-mAP@0.75": full["MR-mAP"]["0.75"],
        "MR-full-R1@0.5": full["MR-R1"]["0.5"],
        "MR-full-R1@0.7": full["MR-R1"]["0.7"],
        **{f"MR-{name}-mAP": block["MR-mAP"]["average"] for name, block in blocks.items()},
    }
    brief = {key: brief[key] for key in sorted(brief)}
    if "pred_saliency_scores" in answers[0]:
        levels = highlights(answers, truths)
        blocks |= levels
        for name, block in levels.items():
            brief |= {f"{name}-{key.split('-')[1]}": value for key, value in block.items()}
    return {"brief": brief, **{key: blocks[key] for key in sorted(blocks)}}
