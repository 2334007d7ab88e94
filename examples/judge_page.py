"""The Markdown page of ``judge_default.py``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Record = dict[str, Any]

FIGURES = ("R1@0.5", "R1@0.7", "mAP", "mIoU")


def page(found: Record) -> str:
    """Everything as Markdown."""
    blocks = [figures_table(found)]
    if len(found["models"]) > 1:
        blocks.append(difference_table(found))
    blocks.append(apart_table(found))
    for name, held in found["sets"].items():
        for model in found["models"]:
            if "absent" in held:
                blocks += score_tables(name, model, held["absent"]["all"][model])
    return "\n\n".join(blocks) + "\n"


def figures_table(found: Record) -> str:
    """Figures and their intervals by set, part and model."""
    rows = []
    for name, held in found["sets"].items():
        for part, scored in held["parts"].items():
            for model, report in scored["models"].items():
                ends = report["intervals"]["figures"]
                cells = [f"{report['brief'][f'MR-full-{key}']:.2f} {between(ends[key])}" for key in FIGURES]
                rows.append((name, part, str(scored["queries"]), f"`{model}`", *cells))
    return "## Moments\n\n" + table(("set", "part", "queries", "model", *FIGURES), rows)


def difference_table(found: Record) -> str:
    """Each further model minus the first, paired."""
    rows = []
    for name, held in found["sets"].items():
        for part, scored in held["parts"].items():
            for model, pair in scored["against_first"].items():
                cells = [
                    f"{pair[key]['difference']:+.2f} {between(pair[key]['interval'])}" for key in FIGURES
                ]
                rows.append((name, part, f"`{model}`", *cells, f"{pair['R1@0.7']['p']:.2g}"))
    head = ("set", "part", "model", *FIGURES, "p of R1@0.7")
    return f"## Points above `{found['models'][0]}`\n\n" + table(head, rows)


def apart_table(found: Record) -> str:
    """AUC and ECE by set, part and model."""
    rows = []
    for name, held in found["sets"].items():
        for part, models in held.get("absent", {}).items():
            for model, told in models.items():
                calibration = told["calibration"]
                error = "" if calibration is None else f"{calibration['ece']:.2f}"
                counts = (str(told["present"]), str(told["absent"]))
                rows.append((name, part, *counts, f"`{model}`", f"{told['AUC']:.2f}", error))
    return "## Present against absent\n\n" + table(
        ("set", "part", "present", "absent", "model", "AUC", "ECE"), rows
    )


def score_tables(name: str, model: str, told: Record) -> list[str]:
    """What one model's scores mean on one set, and what a threshold on them does."""
    blocks = [f"## What scores of `{model}` mean on {name}"]
    if told["calibration"] is not None:
        bins = told["calibration"]["bins"]
        rows = [
            (
                "{:g} to {:g}".format(*b["scores"]),
                f"{b['mean_score']:.2f}",
                f"{b['hits']:.2f}",
                str(b["windows"]),
            )
            for b in bins
        ]
        blocks.append(table(("score", "mean", "right", "queries"), rows))
    head = ("precision", "recall", "F1", "answered", "false_alarms")
    lines = [
        (f"{row['min_score']:.2f}", *("" if row[key] is None else f"{row[key]:.2f}" for key in head))
        for row in told["min_score"]
    ]
    return [*blocks, table(("`--min-score`", *(key.replace("_", " ") for key in head)), lines)]


def between(ends: Sequence[float] | None) -> str:
    """Both ends of an interval in brackets; nothing where too few recordings give none."""
    return "" if ends is None else f"({ends[0]:.4g} to {ends[1]:.4g})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
