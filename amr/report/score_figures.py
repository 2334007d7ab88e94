"""What a number hides: by IoU threshold, by moment length, trust in scores, systems side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from amr.arrays import Float64Array
from amr.errors import InputError
from amr.evaluation.scoring import DRAWS, MANY_DRAWS
from amr.metrics.calibration import Reliability, reliability
from amr.metrics.results import IOU_THRESHOLDS
from amr.report.canvas import DASHES, GREY, INK, MARKERS, PALETTE, new_figure, short_label
from amr.report.estimates import Estimate, mean_estimates
from amr.report.results import LengthResult, SystemResult


def look(index: int) -> dict[str, Any]:
    """Colour, marker and stroke of the series with this number."""
    return {
        "color": PALETTE[index % len(PALETTE)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[index % len(DASHES)],
    }


def iou_figure(systems: Sequence[SystemResult]) -> Any:
    """Recall at 1 over the IoU threshold with 95 % bands, a line a system."""
    figure = new_figure(5.6, 3.7)
    axes = figure.add_subplot()
    for index, system in enumerate(systems):
        reached = np.stack([hits(system, iou) for iou in IOU_THRESHOLDS], axis=1)
        value, low, high = np.array(estimates(reached, system, len(systems))).T
        axes.plot(IOU_THRESHOLDS, value, label=short_label(system.name, 40), **look(index))
        axes.fill_between(IOU_THRESHOLDS, low, high, color=look(index)["color"], alpha=0.15, linewidth=0)
    axes.set_xlabel("IoU threshold")
    axes.set_ylabel("recall at 1 (%)")
    axes.set_ylim(0, None)
    axes.set_xticks(IOU_THRESHOLDS[::2])
    axes.grid()
    axes.legend(title="bands: 95 %, over recordings", alignment="left", title_fontsize=8)
    axes.set_title(f"{len(systems[0].top_iou)} queries on {len(set(systems[0].recordings))} recordings")
    return figure


def hits(system: SystemResult, iou: float) -> Float64Array:
    """``(queries,)`` 1 where the best answer reaches the threshold, else 0."""
    reached: Float64Array = (system.top_iou >= iou).astype(np.float64)
    return reached


def estimates(values: Float64Array, system: SystemResult, num_systems: int) -> list[Estimate]:
    """Means in per cent of ``values (queries, columns)``, in a figure of this many systems."""
    draws = DRAWS if num_systems == 1 else MANY_DRAWS
    found = mean_estimates(values, system.recordings, draws=draws)
    return [Estimate(*(100 * part for part in entry)) for entry in found]


def length_figure(ranges: Sequence[LengthResult], *, iou: float = 0.7) -> Any:
    """Recall at 1 by the length of the true moment, bars with 95 % intervals."""
    figure = new_figure(5.6, 3.7)
    axes = figure.add_subplot()
    names = [system.name for system in ranges[0].systems]
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        place = np.arange(len(ranges)) + (index - (len(names) - 1) / 2) * width
        recalls = [recall(entry.systems[index], iou, len(names)) for entry in ranges]
        draw_interval_bars(axes, list(place), recalls, width, index, short_label(name, 40))
    labels = [f"{range_name(entry)}\nn = {len(entry.systems[0].top_iou)}" for entry in ranges]
    axes.set_xticks(range(len(ranges)), labels)
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("length of the true moments (s), and how many queries have one")
    axes.set_ylabel(f"recall at 1, IoU ≥ {iou:g} (%)")
    axes.set_ylim(0, None)
    axes.set_xlim(-0.5, len(ranges) - 0.5)
    axes.grid(axis="y")
    if len(names) > 1:
        axes.legend()
    axes.set_title("bars: 95 % intervals over recordings")
    return figure


def recall(system: SystemResult, iou: float, num_systems: int) -> Estimate | None:
    """Recall at 1 in per cent; None when there is no query."""
    if not len(system.top_iou):
        return None
    return estimates(hits(system, iou)[:, None], system, num_systems)[0]


def range_name(entry: LengthResult) -> str:
    return f"over {entry.low_s:g}" if entry.high_s == float("inf") else f"{entry.low_s:g}–{entry.high_s:g}"


def draw_interval_bars(
    axes: Any,
    place: Sequence[float],
    bars: Sequence[Estimate | None],
    width: float,
    index: int,
    name: str,
) -> None:
    """One system's bars with whiskers; a range without a query gets a small note instead of a bar of 0."""
    known = [(x, entry) for x, entry in zip(place, bars, strict=True) if entry is not None]
    if known:
        at, (value, low, high) = [x for x, _ in known], np.array([entry for _, entry in known]).T
        whiskers = np.maximum([value - low, high - value], 0)
        hatch = ("", "///", "...", "xx", "\\\\\\", "++")[index % 6]
        axes.bar(
            at, value, width * 0.9, label=name, color=look(index)["color"], hatch=hatch, edgecolor="white"
        )
        axes.errorbar(at, value, whiskers, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    for x, entry in zip(place, bars, strict=True):
        if entry is None:
            axes.text(x, 0, "none", ha="center", va="bottom", color=GREY, size=7)


def reliability_figure(system: SystemResult, *, iou: float = 0.5) -> Any:
    """Of the answers that claim a score, how many are right; below, how many claim it.

    Raises:
        InputError: the scores cannot be probabilities.
    """
    answered = ~np.isnan(system.top_score)
    found = reliability(system.top_score[answered], system.top_iou[answered] >= iou)
    if found is None:
        raise InputError(
            "the scores of its best answers are not all in [0, 1]",
            where=system.name,
            hint="only scores that can be probabilities have a calibration",
        )
    figure = new_figure(4.6, 4.8)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="a perfectly honest score")
    draw_shares(top, found)
    top.set_ylim(0, 1)
    top.set_aspect("auto")
    top.set_ylabel(f"share of answers with IoU ≥ {iou:g}")
    error = found.expected_error()
    top.set_title(f"{short_label(system.name, 28)}: calibration error {100 * error:.1f} %")
    top.legend(loc="upper left")
    top.grid()
    bins = len(found.count)
    bottom.bar((np.arange(bins) + 0.5) / bins, found.count, width=0.9 / bins, color=GREY)
    bottom.set_xlim(0, 1)
    bottom.set_xlabel("score of the best answer")
    bottom.set_ylabel("answers")
    return figure


def draw_shares(axes: Any, found: Reliability) -> None:
    """Points at mean score and share, with Wilson's 95 % interval of the share."""
    held = found.count > 0
    score, share = found.score[held], found.share[held]
    limits = np.array([wilson(*pair) for pair in zip(share, found.count[held], strict=True)]).T
    whiskers = np.maximum([share - limits[0], limits[1] - share], 0)
    axes.errorbar(score, share, whiskers, label="answers, 95 % interval", capsize=2, elinewidth=1, **look(0))


def wilson(share: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share (J. Am. Stat. Assoc. 22, 1927)."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    spread = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return float(max(middle - spread, 0)), float(min(middle + spread, 1))


def comparison_figure(systems: Sequence[SystemResult], *, iou: float = 0.7) -> Any:
    """Systems side by side: recall at 1 of each, and each one's paired difference to the first.

    The first system is the baseline. Differences resample recordings with both systems' answers together.
    """
    figure = new_figure(7.2, 1.3 + 0.42 * len(systems))
    left, right = figure.subplots(1, 2, sharey=True)
    base = hits(systems[0], iou)
    for row, system in enumerate(systems):
        hit = hits(system, iou)
        columns = np.stack([hit, hit - base], axis=1)
        own, difference = estimates(columns, systems[0], len(systems))
        draw_whisker(left, row, own, row)
        if row:
            draw_whisker(right, row, difference, row)
            won, lost = int((hit > base).sum()), int((hit < base).sum())
            note = f"{won} queries won, {lost} lost"
            right.annotate(
                note, (0.99, row + 0.16), xycoords=("axes fraction", "data"), ha="right", va="top", size=7
            )
    left.set_yticks(range(len(systems)), [short_label(system.name, 28) for system in systems])
    left.set_ylim(len(systems) - 0.4, -0.6)
    left.set_xlabel(f"recall at 1, IoU ≥ {iou:g} (%)")
    right.axvline(0, color=GREY, linewidth=1, linestyle="--")
    right.set_xlabel(f"difference to {short_label(systems[0].name, 20)} (points)")
    for axes in (left, right):
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    left.set_title(f"{len(base):.0f} queries, {len(set(systems[0].recordings))} recordings")
    right.set_title("paired, 95 % over recordings")
    return figure


def draw_whisker(axes: Any, row: int, estimate: Estimate, index: int) -> None:
    """A point with its interval, and the value written above it."""
    value, low, high = estimate
    axes.errorbar(
        [value],
        [row],
        xerr=[[max(value - low, 0)], [max(high - value, 0)]],
        capsize=3,
        markersize=6,
        **look(index),
    )
    axes.annotate(
        f"{value:.1f}".replace("-", "−"),
        (value, row),
        (0, 5),
        textcoords="offset points",
        ha="center",
        size=8,
    )
