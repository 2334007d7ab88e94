"""The figures of ``amr score`` set for a terminal."""

from __future__ import annotations

from typing import Any

from amr.cli.tables import columns

Blocks = dict[str, Any]
Row = tuple[str, ...]

RANGES = ("full", "short", "middle", "long")
HASH_DIGITS = 16
PARTS = {"moment_length_s": "moment (s)", "moments": "moments", "duration_s": "recording (s)"}


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
    lines += ["", *context_lines(report), "", *numbers(recall_rows(report))]
    lines += ["", *calibration_lines(report["calibration"])]
    for name, parts in report.get("breakdown", {}).items():
        lines += ["", *numbers(part_rows(PARTS[name], parts))] if parts else []
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


def context_lines(report: Blocks) -> list[str]:
    """A row a figure: its interval, the ceiling and what blind answers reach."""
    ends = (report["intervals"] or {}).get("figures", {})
    priors = report["priors"] or {}
    rows: list[Row] = [("", "95 %", "ceiling", *(name.partition(":")[2] for name in priors))]
    for name, best in report["ceiling"].items():
        blind = (percent(figures[name]) for figures in priors.values())
        rows.append((name, range_text(ends.get(name), digits=1), f"{best:.1f}", *blind))
    names = ", ".join(name.partition(":")[2] for name in priors)
    return numbers(rows) + ([f"({names}: answers that do not listen)"] if priors else [])


def recall_rows(report: Blocks) -> list[Row]:
    """How often a window among the first k hits."""
    found = report["recall_at_k"]
    depths = list(next(iter(found.values())))
    header: Row = ("IoU", *(f"R@{depth}" for depth in depths))
    return [header, *((iou, *map(percent, recalls.values())) for iou, recalls in found.items())]


def calibration_lines(calibration: Blocks) -> list[str]:
    """Do scores mean what they say."""
    top = calibration["top_window"]
    if top is None:
        return ["calibration: scores are no probabilities"]
    lines = [
        f"calibration of the top window (hit: IoU >= {calibration['hit_iou']}): ECE {percent(top['ece'])}"
    ]
    rows: list[Row] = [("score", "mean", "hits", "windows")]
    for cell in top["bins"]:
        low, high = cell["scores"]
        rows.append(
            (f"{low:g}-{high:g}", percent(cell["mean_score"]), percent(cell["hits"]), str(cell["windows"]))
        )
    return [*lines, *numbers(rows)]


def part_rows(title: str, parts: list[Blocks]) -> list[Row]:
    """A row a part of a breakdown."""
    rows: list[Row] = [(title, "R1@0.5", "R1@0.7", "95 %", "mAP", "mIoU", "queries", "windows")]
    for part in parts:
        figures, ends = part["figures"], part["intervals"]["R1@0.7"]
        values = (percent(figures["R1@0.5"]), percent(figures["R1@0.7"]), range_text(ends, digits=1))
        rest = (percent(figures["mAP"]), percent(figures["mIoU"]), str(part["queries"]), str(part["windows"]))
        rows.append((part["range"], *values, *rest))
    return rows


def range_text(ends: list[float] | None, *, digits: int = 2) -> str:
    """An interval as people write it."""
    return "-" if ends is None else f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"


def percent(value: float) -> str:
    return f"{value:.2f}"


def numbers(rows: list[Row]) -> list[str]:
    """Rows of a name and figures flush right."""
    return columns(rows, right=frozenset(range(1, len(rows[0]))))
