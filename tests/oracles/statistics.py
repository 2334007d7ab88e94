"""Resampling, permutation, top k and calibration in plain loops, as slow as they are obvious."""

from __future__ import annotations

from itertools import product

from oracles.honest import best_iou
from oracles.official import Window


def ratio_of_sample(values: list[float], recording: list[int], sample: list[int]) -> float:
    """Mean over the queries of a sample of recordings, each as often as it was drawn."""
    drawn = [
        value for chosen in sample for value, owner in zip(values, recording, strict=True) if owner == chosen
    ]
    return sum(drawn) / len(drawn)


def exact_sign_p(differences: list[float]) -> float:
    """Two-sided p over all patterns of signs."""
    observed = abs(sum(differences))
    patterns = list(product((-1, 1), repeat=len(differences)))
    extreme = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True))) >= observed - 1e-9
        for signs in patterns
    ]
    return sum(extreme) / len(extreme)


def recall_at(answers: list[list[Window]], truths: list[list[Window]], depth: int, iou: float) -> float:
    """Share of queries with a window of that IoU among the first ones."""
    hits = [
        any(best_iou(window, true) >= iou for window in answer[:depth])
        for answer, true in zip(answers, truths, strict=True)
    ]
    return sum(hits) / len(hits)


def calibration_error(scores: list[float], right: list[bool], bins: int) -> float:
    """ECE with bins ``(low, high]``, the first one with 0."""
    total = 0.0
    for index in range(bins):
        low, high = index / bins, (index + 1) / bins
        inside = [
            (score, hit)
            for score, hit in zip(scores, right, strict=True)
            if low < score <= high or (index == 0 and score == 0)
        ]
        if inside:
            mean = sum(score for score, _ in inside) / len(inside)
            share = sum(hit for _, hit in inside) / len(inside)
            total += len(inside) * abs(mean - share)
    return total / len(scores)
