"""Comparisons and seeds set for a terminal."""

from __future__ import annotations

from typing import Any

from amr.cli.score_table import HASH_DIGITS, numbers, percent, range_text
from amr.metrics.figures import FIGURES

Blocks = dict[str, Any]
Row = tuple[str, ...]

NAME_WIDTH = 28


def several_table(blocks: Blocks) -> list[str]:
    """Every file's figures, then what was asked of them together."""
    truth = blocks["systems"][0]["ground_truth"]
    lines = [f"against {truth['file']} (sha256 {truth['sha256'][:HASH_DIGITS]}…)", ""]
    lines += numbers([("", *FIGURES), *(system_row(system) for system in blocks["systems"])])
    for comparison in blocks.get("comparisons", []):
        lines += ["", *comparison_lines(comparison)]
    return [*lines, "", *seed_lines(blocks["seeds"])] if "seeds" in blocks else lines


def short(name: str) -> str:
    """The end of a file's name, which tells it from others."""
    return name if len(name) <= NAME_WIDTH else "…" + name[1 - NAME_WIDTH :]


def system_row(system: Blocks) -> Row:
    """One file's figures."""
    full = system["full"]
    recall, precision = full["MR-R1"], full["MR-mAP"]
    values = [
        recall["0.5"],
        recall["0.7"],
        precision["average"],
        precision["0.5"],
        precision["0.75"],
        full["mIoU"],
    ]
    return (short(system["predictions"]["file"]), *map(percent, values))


def comparison_lines(block: Blocks) -> list[str]:
    """One comparison: a row a figure."""
    title = (
        f"{short(block['second'])} minus {short(block['first'])}: "
        f"{block['queries']} queries, {block['recordings']} recordings"
    )
    holm = "p_holm" in next(iter(block["figures"].values()))
    rows: list[Row] = [("", "points", "95 %", "p", *(["p Holm"] if holm else []), "won", "lost")]
    for name, figure in block["figures"].items():
        p = [f"{figure[key]:.3g}" for key in ("p", "p_holm") if key in figure]
        counts = (str(figure["queries_won"]), str(figure["queries_lost"]))
        rows.append((name, f"{figure['difference']:+.2f}", range_text(figure["interval"]), *p, *counts))
    return [title, *numbers(rows)]


def seed_lines(block: Blocks) -> list[str]:
    """Runs of one system: a row a figure."""
    title = f"{block['runs']} runs, {block['queries']} queries, {block['recordings']} recordings"
    rows: list[Row] = [("", "mean", "sd", "95 %", "95 % seeds", "95 % recordings")]
    for name in FIGURES:
        keys = ("interval", "interval_over_seeds", "interval_over_recordings")
        spread = (percent(block["mean"][name]), percent(block["standard_deviation"][name]))
        rows.append((name, *spread, *(range_text(block[key][name]) for key in keys)))
    return [title, *numbers(rows)]
