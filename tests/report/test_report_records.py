"""Predictions and truth brought together; results and estimates behind the score figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.errors import InputError
from amr.formats.annotations import Annotation
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction
from amr.metrics.bootstrap import confidence_intervals
from amr.metrics.iou import hull_union_iou
from amr.report.estimates import mean_estimates
from amr.report.records import match_cases, unit_curve
from amr.report.results import judge, judge_by_length


def prediction(qid: int | str, windows: list[list[float]], vid: str = "v") -> Prediction:
    return Prediction(qid=qid, query="q", vid=vid, windows=windows, duration_s=60.0, where=f"p:{qid}")


def annotation(qid: int | str, windows: list[list[float]], vid: str = "v") -> Annotation:
    return Annotation(qid=qid, query="q", vid=vid, duration_s=60.0, windows=windows)


def test_cases_meet_their_truth() -> None:
    notices = Notices()
    cases = match_cases(
        [prediction("a", [[0, 10, 0.9]]), prediction("b", [[0, 10, 0.9]])],
        [annotation("a", [[5, 10], [40, 50]]), annotation("a", [[0, 4]])],
        notices,
    )
    assert [case.truth for case in cases] == [[(0, 4), (5, 10), (40, 50)], None]
    assert cases[0].top_iou == pytest.approx(0.5)
    assert cases[1].top_iou is None
    assert notices.count("prediction without a ground truth of its qid and vid") == 1


def test_ids_keep_their_type() -> None:
    cases = match_cases([prediction(1, [[0, 1, 1]])], [annotation("1", [[0, 1]])], Notices())
    assert cases[0].truth is None


def test_windows_that_are_no_moments_are_told() -> None:
    notices = Notices()
    windows = [[5, 2, 0.9], [math.nan, 2, 0.8], [1, 1, 0.7], [1, 2, 0.6]]
    case = match_cases([prediction("a", windows)], [], notices)[0]
    assert case.predicted == [(1, 2, 0.6)]
    assert "3 times" in notices.lines()[0]


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 50)), min_size=2, max_size=2),
)
@settings(max_examples=100)
def test_iou_equals_the_metrics_room(spans: list[tuple[float, float]]) -> None:
    (a, b) = [(start, start + length) for start, length in spans]
    [case] = match_cases([prediction("a", [[*a, 0.5]])], [annotation("a", [list(b)])], Notices())
    assert case.top_iou == float(hull_union_iou(np.array(a), np.array(b)))


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([], []),
        ([0.2, 0.8], [0.2, 0.8]),
        ([-2.0, 0.0, 2.0], [0.0, 0.5, 1.0]),
        ([5.0, 5.0], [0.0, 0.0]),
        ([math.nan, 1.0], [0.0, 1.0]),
        ([math.nan], [0.0]),
    ],
)
def test_curves_are_brought_to_the_unit_range(values: list[float], curve: list[float]) -> None:
    assert unit_curve(values) == curve


def test_a_missing_answer_is_a_miss() -> None:
    notices = Notices()
    truth = [annotation("a", [[0, 10]]), annotation("b", [[0, 10]], "w"), annotation("c", [])]
    result = judge("x", [prediction("a", [[0, 10, 0.7]])], truth, notices)
    assert result.top_iou.tolist() == [1.0, 0.0]
    assert result.top_score[0] == 0.7
    assert np.isnan(result.top_score[1])
    assert result.recordings == ["v", "w"]
    assert notices.count("query of the ground truth without an answer, counted as missed") == 1


def test_a_window_that_is_no_moment_is_a_miss_with_its_score() -> None:
    result = judge("x", [prediction("a", [[9, 2, 0.7]])], [annotation("a", [[0, 10]])], Notices())
    assert (result.top_iou.tolist(), result.top_score.tolist()) == ([0.0], [0.7])


def test_files_that_do_not_meet_are_refused() -> None:
    with pytest.raises(InputError, match="no 'qid' is in both"):
        judge("x", [prediction("1", [[0, 1, 1]])], [annotation(1, [[0, 1]])], Notices())


def test_lengths_follow_the_truth_not_the_answer() -> None:
    truth = [annotation("a", [[0, 4], [10, 40]]), annotation("b", [[0, 8]])]
    answers = [prediction("a", [[10, 40, 0.9]]), prediction("b", [[0, 8, 0.9]])]
    ranges = judge_by_length([("x", answers)], truth, Notices())
    assert [entry.systems[0].top_iou.tolist() for entry in ranges] == [[0.0], [1.0], [1.0], []]


def test_intervals_are_those_of_the_score_tables() -> None:
    hit = np.array([1, 0, 1, 1, 0, 0, 1, 1])[:, None].astype(float)
    recordings = ["x", "x", "a", "m", "m", "m", "b", "b"]
    [(value, low, high)] = mean_estimates(hit, recordings, draws=200)
    codes = np.array([0, 0, 1, 2, 2, 2, 3, 3])
    assert value == 0.625
    assert [low, high] == confidence_intervals(hit, codes, draws=200, seed=0)[0].tolist()


def test_what_cannot_be_told_has_no_interval() -> None:
    value, low, high = mean_estimates(np.ones((3, 1)), ["a", "b", "c"], draws=50)[0]
    assert value == 1.0
    assert np.isnan([low, high]).all()
