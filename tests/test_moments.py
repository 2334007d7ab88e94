"""Frames and seconds, and interval arithmetic."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.moments import FrameGrid, interval_iou

durations = st.floats(0.01, 5000)
windows = st.floats(0.1, 10)
hops = st.floats(0.05, 1)


@settings(max_examples=200)
@given(durations, windows, hops)
def test_a_covering_grid_covers_and_is_the_smallest(duration_s: float, window_s: float, hop_s: float) -> None:
    grid = FrameGrid.covering(duration_s, window_s=window_s, hop_s=hop_s)
    end = (grid.num_frames - 1) * hop_s + window_s
    assert end >= duration_s - 1e-6
    assert grid.num_frames == 1 or end - hop_s < duration_s + 1e-6


@settings(max_examples=200)
@given(durations, st.floats(0.2, 2), st.floats(0.1, 1))
def test_the_cells_of_all_frames_tile_the_recording(duration_s: float, window_s: float, ratio: float) -> None:
    grid = FrameGrid.covering(duration_s, window_s=window_s, hop_s=window_s * ratio)
    cells = [grid.span_s(i, i, duration_s) for i in range(min(grid.num_frames, 400))]
    assert cells[0].start_s == 0
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in itertools.pairwise(cells))
    if grid.num_frames <= 400:
        assert cells[-1].end_s == duration_s
    assert grid.span_s(0, grid.num_frames - 1, duration_s) == (0, duration_s)


@settings(max_examples=200)
@given(st.integers(1, 300), st.floats(-10, 400), st.floats(0, 50))
def test_frames_between_is_never_empty_and_stays_inside(frames: int, start_s: float, length_s: float) -> None:
    grid = FrameGrid(window_s=0.975, hop_s=0.48, num_frames=frames)
    found = grid.frames_between(start_s, start_s + length_s)
    assert len(found) >= 1
    assert 0 <= found.start < found.stop <= frames
    inside = [i for i in range(frames) if start_s <= grid.centre_s(i) < start_s + length_s]
    if len(found) > 1:
        assert list(found) == inside


def test_one_second_frames_are_the_fields_own() -> None:
    grid = FrameGrid(window_s=1.0, hop_s=1.0, num_frames=60)
    assert grid.frames_between(3, 9) == range(3, 9)
    assert grid.span_s(3, 8, 60.0) == (3, 9)


@pytest.mark.parametrize(("window_s", "hop_s"), [(0, 1), (1, 0), (math.nan, 1), (1, -1), (math.inf, 1)])
def test_a_grid_needs_a_window_and_a_hop(window_s: float, hop_s: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        FrameGrid(window_s=window_s, hop_s=hop_s, num_frames=1)


def test_iou_of_touching_empty_and_equal_intervals() -> None:
    a = np.array([[0.0, 10], [0, 10], [5, 5], [0, 10]])
    b = np.array([[10.0, 20], [0, 10], [5, 5], [5, 20]])
    assert interval_iou(a, b).tolist() == [0, 1, 0, 0.25]
