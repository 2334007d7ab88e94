"""Frame-level detection restated from the published definition: sets of active frames, no arrays."""

from __future__ import annotations

import math
from typing import Any

Record = dict[str, Any]
Cell = tuple[str, str, int]


def active(record: Record, key: str, num_frames: int, threshold: float | None) -> set[Cell]:
    """The frames that a line switches on: both ends included, the score above the threshold."""
    cells = set()
    for window in record[key]:
        if threshold is not None and not window[2] > threshold:
            continue
        for frame in range(num_frames):
            if window[0] <= frame <= window[1]:
                cells.add((record["vid"], record["query"], frame))
    return cells


def frame_micro(answers: list[Record], truths: list[Record], threshold: float) -> tuple[float, float, float]:
    """P, R, F1 as shares; 0 where there is nothing to divide by."""
    frames = {record["vid"]: math.ceil(record["duration"]) for record in truths}
    true: set[Cell] = set()
    for record in truths:
        true |= active(record, "relevant_windows", frames[record["vid"]], None)
    found: set[Cell] = set()
    for record in answers:
        found |= active(record, "pred_relevant_windows", frames[record["vid"]], threshold)
    hits = len(true & found)
    precision = hits / len(found) if found else 0.0
    recall = hits / len(true) if true else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return precision, recall, f1
