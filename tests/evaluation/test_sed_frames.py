"""Frame-level sound event detection: the published definition, edge by edge and on random files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.sed import frame_micro

from amr.metrics.sed_frames import (
    Frames,
    Rates,
    class_rates,
    covered,
    highest_score,
    make_frames,
    num_frames,
    rates,
    sweep,
)

Record = dict[str, Any]

TIMES = st.sampled_from([0.0, 0.1, 0.9, 1.0, 1.5, 2.0, 2.999999, 3.0, 4.0, 5.2, 7.0, -1.0, 60.0])
SCORES = st.sampled_from([0.0, 0.2, 0.5, 0.5000001, 0.7, 1.0, -0.3])
VIDS, QUERIES = ["v", "w"], ["A dog barks.", "It rains."]


@pytest.mark.parametrize(
    ("window", "frames"),
    [
        ([7.0, 12.7], [7, 8, 9, 10, 11, 12]),  # both ends included
        ([17.0, 18.0], [17, 18]),  # one second, two frames
        ([0.1, 0.9], []),  # between two whole seconds
        ([3.0, 3.0], [3]),
        ([2.2, 3.9], [3]),
        ([5.0, 4.0], []),
        ([18.5, 99.0], [19]),  # past the end
        ([-3.0, 1.0], [0, 1]),
        ([math.nan, 4.0], []),
    ],
)
def test_which_frames_a_window_switches_on(window: list[float], frames: list[int]) -> None:
    assert np.flatnonzero(covered([window], 20)).tolist() == frames
    assert np.flatnonzero(highest_score([[*window, 0.4]], 20) == 0.4).tolist() == frames


@pytest.mark.parametrize(
    ("duration_s", "count"), [(60, 60), (59.1, 60), (2.0, 2), (0.3, 1), (60.0000001, 61)]
)
def test_a_frame_a_second_begun(duration_s: float, count: int) -> None:
    assert num_frames(duration_s) == count


def one_class(true: list[float], score: list[float]) -> Frames:
    return Frames(["x"], np.zeros(len(true), dtype=np.int64), np.array(score), np.array(true))


def test_the_threshold_is_strict() -> None:
    frames = one_class([1, 1, 0], [0.5, 0.6, -np.inf])
    assert rates(frames, 0.5) == Rates(1, 1, 2)
    assert rates(frames, 0.49) == Rates(2, 2, 2)


def test_overlapping_windows_count_once_and_nan_never() -> None:
    found = highest_score([[0, 3, 0.2], [1, 2, 0.9], [0, 4, math.nan]], 5)
    assert found.tolist() == [0.2, 0.9, 0.9, 0.2, -np.inf]


def test_nothing_found_is_0_not_an_error() -> None:
    nothing = Rates(0, 0, 0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0.0, 0.0, 0.0)


def test_classes_without_a_line_count_as_silent() -> None:
    durations_s, truth = {"v": 4.0, "w": 2.0}, {("v", "a"): [[0, 1]], ("w", "b"): [[0, 1]]}
    answers = {("v", "a"): [[0, 1, 0.9]], ("w", "a"): [[0, 1, 0.9]]}
    frames = make_frames(durations_s, ["a", "b"], truth, answers)
    assert len(frames.true) == 2 * (4 + 2)
    assert rates(frames, 0.5) == Rates(2, 4, 4)  # a false alarm in w, where class a has no line
    assert class_rates(frames, 0.5) == {"a": Rates(2, 4, 2), "b": Rates(0, 0, 2)}


@st.composite
def event_files(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    """A reference with one to four lines, and predictions for pairs of its recordings and classes."""
    durations = {vid: draw(st.sampled_from([1.0, 2.5, 5.0, 7.2])) for vid in VIDS}
    keys = draw(st.lists(st.tuples(st.sampled_from(VIDS), st.sampled_from(QUERIES)), min_size=1, max_size=4))
    truths = [
        {"vid": vid, "query": query, "duration": durations[vid], "relevant_windows": draw(windows())}
        for vid, query in keys
    ]
    vids, queries = sorted({vid for vid, _ in keys}), sorted({query for _, query in keys})
    answered = draw(st.lists(st.tuples(st.sampled_from(vids), st.sampled_from(queries)), max_size=4))
    answers = [
        {
            "vid": vid,
            "query": query,
            "pred_relevant_windows": [[*window, draw(SCORES)] for window in draw(windows())],
        }
        for vid, query in answered
    ]
    return answers, truths


def windows() -> st.SearchStrategy[list[list[float]]]:
    return st.lists(st.lists(TIMES, min_size=2, max_size=2), max_size=3)


def frames_of(answers: list[Record], truths: list[Record]) -> Frames:
    """The records as the fast code takes them."""
    true: dict[tuple[str, str], list[Any]] = {}
    found: dict[tuple[str, str], list[Any]] = {}
    for record in truths:
        true.setdefault((record["vid"], record["query"]), []).extend(record["relevant_windows"])
    for record in answers:
        found.setdefault((record["vid"], record["query"]), []).extend(record["pred_relevant_windows"])
    durations_s = {record["vid"]: record["duration"] for record in truths}
    classes = list(dict.fromkeys(record["query"] for record in truths))
    return make_frames(durations_s, classes, true, found)


@settings(max_examples=200)
@given(event_files(), st.sampled_from([-1.0, 0.0, 0.3, 0.5, 0.7, 1.0]))
def test_random_files_against_the_definition(
    files: tuple[list[Record], list[Record]], threshold: float
) -> None:
    found = rates(frames_of(*files), threshold)
    expected = frame_micro(*files, threshold)
    assert (found.precision, found.recall, found.f1) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=150)
@given(event_files())
def test_the_sweep_has_every_operating_point(files: tuple[list[Record], list[Record]]) -> None:
    frames = frames_of(*files)
    points = sweep(frames)
    for threshold, found in zip(points.threshold, points.rates, strict=True):
        assert found == rates(frames, threshold)
    scores = frames.score[np.isfinite(frames.score)]
    if len(scores):
        assert len(points.threshold) == len(np.unique(scores)) + 1
    best_threshold, best = points.best()
    assert best == rates(frames, best_threshold)
    grid = [rates(frames, level).f1 for level in np.linspace(-1, 1.1, 64)]
    assert best.f1 >= max(grid) - 1e-12


def test_scores_one_bit_apart_are_two_operating_points() -> None:
    low = 0.3
    high = float(np.nextafter(low, 1))
    frames = one_class([1, 0], [high, low])
    points = sweep(frames)
    assert [rates(frames, threshold) for threshold in points.threshold] == points.rates
    assert points.best()[1] == Rates(1, 1, 1)


def test_a_sweep_of_nothing() -> None:
    assert sweep(one_class([1, 0], [-np.inf, -np.inf])).best() == (0.5, Rates(0, 0, 1))
