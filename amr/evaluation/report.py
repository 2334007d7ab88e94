"""The report on one prediction file: figures, what stands beside them, what was strange, what is official."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from amr import __version__
from amr.arrays import Float64Array
from amr.evaluation.breakdown import breakdown_block
from amr.evaluation.context import chance_gaps, near_chance, prior_values
from amr.evaluation.files import EvaluationSettings, MatchedFiles
from amr.evaluation.judged import DEPTHS, JudgedFile
from amr.evaluation.notes import OddityNote, collect_notes
from amr.evaluation.percent import Block, interval_block, percent, percent_block
from amr.formats.scoring import Columns
from amr.metrics.bootstrap import LEVEL, confidence_intervals
from amr.metrics.calibration import HIT_IOU, Reliability, reliability
from amr.metrics.candidates import best_of_top
from amr.metrics.ceiling import ceiling
from amr.metrics.evaluators import ExactEvaluation, evaluate_officially, official_map_alone
from amr.metrics.figures import FIGURES, PerQuery
from amr.metrics.official import OfficialStopError
from amr.metrics.official_json import brief_block, highlight_blocks, retrieval_block
from amr.metrics.results import IOU_THRESHOLDS, MAX_ANSWERS, RetrievalScores

DEPTH_THRESHOLDS = (0.3, 0.5, 0.7)


def report_block(judged: JudgedFile, settings: EvaluationSettings) -> Block:
    """The JSON product of ``amr score`` for one file."""
    matched, figures = judged.matched, figure_blocks(judged.exact)
    notes = collect_notes(matched, judged.exact.findings)
    limits = {"iou_thresholds": list(IOU_THRESHOLDS), "max_windows": MAX_ANSWERS}
    return {
        **figures,
        **beside_blocks(judged, settings),
        "ground_truth": file_block(matched.truth.columns),
        "predictions": file_block(matched.answers.columns),
        "settings": {**limits, **asdict(settings)},
        "notes": [asdict(note) for note in notes],
        "official": official_block(matched, figures) if notes else {"equal": True},
        "amr_version": __version__,
    }


def figure_blocks(exact: ExactEvaluation) -> Block:
    """The figures in the official file's keys and order, with mIoU and counts added."""
    ranges = {name: range_block(scores) for name, scores in exact.ranges.items()}
    levels = highlight_blocks(exact.highlights)
    brief = brief_block(ranges, levels)
    full = ranges["full"] or {}
    return {"brief": {**brief, "MR-full-mIoU": full["mIoU"]}, **dict(sorted({**ranges, **levels}.items()))}


def range_block(scores: RetrievalScores | None) -> Block | None:
    """One range of lengths; None where no query has such a window."""
    if scores is None:
        return None
    counts = {"queries": len(scores.query), "windows": scores.num_windows}
    return {**retrieval_block(scores), "mIoU": scores.mean_iou(), **counts}


def quoted_figures(block: Block) -> dict[str, float]:
    """The figures that papers quote, of a :func:`range_block`, by the names of :data:`FIGURES`."""
    recall, precision = block["MR-R1"], block["MR-mAP"]
    values = [recall["0.5"], recall["0.7"], precision["average"], precision["0.5"], precision["0.75"]]
    return dict(zip(FIGURES, [*values, block["mIoU"]], strict=True))


def beside_blocks(judged: JudgedFile, settings: EvaluationSettings) -> Block:
    """What goes beside the field's figures: intervals, top k, calibration, ceiling, blind answers, parts."""
    per_query, priors = judged.per_query(), prior_values(judged)
    gaps = chance_gaps(per_query, priors)
    # One resampling for all: the draws are what costs.
    columns = [per_query.values, *(gap.above[:, None] for gap in gaps or [])]
    values = np.concatenate(columns, axis=1)
    ends = confidence_intervals(values, per_query.recording, draws=settings.bootstrap, seed=settings.seed)
    return {
        "intervals": intervals_block(per_query, ends[: len(FIGURES)], settings),
        "recall_at_k": recall_block(judged),
        "calibration": calibration_block(judged),
        "ceiling": percent_block(ceiling(judged.num_true)),
        "priors": {name: percent_block(values.mean(axis=0)) for name, values in priors.items()} or None,
        "near_chance": near_chance(per_query, gaps, ends[len(FIGURES) :, 0]),
        **({"breakdown": breakdown_block(judged, settings)} if settings.lengths is not None else {}),
    }


def intervals_block(per_query: PerQuery, ends: Float64Array, settings: EvaluationSettings) -> Block | None:
    """Intervals ``(figures, 2)`` over recordings; None without draws."""
    if not settings.bootstrap:
        return None
    return {
        "level": LEVEL,
        "over": "recordings",
        "recordings": per_query.num_recordings,
        "draws": settings.bootstrap,
        "seed": settings.seed,
        "figures": interval_block(ends),
    }


def recall_block(judged: JudgedFile) -> Block:
    """Share of queries with a hit among the first k windows, by IoU and k."""
    best = best_of_top(judged.iou, DEPTHS)
    return {
        str(iou): {str(k): percent(float(np.mean(best[:, i] >= iou))) for i, k in enumerate(DEPTHS)}
        for iou in DEPTH_THRESHOLDS
    }


def calibration_block(judged: JudgedFile) -> Block:
    """Reliability of the top window's score, and of every window's; None where rank stands in for a score."""
    hits, scores, is_top = judged.iou.rows >= HIT_IOU, judged.ranked.rows[:, 2], judged.iou.rank == 0
    found = {
        "top_window": reliability(scores[is_top], hits[is_top]),
        "all_windows": reliability(scores, hits),
    }
    has_scores = bool(judged.matched.shared.answers.has_scores.all())
    return {
        "hit_iou": HIT_IOU,
        **{name: reliability_block(each if has_scores else None) for name, each in found.items()},
    }


def reliability_block(found: Reliability | None) -> Block | None:
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


def file_block(columns: Columns) -> Block:
    """Which file it was, as read."""
    return {
        "file": columns.name,
        "sha256": columns.sha256,
        "queries": len(set(columns.qids)),
        "recordings": len(set(columns.vids) - {""}),
        "windows": len(columns.windows.rows),
    }


def official_block(matched: MatchedFiles, figures: Block) -> Block:
    """How the official figures stand to the exact ones."""
    if matched.matching.by_text or not matched.matching.is_complete:
        return {"equal": False, "error": "AssertionError: qids of the two files differ"}
    try:
        official = evaluate_officially(matched.shared)
    except OfficialStopError as stop:
        alone = official_map_alone(matched.shared)
        return {"equal": False, "error": str(stop)} | ({"mAP": alone["average"]} if alone else {})
    return {"equal": True} if includes(figures, official) else {"equal": False, "brief": official["brief"]}


def includes(whole: Any, part: Any) -> bool:
    """Whether ``whole`` has everything that ``part`` has, the same at every depth."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(includes(whole.get(key), part[key]) for key in part)
    return bool(whole == part)


def note_remarks(report: Block) -> list[str]:
    """A remark a kind of oddity, and the official figures beside ours where there is any."""
    notes = [OddityNote(**note).sentence() for note in report["notes"]]
    return [*notes, official_remark(report["brief"], report["official"])] if notes else []


def official_remark(brief: Mapping[str, float], official: Mapping[str, Any]) -> str:
    """The official figures beside ours."""
    here = brief_text(brief)
    if official["equal"]:
        return f"the official evaluator's figures are the same: {here}"
    if "error" not in official:
        return f"the official evaluator says {brief_text(official['brief'])}; here: {here}"
    alone = f"; its mAP alone would be {official['mAP']:.2f}" if "mAP" in official else ""
    return f"the official evaluator stops with {official['error']}{alone}; here: {here}"


def brief_text(brief: Mapping[str, float]) -> str:
    """Three figures of ``brief`` in a sentence."""
    return ", ".join(f"{name} {brief[f'MR-full-{name}']:.2f}" for name in ("R1@0.5", "R1@0.7", "mAP"))
