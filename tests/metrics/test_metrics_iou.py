"""The two unions, and overlaps that decide a threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import official as oracle
from oracles.columns import ragged

from amr.metrics.iou import hull_union_iou, sum_union_iou
from amr.metrics.recall import top_iou

number = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 2.0, math.nan, math.inf, -math.inf])
window = st.tuples(number, number).map(list)


@settings(max_examples=200)
@given(window, window)
def test_both_unions_equal_the_oracle(a: list[float], b: list[float]) -> None:
    arrays = np.array(a), np.array(b)
    np.testing.assert_array_equal(sum_union_iou(*arrays), oracle.iou_by_sum(a, b))
    np.testing.assert_array_equal(hull_union_iou(*arrays), oracle.iou_by_hull(a, b))


@pytest.mark.parametrize(("end", "iou"), [(5.0, 0.5), (7.0, 0.7), (9.5, 0.95)])
def test_a_threshold_is_reached_exactly(end: float, iou: float) -> None:
    for union in (sum_union_iou, hull_union_iou):
        assert union(np.array([0.0, end]), np.array([0.0, 10.0])) >= iou


def test_the_top_window_is_judged_by_its_best_partner() -> None:
    truth = ragged([[[0, 4], [0, 8], [20, 30]], [[5, 6]]], 2)
    assert top_iou(np.array([[0.0, 10.0], [7.0, 9.0]]), truth).tolist() == [0.8, 0.0]


def test_no_queries_make_no_figures() -> None:
    assert top_iou(np.zeros((0, 2)), ragged([], 2)).shape == (0,)
