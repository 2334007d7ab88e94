"""What ``amr score`` reports: the figures, where they come from, what was strange, what is official."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from amr import __version__
from amr.cli.score_case import MatchedFiles, Settings
from amr.cli.score_context import chance_sentence
from amr.cli.score_extras import extra_blocks
from amr.cli.score_notes import Note, collect_notes
from amr.cli.score_queries import Judgement, judge
from amr.cli.score_table import Blocks, table
from amr.errors import InputError
from amr.formats.scoring import Columns
from amr.metrics.evaluation import Honest, evaluate_honestly, evaluate_officially, official_map_alone
from amr.metrics.official import OfficialStopError
from amr.metrics.official_json import brief_block, highlight_blocks, retrieval_block
from amr.metrics.results import IOU_THRESHOLDS, MAX_ANSWERS, RetrievalScores

QUOTED = {"R1@0.5": "MR-full-R1@0.5", "R1@0.7": "MR-full-R1@0.7", "mAP": "MR-full-mAP"}
"""The figures that a sentence quotes, and their keys in ``brief``."""


@dataclass(frozen=True)
class Report:
    """The honest figures and all that goes with them.

    Args:
        blocks: the JSON product.
        notes: what was strange in the files.
        judgement: the figures query by query.
    """

    blocks: Blocks
    notes: list[Note]
    judgement: Judgement

    def json(self) -> str:
        """For programs."""
        return json.dumps(self.blocks, indent=2, ensure_ascii=False) + "\n"

    def table(self) -> str:
        """For a terminal."""
        return "\n".join(map(printable, table(self.blocks))) + "\n"

    def sentences(self) -> list[str]:
        """For standard error: a line a kind of oddity, the official figures beside ours, and chance."""
        lines = [note.sentence() for note in self.notes]
        if self.notes:
            lines.append(official_sentence(self.blocks["brief"], self.blocks["official"]))
        chance = chance_sentence(self.blocks["predictions"]["file"], self.blocks["near_chance"])
        return [printable(line) for line in [*lines, *chance]]


def honest_report(matched: MatchedFiles, settings: Settings) -> Report:
    """Judge matched files.

    Raises:
        InputError: no query has a true window, or saliency cannot be judged.
    """
    try:
        honest = evaluate_honestly(matched.case)
    except OfficialStopError as stop:
        raise InputError(stop.reason, where=matched.answer_where(stop.answer)) from stop
    full = honest.ranges["full"]
    if full is None:
        raise InputError("no query has a true window to find", where=matched.truth.columns.name)
    notes = collect_notes(matched, honest, settings)
    figures = figure_blocks(honest)
    judgement = judge(matched, honest, full)
    blocks = {
        **figures,
        **extra_blocks(judgement, settings),
        "ground_truth": file_block(matched.truth.columns),
        "predictions": file_block(matched.answers.columns),
        "settings": {
            "iou_thresholds": list(IOU_THRESHOLDS),
            "max_windows": MAX_ANSWERS,
            **asdict(settings),
        },
        "notes": [asdict(note) for note in notes],
        "official": official_block(matched, figures) if notes else {"equal": True},
        "amr_version": __version__,
    }
    return Report(blocks, notes, judgement)


def figure_blocks(honest: Honest) -> Blocks:
    """The figures in the official file's keys and order, with mIoU and counts added."""
    ranges = {name: range_block(scores) for name, scores in honest.ranges.items()}
    levels = highlight_blocks(honest.highlights)
    brief = brief_block(ranges, levels)
    full = ranges["full"] or {}
    return {"brief": {**brief, "MR-full-mIoU": full["mIoU"]}, **dict(sorted({**ranges, **levels}.items()))}


def range_block(scores: RetrievalScores | None) -> Blocks | None:
    """One range of lengths; None where no query has such a window."""
    if scores is None:
        return None
    counts = {"queries": len(scores.query), "windows": scores.num_windows}
    return {**retrieval_block(scores), "mIoU": scores.mean_iou(), **counts}


def file_block(columns: Columns) -> Blocks:
    """Which file it was, as read."""
    return {
        "file": columns.name,
        "sha256": columns.sha256,
        "queries": len(set(columns.qids)),
        "recordings": len(set(columns.vids) - {""}),
        "windows": len(columns.windows.rows),
    }


def official_block(matched: MatchedFiles, figures: Blocks) -> Blocks:
    """How the official figures stand to the honest ones."""
    if matched.matching.by_text or not matched.matching.is_complete:
        return {"equal": False, "error": "AssertionError: qids of the two files differ"}
    try:
        official = evaluate_officially(matched.case)
    except OfficialStopError as stop:
        alone = official_map_alone(matched.case)
        return {"equal": False, "error": str(stop)} | ({"mAP": alone["average"]} if alone else {})
    return {"equal": True} if includes(figures, official) else {"equal": False, "brief": official["brief"]}


def includes(whole: Any, part: Any) -> bool:
    """Whether ``whole`` has everything that ``part`` has, the same at every depth."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(includes(whole.get(key), part[key]) for key in part)
    return bool(whole == part)


def official_sentence(brief: Mapping[str, float], official: Mapping[str, Any]) -> str:
    """The official figures beside ours."""
    here = quoted(brief)
    if official["equal"]:
        return f"the official evaluator's figures are the same: {here}"
    if "error" not in official:
        return f"the official evaluator says {quoted(official['brief'])}; here: {here}"
    alone = f"; its mAP alone would be {official['mAP']:.2f}" if "mAP" in official else ""
    return f"the official evaluator stops with {official['error']}{alone}; here: {here}"


def printable(text: str) -> str:
    """Names from files cannot carry control codes to a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def quoted(brief: Mapping[str, float]) -> str:
    """The figures that papers quote, in a sentence."""
    return ", ".join(f"{name} {brief[key]:.2f}" for name, key in QUOTED.items())
