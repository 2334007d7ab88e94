"""What ``amr score`` reports, set for a terminal."""

from __future__ import annotations

from typing import Any

from amr.cli.tables import columns
from amr.errors import printable
from amr.evaluation.report import quoted_figures
from amr.evaluation.scores import Scores
from amr.metrics.figures import FIGURES

Blocks = dict[str, Any]
Row = tuple[str, ...]

RANGES = ("full", "short", "middle", "long")
PARTS = {"moment_length_s": "moment (s)", "moments": "moments", "duration_s": "recording (s)"}
HASH_DIGITS = 16
NAME_WIDTH = 28


def scores_text(scores: Scores) -> str:
    """Scores of a file, of several, or of every dataset under its name."""
    if scores.sets:
        return "\n".join(f"== {printable(name)}\n{scores_text(each)}" for name, each in scores.sets.items())
    return text_of(several_lines(scores.record()) if scores.systems else table_lines(scores.record()))


def text_of(lines: list[str]) -> str:
    """Lines as a text; names from files cannot carry control codes to a terminal."""
    return "\n".join(map(printable, lines)) + "\n"


def table_lines(report: Blocks) -> list[str]:
    """One file: what was judged, the figures quoted, all thresholds, highlights, and what stands beside."""
    title = f"{report['predictions']['file']} {against(report['ground_truth'])}"
    lines = [title, "", *numbers(range_rows(report)), "", *numbers(threshold_rows(report["full"]))]
    levels = [name for name in report if name.startswith("HL-")]
    if levels:
        rows = [(name, *cells(report[name], ("HL-mAP", "HL-Hit1"))) for name in levels]
        lines += ["", *numbers([("", "HL-mAP", "HL-Hit1"), *rows])]
    lines += ["", *context_lines(report), "", *numbers(recall_rows(report["recall_at_k"]))]
    lines += ["", *calibration_lines(report["calibration"])]
    for name, parts in report.get("breakdown", {}).items():
        lines += ["", *numbers(part_rows(PARTS[name], parts))] if parts else []
    return lines


def against(truth: Blocks) -> str:
    """Which ground truth it was."""
    return f"against {truth['file']} (sha256 {truth['sha256'][:HASH_DIGITS]}…)"


def range_rows(report: Blocks) -> list[Row]:
    """A row a range of lengths: figures and counts."""
    rows: list[Row] = [("", *FIGURES, "queries", "windows")]
    for name in RANGES:
        if name in report:
            block = report[name]
            counts = (str(block["queries"]), str(block["windows"])) if block else ("0", "0")
            rows.append(
                (name, *(cells(quoted_figures(block), FIGURES) if block else "-" * len(FIGURES)), *counts)
            )
    return rows


def threshold_rows(full: Blocks) -> list[Row]:
    """R1 and mAP at every IoU threshold."""
    thresholds = tuple(full["MR-R1"])
    return [
        ("IoU", *(percent(float(iou)) for iou in thresholds)),
        ("R1", *cells(full["MR-R1"], thresholds)),
        ("mAP", *cells(full["MR-mAP"], thresholds)),
    ]


def context_lines(report: Blocks) -> list[str]:
    """A row a figure: its interval, the ceiling and what blind answers reach."""
    ends = (report["intervals"] or {}).get("figures", {})
    priors = {name.partition(":")[2]: figures for name, figures in (report["priors"] or {}).items()}
    rows: list[Row] = [("", "95 %", "ceiling", *priors)]
    for name, best in report["ceiling"].items():
        blind = (percent(figures[name]) for figures in priors.values())
        rows.append((name, range_text(ends.get(name), digits=1), f"{best:.1f}", *blind))
    return numbers(rows) + ([f"({', '.join(priors)}: baselines that ignore the sound)"] if priors else [])


def recall_rows(found: Blocks) -> list[Row]:
    """How often a window among the first k hits."""
    header: Row = ("IoU", *(f"R@{depth}" for depth in next(iter(found.values()))))
    return [header, *((iou, *map(percent, recalls.values())) for iou, recalls in found.items())]


def calibration_lines(calibration: Blocks) -> list[str]:
    """Do scores mean what they say."""
    top = calibration["top_window"]
    if top is None:
        return ["calibration: scores are not probabilities"]
    title = f"calibration of the top window (hit: IoU >= {calibration['hit_iou']}): ECE {percent(top['ece'])}"
    rows: list[Row] = [("score", "mean", "hits", "windows")]
    for each in top["bins"]:
        low, high = each["scores"]
        rows.append((f"{low:g}-{high:g}", *cells(each, ("mean_score", "hits")), str(each["windows"])))
    return [title, *numbers(rows)]


def part_rows(title: str, parts: list[Blocks]) -> list[Row]:
    """A row a part of a breakdown."""
    rows: list[Row] = [(title, "R1@0.5", "R1@0.7", "95 %", "mAP", "mIoU", "queries", "windows")]
    for part in parts:
        interval = range_text(part["intervals"]["R1@0.7"], digits=1)
        recalls, rest = (cells(part["figures"], names) for names in (("R1@0.5", "R1@0.7"), ("mAP", "mIoU")))
        rows.append((part["range"], *recalls, interval, *rest, str(part["queries"]), str(part["windows"])))
    return rows


def several_lines(report: Blocks) -> list[str]:
    """Every file's figures, then what was found of them together."""
    systems = report["systems"]
    rows = [
        (short(each["predictions"]["file"]), *cells(quoted_figures(each["full"]), FIGURES))
        for each in systems
    ]
    lines = [against(systems[0]["ground_truth"]), "", *numbers([("", *FIGURES), *rows])]
    for comparison in report.get("comparisons", []):
        lines += ["", *comparison_lines(comparison)]
    return [*lines, "", *seed_lines(report["seeds"])] if "seeds" in report else lines


def comparison_lines(block: Blocks) -> list[str]:
    """One comparison: a row a figure."""
    title = f"{short(block['second'])} minus {short(block['first'])}: {counted(block)}"
    p_keys = [key for key in ("p", "p_holm") if key in block["figures"]["mAP"]]
    rows: list[Row] = [("", "points", "95 %", "p", *["p Holm"][: len(p_keys) - 1], "won", "lost")]
    for name, figure in block["figures"].items():
        p = (f"{figure[key]:.3g}" for key in p_keys)
        counts = (str(figure["queries_won"]), str(figure["queries_lost"]))
        rows.append((name, f"{figure['difference']:+.2f}", range_text(figure["interval"]), *p, *counts))
    return [title, *numbers(rows)]


def seed_lines(block: Blocks) -> list[str]:
    """Runs of one system: a row a figure."""
    rows: list[Row] = [("", "mean", "sd", "95 %", "95 % seeds", "95 % recordings")]
    for name in FIGURES:
        keys = ("interval", "interval_over_seeds", "interval_over_recordings")
        spread = (percent(block["mean"][name]), percent(block["standard_deviation"][name]))
        rows.append((name, *spread, *(range_text(block[key][name]) for key in keys)))
    return [f"{block['runs']} runs, {counted(block)}", *numbers(rows)]


def event_lines(report: Blocks) -> list[str]:
    """Sound events."""
    best = report["best_on_these_files"]
    header: Row = ("frames of 1 s", "P", "R", "F1")
    named = [("micro", report["frame_micro"]), *report["classes"].items()]
    rows = [
        (name, *cells(each, header[1:]))
        for name, each in [*named, ("always active", report["always_active"])]
    ]
    lines = [
        f"{report['predictions']['file']} {against(report['ground_truth'])}",
        "",
        f"threshold {report['threshold']:g} ({'tuned' if report['tuned_on'] else 'given'})",
        *numbers([header, *rows]),
        "",
        f"best on these files, no test: threshold {best['threshold']:.4g}, F1 {percent(best['F1'])}",
    ]
    return [*lines, "", *library_lines(report["library"])] if "library" in report else lines


def library_lines(found: Blocks) -> list[str]:
    """Measures by sed_scores_eval."""
    rows: list[Row] = [("sed_scores_eval", "P", "R", "F1", "F1 macro")]
    for name in ("event", "segment", "intersection"):
        rows.append((name, *cells(found[name], ("P", "R", "F1", "F1_macro"))))
    psds = ", ".join(f"{name} {percent(found[name])}" for name in found if name.startswith("PSDS"))
    return [*numbers(rows), psds]


def counted(block: Blocks) -> str:
    return f"{block['queries']} queries, {block['recordings']} recordings"


def short(name: str) -> str:
    """The end of a file's name, which tells it from others."""
    return name if len(name) <= NAME_WIDTH else "…" + name[1 - NAME_WIDTH :]


def range_text(ends: list[float] | None, *, digits: int = 2) -> str:
    """An interval as people write it."""
    return "-" if ends is None else f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"


def percent(value: float) -> str:
    return f"{value:.2f}"


def cells(block: Blocks, names: tuple[str, ...]) -> Row:
    """Some figures of a block."""
    return tuple(percent(block[name]) for name in names)


def numbers(rows: list[Row]) -> list[str]:
    """Rows of a name and figures flush right."""
    return columns(rows, right=frozenset(range(1, len(rows[0]))))
