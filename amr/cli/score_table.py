"""The figures of ``amr score`` set for a terminal."""

from __future__ import annotations

from typing import Any

from amr.cli.tables import columns

Blocks = dict[str, Any]
Row = tuple[str, ...]

RANGES = ("full", "short", "middle", "long")
HASH_DIGITS = 16


def table(report: Blocks) -> list[str]:
    """The report for a terminal: what was judged, the figures quoted, all thresholds, highlights."""
    truth = report["ground_truth"]
    lines = [
        f"{report['predictions']['file']} against {truth['file']} (sha256 {truth['sha256'][:HASH_DIGITS]}…)"
    ]
    lines += ["", *numbers(range_rows(report)), "", *numbers(threshold_rows(report["full"]))]
    levels = [name for name in report if name.startswith("HL-")]
    if levels:
        lines += ["", *numbers(highlight_rows(report, levels))]
    return lines


def range_rows(report: Blocks) -> list[Row]:
    """A row a range of lengths."""
    rows: list[Row] = [("", "R1@0.5", "R1@0.7", "mAP", "mAP@0.5", "mAP@0.75", "mIoU", "queries", "windows")]
    for name in RANGES:
        if name in report:
            rows.append((name, *range_cells(report[name])))
    return rows


def range_cells(block: Blocks | None) -> Row:
    """The figures that papers quote, and the counts."""
    if block is None:
        return (*("-" for _ in range(6)), "0", "0")
    recall, precision = block["MR-R1"], block["MR-mAP"]
    values = [recall["0.5"], recall["0.7"], precision["average"], precision["0.5"], precision["0.75"]]
    return (*map(percent, [*values, block["mIoU"]]), str(block["queries"]), str(block["windows"]))


def threshold_rows(full: Blocks) -> list[Row]:
    """R1 and mAP at every IoU threshold."""
    thresholds = list(full["MR-R1"])
    return [
        ("IoU", *(percent(float(iou)) for iou in thresholds)),
        ("R1", *(percent(full["MR-R1"][iou]) for iou in thresholds)),
        ("mAP", *(percent(full["MR-mAP"][iou]) for iou in thresholds)),
    ]


def highlight_rows(report: Blocks, levels: list[str]) -> list[Row]:
    """A row a level of saliency."""
    rows: list[Row] = [("", "HL-mAP", "HL-Hit1")]
    for name in levels:
        rows.append((name, percent(report[name]["HL-mAP"]), percent(report[name]["HL-Hit1"])))
    return rows


def percent(value: float) -> str:
    return f"{value:.2f}"


def numbers(rows: list[Row]) -> list[str]:
    """Rows of a name and figures flush right."""
    return columns(rows, right=frozenset(range(1, len(rows[0]))))
