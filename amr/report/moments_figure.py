"""One recording on one time axis: its sound, its saliency, what was predicted, what is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from amr.report.canvas import GREY, INK, PALETTE, TRUTH, new_figure, short_label
from amr.report.overview import Overview
from amr.report.records import Case

DYNAMIC_DB = 70.0
"""What a spectrogram shows below its loudest point."""

BAR_HEIGHT = 0.8
MIN_TRACKS = 3
MAX_SHOWN = 5
"""Predicted moments drawn a query: the evaluators read ten, of which the last few are noise to the eye."""


def moments_figure(case: Case, sound: Overview | None, *, picture: str = "spectrogram") -> Any:
    """A figure of one query: sound, saliency, predicted and true moments.

    Args:
        sound: the recording's overview; None leaves the sound's panel out.
        picture: ``spectrogram`` or ``waveform``.
    """
    rows = [("sound", 2.4)] * (sound is not None) + [("saliency", 1.1)] * bool(case.saliency)
    num_tracks = min(len(case.predicted), MAX_SHOWN) + (case.truth is not None)
    rows.append(("moments", 0.32 + 0.2 * max(num_tracks, MIN_TRACKS)))
    figure = new_figure(8.0, 0.75 + sum(height for _, height in rows))
    grid = figure.add_gridspec(len(rows), 1, height_ratios=[height for _, height in rows])
    duration_s = sound.duration_s if sound else case.known_s
    first = None
    for index, (name, _) in enumerate(rows):
        axes = figure.add_subplot(grid[index], sharex=first)
        first = first or axes
        if name == "sound" and sound is not None:
            DRAW_SOUND[picture](figure, axes, sound)
        elif name == "saliency":
            draw_saliency(axes, case, duration_s)
        else:
            draw_moments(axes, case)
        axes.tick_params(labelbottom=index == len(rows) - 1)
    assert first is not None
    first.set_xlim(0, duration_s)
    axes.set_xlabel(time_label(axes, duration_s))
    figure.suptitle(
        f"“{short_label(case.query, 70)}”  in  {short_label(case.vid, 30)}", x=0.01, ha="left", size=10
    )
    return figure


def time_label(axes: Any, duration_s: float) -> str:
    """The time axis's label; from two minutes on its ticks read ``m:ss``, on whole minutes where possible."""
    if duration_s < 120:
        return "time (s)"
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

    steps = [step for step in (15, 30, 60, 120, 300, 600, 1800, 3600) if duration_s / step <= 12]
    axes.xaxis.set_major_locator(MultipleLocator(steps[0]) if steps else MaxNLocator(8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    return "time (h:mm:ss)" if duration_s >= 3600 else "time (m:ss)"


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def draw_spectrogram(figure: Any, axes: Any, sound: Overview) -> None:
    """Log-mel levels in dB below the loudest point; dark is loud, so that print saves ink."""
    level_db = np.maximum(sound.level_db - sound.level_db.max(), -DYNAMIC_DB)
    columns = np.linspace(0, sound.duration_s, level_db.shape[1] + 1)
    mesh = axes.pcolormesh(
        columns,
        mel_ruler(sound),
        level_db,
        cmap="Greys",
        vmin=-DYNAMIC_DB,
        vmax=0,
        rasterized=True,
    )
    nice_hz = [hz for hz in (100, 300, 1000, 3000, 10_000) if hz < sound.band_edges_hz[-1]]
    axes.set_yticks(np.interp(nice_hz, sound.band_edges_hz, mel_ruler(sound)))
    axes.set_yticklabels([f"{hz / 1000:g}" for hz in nice_hz])
    axes.set_ylabel("frequency (kHz, mel)")
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=18)
    bar.set_label("level (dB re peak)")
    bar.outline.set_visible(False)


def mel_ruler(sound: Overview) -> Any:
    """Bands are drawn equally high; the axis counts them."""
    return np.arange(len(sound.band_edges_hz))


def draw_waveform(figure: Any, axes: Any, sound: Overview) -> None:
    """Lowest to highest sample of each column."""
    del figure  # the same call as draw_spectrogram, which needs room for its scale
    middles = (np.arange(len(sound.lowest)) + 0.5) * sound.duration_s / len(sound.lowest)
    axes.fill_between(middles, sound.lowest, sound.highest, color=INK, linewidth=0.3, step="mid")
    peak = max(0.05, float(np.max(np.abs([sound.lowest, sound.highest]))) * 1.05)
    axes.set_ylim(-peak, peak)
    axes.set_ylabel("amplitude (re full scale)")


DRAW_SOUND = {"spectrogram": draw_spectrogram, "waveform": draw_waveform}
PICTURES = tuple(DRAW_SOUND)


def draw_saliency(axes: Any, case: Case, duration_s: float) -> None:
    """The curve as steps: a value stands for its stretch of the recording. True moments are shaded."""
    edges = np.linspace(0, duration_s, len(case.saliency) + 1)
    axes.stairs(case.saliency, edges, color=PALETTE[0], fill=True, alpha=0.25)
    axes.stairs(case.saliency, edges, color=PALETTE[0], linewidth=1.2)
    for start_s, end_s in case.truth or []:
        axes.axvspan(start_s, end_s, color=TRUTH, alpha=0.18, linewidth=0)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("saliency")


def draw_moments(axes: Any, case: Case) -> None:
    """A line for the truth and one for each of the best predicted moments, best on top."""
    shown = case.predicted[:MAX_SHOWN]
    labels: list[str] = []
    if case.truth is not None:
        draw_bars(axes, len(labels), case.truth, color=TRUTH)
        labels.append("true")
    for rank, (start_s, end_s, score) in enumerate(shown, start=1):
        draw_bars(axes, len(labels), [(start_s, end_s)], color=PALETTE[0], alpha=0.35 + 0.65 * clip01(score))
        labels.append(f"{rank}:  {score:.2f}")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(max(len(labels), MIN_TRACKS) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("rank: score")
    axes.grid(axis="x")
    left_out = len(case.predicted) - len(shown)
    if left_out > 0:
        axes.annotate(
            f"{left_out} weaker not drawn",
            (1, 1),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            color=GREY,
            size=7,
        )
    if not labels:
        axes.text(0.5, 0.5, "no moment", transform=axes.transAxes, ha="center", va="center", color=GREY)


def clip01(value: float) -> float:
    return min(max(value, 0.0), 1.0) if value == value else 0.0


def draw_bars(axes: Any, row: int, moments: Sequence[Sequence[float]], **look: Any) -> None:
    """Moments of one row as bars, outlined so that neighbours stay apart."""
    spans = [(moment[0], moment[1] - moment[0]) for moment in moments]
    axes.broken_barh(spans, (row - BAR_HEIGHT / 2, BAR_HEIGHT), edgecolor="white", linewidth=0.5, **look)
