"""A training run: losses, scores and learning rate over epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from amr.report.canvas import DASHES, MARKERS, PALETTE, new_figure, short_label

STEP_KEYS = ("epoch", "step", "iteration")
MAX_LINES = 6
LOG_FROM = 30
"""From this ratio of the largest and the smallest loss on their axis is logarithmic."""

PANELS = (
    ("loss", "loss"),
    ("score", "score (%)"),
    ("learning rate", "learning rate"),
)


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a log record, nested names joined by spaces; anything else is passed over."""
    flat: dict[str, float] = {}
    for key, value in record.items():
        name = f"{prefix} {key}".strip()
        if isinstance(value, Mapping):
            flat |= flatten(value, name)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            flat[name] = float(value)
    return flat


def panel_of(name: str) -> str | None:
    """Which panel a quantity of a log belongs to; None for what is not drawn (seconds, counts)."""
    low = name.lower()
    if "loss" in low:
        return "loss"
    if low in ("lr", "learning_rate", "learning rate") or low.endswith((" lr", "learning_rate")):
        return "learning rate"
    if any(mark in low for mark in ("r1", "r@", "recall", "map", "miou", "score")):
        return "score"
    return None


def collect_curves(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """``{panel: {name: [(epoch, value), ...]}}`` of a training log, finite values only.

    The position is the record's epoch (else step, else its number). Records of other events than epochs (the
    start with its settings, the end) are skipped.
    """
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    epochs = (record for record in records if record.get("event", "epoch") == "epoch")
    for number, record in enumerate(epochs, start=1):
        flat = flatten(record)
        position = next((flat[key] for key in STEP_KEYS if key in flat), float(number))
        for name, value in flat.items():
            panel = panel_of(name)
            if panel is not None and math.isfinite(value):
                curves.setdefault(panel, {}).setdefault(short(name), []).append((position, value))
    return curves


def short(name: str) -> str:
    """A quantity's name without the group that its panel names already."""
    for group in ("loss ", "metrics "):
        name = name.removeprefix(group)
    return name


def training_figure(records: Sequence[Mapping[str, Any]]) -> Any | None:
    """Panels of loss, learning rate and validation score over epochs; None when the log has none of them."""
    curves = collect_curves(records)
    panels = [(name, label) for name, label in PANELS if name in curves]
    if not panels:
        return None
    figure = new_figure(6.4, 0.6 + 2.0 * len(panels))
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, label) in zip(rows, panels, strict=True):
        draw_curves(axes, curves[name])
        axes.set_ylabel(label)
        values = [value for line in curves[name].values() for _, value in line]
        if name == "loss" and min(values) > 0 and max(values) > LOG_FROM * min(values):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        else:
            axes.ticklabel_format(axis="y", scilimits=(-3, 4))
    rows[-1].set_xlabel(next((key for key in STEP_KEYS if key in flatten(records[-1])), "record"))
    rows[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def draw_curves(axes: Any, curves: Mapping[str, list[tuple[float, float]]]) -> None:
    """One line a quantity; of many the most telling six, in the log's order."""
    for index, name in enumerate(telling(list(curves))):
        x, y = zip(*curves[name], strict=True)
        marker = MARKERS[index] if len(x) <= 40 else None
        axes.plot(
            x, y, color=PALETTE[index], linestyle=DASHES[index], marker=marker, label=short_label(name, 40)
        )
    axes.grid()
    axes.margins(x=0.02)
    if len(curves) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def telling(names: list[str]) -> list[str]:
    """At most ``MAX_LINES`` names: totals and the field's primary figures before their parts."""
    marks = ("R1@0.7", "R1@0.5", "mAP", "average", "val", "train", "total")
    ranked = sorted(
        names, key=lambda name: (-sum(mark in name for mark in marks), len(name), names.index(name))
    )
    return sorted(ranked[:MAX_LINES], key=names.index)
