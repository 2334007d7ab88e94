"""The sliding window: each step against a slow obvious one, and what holds of every answer."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import BoolArray, Float32Array
from amr.moments import FrameGrid
from amr.retrieval.window import (
    COSINE_OPTIONS,
    WindowOptions,
    close_gaps,
    default_options,
    drop_short,
    find_moments,
    median_filter,
    peak_run,
    run_peaks,
    runs_of,
    saliency,
    smoothed,
    threshold_of,
    to_score,
)

PLAIN = WindowOptions(certain=None, smooth_s=0.0, gap_s=0.0)

bits = st.lists(st.booleans(), max_size=30).map(lambda b: np.array(b, dtype=np.bool_))
curves = st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=40).map(
    lambda c: np.array(c, dtype=np.float32)
)
options = st.builds(
    WindowOptions,
    threshold=st.none() | st.floats(-10, 10),
    base_quantile=st.floats(0, 1),
    fraction=st.floats(0, 1),
    certain=st.none() | st.floats(-5, 5),
    smooth_s=st.floats(0, 5),
    filter_s=st.floats(0, 5),
    gap_s=st.floats(0, 5),
    min_length_s=st.floats(0, 30),
)
relaxed = settings(max_examples=150)


def grid_of(curve: Float32Array, hop_s: float = 0.48, window_s: float = 0.975) -> FrameGrid:
    return FrameGrid(window_s=window_s, hop_s=hop_s, num_frames=len(curve))


def length_of(grid: FrameGrid) -> float:
    return (grid.num_frames - 1) * grid.hop_s + grid.window_s


@relaxed
@given(bits, st.integers(0, 9))
def test_median_filter_is_the_median_of_what_is_there(active: BoolArray, num_frames: int) -> None:
    half = num_frames // 2
    for index, value in enumerate(median_filter(active, num_frames)):
        window = active[max(index - half, 0) : index + half + 1]
        median = np.median(window.astype(float))
        assert value == (active[index] if median == 0.5 else median == 1.0)


@relaxed
@given(bits, st.floats(0, 6))
def test_runs_and_gaps_equal_filling_the_frames(active: BoolArray, gap: float) -> None:
    filled = active.copy()
    ones = np.flatnonzero(active)
    for before, after in itertools.pairwise(ones):
        if after - before - 1 <= gap:
            filled[before:after] = True
    np.testing.assert_array_equal(close_gaps(runs_of(active), gap), runs_of(filled))
    rebuilt = np.zeros(len(active), dtype=np.bool_)
    for start, stop in runs_of(active):
        assert not rebuilt[start:stop].any()
        rebuilt[start:stop] = True
    np.testing.assert_array_equal(rebuilt, active)


@relaxed
@given(curves, bits)
def test_peaks_of_runs(curve: Float32Array, active: BoolArray) -> None:
    runs = runs_of(np.resize(active, len(curve)) if len(active) else np.ones(len(curve), dtype=np.bool_))
    if len(runs):
        np.testing.assert_array_equal(run_peaks(curve, runs), [curve[a:b].max() for a, b in runs])


@relaxed
@given(curves, st.floats(0, 8))
def test_smoothing_is_a_weighted_mean(curve: Float32Array, half_foot: float) -> None:
    reach = max(math.ceil(half_foot) - 1, 0)
    for index, value in enumerate(smoothed(curve, half_foot)):
        around = [min(max(index + d, 0), len(curve) - 1) for d in range(-reach, reach + 1)]
        weights = [1 - abs(d) / half_foot if half_foot else 1.0 for d in range(-reach, reach + 1)]
        assert value == pytest.approx(np.average(curve[around], weights=weights), abs=1e-4)


def test_short_runs_go() -> None:
    runs = np.array([[0, 1], [3, 6]])
    np.testing.assert_array_equal(drop_short(runs, 2), [[3, 6]])
    assert len(drop_short(runs, 4)) == 0


def test_the_peak_is_the_first_of_equals() -> None:
    np.testing.assert_array_equal(peak_run(np.array([0, 2, 2], dtype=np.float32)), [[1, 2]])


def test_threshold_rules() -> None:
    curve = np.array([0, 0, 0, 10, 20], dtype=np.float32)
    assert threshold_of(curve, replace(PLAIN, fraction=0.25)) == 5.0
    assert threshold_of(curve, replace(PLAIN, fraction=0.25, certain=3.0)) == 3.0
    assert threshold_of(curve, replace(PLAIN, fraction=0.25, certain=9.0)) == 5.0
    assert threshold_of(curve, replace(PLAIN, threshold=7.0, certain=3.0)) == 7.0
    assert threshold_of(curve, replace(PLAIN, base_quantile=1.0)) == 20.0


@relaxed
@given(curves, options)
def test_what_holds_of_every_answer(curve: Float32Array, chosen: WindowOptions) -> None:
    grid = grid_of(curve)
    duration_s = length_of(grid)
    moments = find_moments(curve, grid, duration_s, chosen)
    assert moments
    scores = [moment.score for moment in moments]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    spans = sorted((moment.start_s, moment.end_s) for moment in moments)
    assert all(0 <= start < end <= duration_s for start, end in spans)
    assert all(end <= start + 1e-9 for (_, end), (start, _) in itertools.pairwise(spans))
    peaks = smoothed(curve, chosen.smooth_s / grid.hop_s)
    assert scores[0] <= to_score(peaks.max(keepdims=True), chosen)[0] + 1e-6


@relaxed
@given(curves, st.floats(-3, 3))
def test_the_adaptive_threshold_does_not_see_the_level(curve: Float32Array, level: float) -> None:
    curve = np.round(curve * 8) / 8  # exact under the shift below, so that no tie is decided by rounding
    level = round(level * 8) / 8
    grid, chosen = grid_of(curve), replace(PLAIN, fraction=0.5, base_quantile=0.0)
    spans = [
        sorted(moment[:2] for moment in find_moments(shifted, grid, 100.0, chosen))
        for shifted in (curve, (curve + level).astype(np.float32))
    ]
    assert spans[0] == spans[1]


def test_an_event_is_found_where_it_is() -> None:
    rng = np.random.default_rng(5)
    curve = rng.normal(0, 0.3, 125).astype(np.float32)
    curve[40:50] += 6
    grid = grid_of(curve)
    best = find_moments(curve, grid, 60.0, WindowOptions())[0]
    assert best.start_s == pytest.approx(grid.offset_s + 40 * grid.hop_s, abs=0.5)
    assert best.end_s == pytest.approx(grid.offset_s + 50 * grid.hop_s, abs=0.5)
    assert best.score > 0.7


def test_one_short_event_in_ten_hours_stands_alone() -> None:
    curve = np.random.default_rng(6).normal(0, 0.3, 75_000).astype(np.float32)
    curve[30_000:30_010] += 6
    grid = grid_of(curve)
    [best, *rest] = find_moments(curve, grid, length_of(grid), WindowOptions())
    assert best.start_s == pytest.approx(30_000 * grid.hop_s, abs=1.0)
    assert best.end_s - best.start_s < 7
    assert not rest


def test_a_sound_that_never_stops_is_one_moment() -> None:
    curve = np.random.default_rng(7).normal(6, 0.5, 500).astype(np.float32)
    grid = grid_of(curve)
    assert [moment[:2] for moment in find_moments(curve, grid, 240.0, WindowOptions())] == [(0.0, 240.0)]


def test_an_absent_sound_gives_a_low_score_and_still_an_answer() -> None:
    curve = np.random.default_rng(8).normal(0, 0.3, 125).astype(np.float32)
    moments = find_moments(curve, grid_of(curve), 60.0, WindowOptions())
    assert moments
    assert moments[0].score < 0.3


def test_length_of_one_frame_and_none() -> None:
    one = np.array([1.0], dtype=np.float32)
    assert [m[:2] for m in find_moments(one, grid_of(one), 0.3, WindowOptions())] == [(0.0, 0.3)]
    none = np.zeros(0, dtype=np.float32)
    assert find_moments(none, grid_of(none), 0.0, WindowOptions()) == []


def test_a_curve_must_fit_its_grid() -> None:
    with pytest.raises(ValueError, match="3 frames on a grid of 2"):
        find_moments(np.zeros(3, np.float32), FrameGrid(1.0, 1.0, 2), 2.0, WindowOptions())


def test_equal_scores_keep_the_order_of_time() -> None:
    curve = np.tile(np.array([0, 0, 5, 0], dtype=np.float32), 4)
    moments = find_moments(curve, grid_of(curve, 1.0, 1.0), 16.0, PLAIN)
    assert [moment.start_s for moment in moments] == [2.0, 6.0, 10.0, 14.0]


def test_saliency_is_on_the_scale_of_the_scores() -> None:
    curve = np.array([-50, 0, 3, 900], dtype=np.float32)
    salient = saliency(curve, WindowOptions())
    assert ((salient >= 0) & (salient <= 1)).all()
    assert (np.diff(salient) > 0).all()
    assert salient[2] == pytest.approx(0.5)


def test_other_encoders_similarities_are_taken_for_cosines() -> None:
    assert default_options("yamnet") == WindowOptions()
    assert default_options("clap") == COSINE_OPTIONS
    assert to_score(np.array([0.6], dtype=np.float32), COSINE_OPTIONS)[0] > 0.9
