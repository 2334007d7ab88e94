"""The official metrics file: its keys, their order, its bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from amr.metrics.highlights import HighlightScores
from amr.metrics.results import RetrievalScores

FULL = "full"


def retrieval_block(scores: RetrievalScores) -> dict[str, dict[str, float]]:
    """The block of one range of lengths."""
    return {"MR-mAP": scores.mean_average_precision(), "MR-R1": scores.recall_at_1()}


def highlight_blocks(highlights: Mapping[str, HighlightScores]) -> dict[str, dict[str, float]]:
    """A block a level, best named first as the evaluator prints them."""
    return {
        f"HL-min-{name}": {"HL-mAP": scores.mean_average_precision(), "HL-Hit1": scores.hit_at_1()}
        for name, scores in highlights.items()
    }


def brief_block(blocks: Mapping[str, Any], highlights: Mapping[str, dict[str, float]]) -> dict[str, float]:
    """The few figures that are quoted.

    Args:
        blocks: :func:`retrieval_block` of every range by name, ``full`` among them; None: no query in range.
        highlights: see :func:`highlight_blocks`.
    """
    full = blocks[FULL]
    brief = {f"MR-{name}-mAP": block["MR-mAP"]["average"] for name, block in blocks.items() if block}
    brief |= {f"MR-full-mAP@{iou}": full["MR-mAP"][iou] for iou in ("0.5", "0.75")}
    brief |= {f"MR-full-R1@{iou}": full["MR-R1"][iou] for iou in ("0.5", "0.7")}
    brief = dict(sorted(brief.items()))
    for name, block in highlights.items():
        brief |= {f"{name}-{key.removeprefix('HL-')}": value for key, value in block.items()}
    return brief


def official_blocks(
    scores: Mapping[str, RetrievalScores], highlights: Mapping[str, HighlightScores] | None = None
) -> dict[str, Any]:
    """The official metrics file as an object.

    Args:
        scores: figures of every range by name, ``full`` among them.
        highlights: figures of every level by name, where predictions have a saliency curve.
    """
    ranges = {name: retrieval_block(range_scores) for name, range_scores in scores.items()}
    levels = highlight_blocks(highlights or {})
    blocks: dict[str, Any] = {**ranges, **levels}
    return {"brief": brief_block(ranges, levels), **dict(sorted(blocks.items()))}


def official_text(blocks: Mapping[str, Any]) -> str:
    """The official metrics file byte for byte: indent 4, no line end after the last brace."""
    return json.dumps(blocks, indent=4)
