"""Figures: repeatable bytes, units on the axes, no text on another, nothing outside."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import amr
from amr.errors import InputError
from amr.metrics.calibration import reliability
from amr.moments import Moment, Span
from amr.report import score_figures
from amr.report.canvas import IMAGE_KINDS, PALETTE, TRUTH, save, short_label, style
from amr.report.moments_figure import PICTURES, moments_figure
from amr.report.overview import Overview
from amr.report.records import Case
from amr.report.results import LengthResult, SystemResult
from amr.report.training_figure import collect_curves, training_figure

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")


def sound(duration_s: float = 30.0) -> Overview:
    rng = np.random.default_rng(0)
    edges = np.geomspace(50, 12_000, 25)
    return Overview(duration_s, rng.normal(-50, 10, (24, 80)), edges, -rng.random(80), rng.random(80))


def case(query: str = "a dog barks", duration_s: float = 30.0, found: int = 7) -> Case:
    step = duration_s / 10
    predicted = [Moment(step * i, step * i + step / 2, 1 - 0.1 * i) for i in range(found)]
    truth = [Span(step, 2 * step), Span(5 * step, 5.1 * step)]
    return Case("q1", query, "street", predicted, truth, list(np.linspace(0, 1, 40)), duration_s)


def system(name: str, skill: float, queries: int = 90) -> SystemResult:
    rng = np.random.default_rng(int(10 * skill))
    iou = rng.beta(skill, 1.5, queries)
    return SystemResult(name, [f"r{i // 3}" for i in range(queries)], iou, np.clip(iou + 0.1, 0, 1))


SYSTEMS = [
    system("window", 0.6),
    system("a rather long name of a system, of two lines", 1.0),
    system("best", 2.0),
]
LENGTHS = [
    LengthResult(0, 5, SYSTEMS),
    LengthResult(5, 10, [system(s.name, 1, 3) for s in SYSTEMS]),
    LengthResult(10, float("inf"), [system(s.name, 1, 0) for s in SYSTEMS]),
]
LOG = [
    {"epoch": e, "train": {"loss": 3 / e}, "val": {"loss": 4 / e, "R1@0.7": 40 - 30 / e}, "lr": 1e-4 / e}
    for e in range(1, 20)
]

FIGURES: dict[str, Callable[[], Any]] = {
    **{name: (lambda name=name: moments_figure(case(), sound(), picture=name)) for name in PICTURES},
    "long recording": lambda: moments_figure(case(duration_s=36_000), sound(36_000)),
    "some minutes": lambda: moments_figure(case(duration_s=300), sound(300)),
    "no sound": lambda: moments_figure(case(), None),
    "no answer": lambda: moments_figure(Case(1, "", "", [], None, [], None), None),
    "long query": lambda: moments_figure(case("many words " * 40), sound()),
    "hostile query": lambda: moments_figure(case("$\\frac{1}{0}$ <b> \x1b[2J \u2028 & \n"), sound()),
    "iou": lambda: score_figures.iou_figure(SYSTEMS),
    "length": lambda: score_figures.length_figure(LENGTHS),
    "reliability": lambda: score_figures.reliability_figure(SYSTEMS[0]),
    "compare": lambda: score_figures.comparison_figure(SYSTEMS),
    "training": lambda: training_figure(LOG),
    "losses far apart": lambda: training_figure([{"epoch": e, "loss": 100.0 / e**2} for e in range(1, 20)]),
}


@pytest.fixture(autouse=True)
def house_style() -> Iterator[None]:
    with style():
        yield


def saved(figure: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    save(figure, buffer, kind)
    return buffer.getvalue()


def texts(figure: Any) -> list[Any]:
    """Every visible text with a word in it, ticks outside their axis left out."""
    from matplotlib.text import Text

    found = []
    for text in figure.findobj(Text):
        if not (text.get_visible() and text.get_text().strip()):
            continue
        axis_ticks = [
            (label, axis)
            for axes in figure.axes
            for axis in (axes.xaxis, axes.yaxis)
            for label in axis.get_ticklabels(which="both")
        ]
        owner = next((axis for label, axis in axis_ticks if label is text), None)
        if owner is None or any(
            label is text and low - 1e-9 <= place <= high + 1e-9
            for label, place in zip(owner.get_ticklabels(), owner.get_ticklocs(), strict=False)
            for low, high in [sorted(owner.get_view_interval())]
        ):
            found.append(text)
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_on_another_or_outside(name: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = FIGURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts(figure)]
    assert len(boxes) >= 3
    assert not [text for text, _ in boxes if "mathdefault" in text]
    width, height = canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 > -2, text
        assert box.y0 > -2, text
        assert box.x1 < width + 2, text
        assert box.y1 < height + 2, text
    for (a, one), (b, other) in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across < 1 or down < 1, f"{a!r} lies on {b!r}"


@pytest.mark.parametrize("kind", IMAGE_KINDS)
@pytest.mark.parametrize("name", ["spectrogram", "compare", "training"])
def test_same_figure_same_bytes(name: str, kind: str) -> None:
    first, second = saved(FIGURES[name](), kind), saved(FIGURES[name](), kind)
    assert first == second
    for word in (b"<dc:date>", b"Software", b"matplotlib v", b"Matplotlib v"):
        assert word not in first


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "spectrogram",
            ["time (s)", "frequency (kHz, mel)", "level (dB re peak)", "rank: score"],
        ),
        ("waveform", ["time (s)", "amplitude (re full scale)"]),
        ("some minutes", ["time (m:ss)"]),
        ("long recording", ["time (h:mm:ss)"]),
        ("iou", ["IoU threshold", "recall at 1 (%)"]),
        ("length", ["recall at 1, IoU ≥ 0.7 (%)"]),
        ("reliability", ["score of the best answer", "answers"]),
        ("compare", ["recall at 1, IoU ≥ 0.7 (%)", "difference to window (points)"]),
        ("training", ["loss", "score (%)", "learning rate", "epoch"]),
    ],
)
def test_axes_say_what_they_show(name: str, labels: list[str]) -> None:
    axes = FIGURES[name]().axes
    there = {axis.get_label_text() for one in axes for axis in (one.xaxis, one.yaxis)}
    assert set(labels) <= there


def test_no_global_state_is_left() -> None:
    code = (
        "import sys, io, matplotlib\n"
        "from amr.report.canvas import style, save, new_figure\n"
        "before = {k: v for k, v in matplotlib.rcParams.items() if k != 'backend'}\n"
        "with style():\n"
        "    save(new_figure(2, 2), io.BytesIO(), 'png')\n"
        "    assert matplotlib.rcParams['svg.hashsalt'] == 'amr'\n"
        "assert {k: v for k, v in matplotlib.rcParams.items() if k != 'backend'} == before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    room = Path(amr.__file__).parent / "report"
    assert not [path for path in room.rglob("*.py") if "pyplot" in path.read_text(encoding="utf-8")]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_first_colours_differ_in_grey_too() -> None:
    light = [luminance(colour) for colour in (PALETTE[0], PALETTE[1], PALETTE[2])]
    assert all(abs(a - b) > 0.05 for a, b in itertools.combinations(light, 2))
    assert TRUTH not in PALETTE


def test_text_of_files_is_one_line() -> None:
    assert short_label("a\nb\x1b[31m\u2028c", 50) == "a b [31m c"
    assert short_label("x" * 100, 10) == "x" * 9 + "…"


def test_a_log_is_sorted_into_panels() -> None:
    curves = collect_curves([*LOG, {"epoch": 20, "train": {"loss": float("nan")}, "note": "x", "seconds": 3}])
    assert {panel: sorted(lines) for panel, lines in curves.items()} == {
        "loss": ["train loss", "val loss"],
        "score": ["val R1@0.7"],
        "learning rate": ["lr"],
    }
    assert curves["loss"]["train loss"][0] == (1.0, 3.0)
    assert len(curves["loss"]["train loss"]) == 19


def test_the_log_of_a_run_is_read() -> None:
    log = [
        {"event": "start", "loss": {"l1": 10.0}, "training": {"learning_rate": 1.0}},
        {
            "event": "epoch",
            "epoch": 3,
            "loss": {"total": 2.0},
            "metrics": {"R1@0.7": 5.0},
            "learning_rate": 0.1,
        },
    ]
    assert collect_curves(log) == {
        "loss": {"total": [(3.0, 2.0)]},
        "score": {"R1@0.7": [(3.0, 5.0)]},
        "learning rate": {"learning_rate": [(3.0, 0.1)]},
    }


def test_a_log_without_curves_draws_nothing() -> None:
    assert training_figure([{"note": "x"}]) is None


def test_calibration_is_that_of_the_score_tables() -> None:
    score, iou = np.array([0.1, 0.9, 0.9, 1.0, np.nan]), np.array([0.0, 0.8, 0.2, 0.9, 0.0])
    figure = score_figures.reliability_figure(SystemResult("x", list("abcde"), iou, score))
    told = reliability(score[:4], iou[:4] >= 0.5)
    assert told is not None
    assert f"calibration error {100 * told.expected_error():.1f} %" in figure.axes[0].get_title("left")
    assert [bar.get_height() for bar in figure.axes[1].patches] == told.count.tolist()


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    with pytest.raises(InputError, match=r"not all in \[0, 1\]"):
        score_figures.reliability_figure(SystemResult("x", ["a"], np.array([0.5]), np.array([7.0])))


def test_one_recording_is_drawn_without_whiskers() -> None:
    lone = SystemResult("x", ["a", "a"], np.array([0.9, 0.1]), np.array([0.5, 0.5]))
    for figure in (
        score_figures.iou_figure([lone]),
        score_figures.length_figure([LengthResult(0, 5, [lone])]),
        score_figures.comparison_figure([lone, lone]),
    ):
        assert saved(figure, "png")
