"""What goes beside the field's figures: intervals, top k, calibration, context, parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from amr.cli.score_breakdown import breakdown_block, parse_lengths
from amr.cli.score_case import Settings
from amr.cli.score_context import context_blocks, gaps, near_chance, prior_values
from amr.cli.score_figures import interval_block, percent
from amr.cli.score_queries import Judgement
from amr.metrics.bootstrap import LEVEL, confidence_intervals
from amr.metrics.calibration import HIT_IOU, Reliability, reliability
from amr.metrics.candidates import best_of_top
from amr.metrics.figures import FIGURES, PerQuery
from amr.metrics.ragged import FloatArray

Blocks = dict[str, Any]

DEPTHS = (1, 5, 10)
DEPTH_THRESHOLDS = (0.3, 0.5, 0.7)


def extra_blocks(judgement: Judgement, settings: Settings) -> Blocks:
    """Everything of this kind that the settings ask for."""
    draws, seed = settings.bootstrap, settings.seed
    per_query, priors = judgement.per_query(), prior_values(judgement)
    found = gaps(per_query, priors)
    # One resampling for all: the draws are what costs.
    columns = [per_query.values, *(gap.above[:, None] for gap in found or [])]
    ends = confidence_intervals(np.concatenate(columns, axis=1), per_query.recording, draws=draws, seed=seed)
    blocks = {
        "intervals": intervals_block(per_query, ends[: len(FIGURES)], draws=draws, seed=seed),
        "recall_at_k": recall_block(judgement),
        "calibration": calibration_block(judgement),
        **context_blocks(judgement, priors),
        "near_chance": near_chance(per_query, found, ends[len(FIGURES) :, 0]),
    }
    if settings.lengths is not None:
        lengths = parse_lengths(settings.lengths)
        blocks["breakdown"] = breakdown_block(judgement, lengths, draws=draws, seed=seed)
    return blocks


def intervals_block(per_query: PerQuery, ends: FloatArray, *, draws: int, seed: int) -> Blocks | None:
    """Intervals ``(figures, 2)`` over recordings; None without draws."""
    if not draws:
        return None
    return {
        "level": LEVEL,
        "over": "recordings",
        "recordings": per_query.num_recordings,
        "draws": draws,
        "seed": seed,
        "figures": interval_block(ends),
    }


def recall_block(judgement: Judgement) -> Blocks:
    """Share of queries with a hit among the first k windows, by IoU and k."""
    best = best_of_top(judgement.iou, DEPTHS)
    return {
        str(iou): {str(k): percent(float(np.mean(best[:, i] >= iou))) for i, k in enumerate(DEPTHS)}
        for iou in DEPTH_THRESHOLDS
    }


def calibration_block(judgement: Judgement) -> Blocks:
    """Reliability of the top window's score, and of every window's."""
    scores, iou = judgement.ranked_score, judgement.iou
    top = np.flatnonzero(iou.rank == 0)
    invented = not bool(judgement.matched.case.answers.has_scores.all())
    return {
        "hit_iou": HIT_IOU,
        "top_window": None
        if invented
        else reliability_block(reliability(scores.rows[top], iou.rows[top] >= HIT_IOU)),
        "all_windows": None if invented else reliability_block(reliability(scores.rows, iou.rows >= HIT_IOU)),
    }


def reliability_block(found: Reliability | None) -> Blocks | None:
    """ECE in per cent and the bins that hold a window; None where scores are no probabilities."""
    if found is None:
        return None
    edges = np.linspace(0, 1, len(found.count) + 1)
    bins = [
        {
            "scores": [round(float(edges[i]), 6), round(float(edges[i + 1]), 6)],
            "windows": int(found.count[i]),
            "mean_score": percent(float(found.score[i])),
            "hits": percent(float(found.share[i])),
        }
        for i in np.flatnonzero(found.count).tolist()
    ]
    return {"ece": percent(found.expected_error()), "bins": bins}
