"""Intervals over recordings: against scipy, against loops, and by their coverage of a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.coverage import WORLDS, coverage
from oracles.statistics import ratio_of_sample
from scipy import stats

from amr.metrics.bootstrap import (
    bca_levels,
    bias_and_acceleration,
    confidence_intervals,
    drawn_counts,
    recording_sums,
    resampled_means,
    shifted,
)
from amr.metrics.student import t_quantile


@pytest.mark.parametrize("degrees", [1, 2, 2.7, 5, 29, 565, 33_000])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.975, 0.9999])
def test_student_is_scipy(degrees: float, probability: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(
        stats.t.ppf(probability, degrees), rel=1e-8, abs=1e-8
    )


@pytest.mark.parametrize(("probability", "degrees"), [(0.4, 3), (1.0, 3), (0.9, 0)])
def test_student_refuses_what_is_out_of_range(probability: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        t_quantile(probability, degrees)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=12), st.integers(0, 99))
def test_resampled_means_are_those_of_the_drawn_queries(queries: list[tuple[int, float]], seed: int) -> None:
    names = sorted({owner for owner, _ in queries})
    recording = [names.index(owner) for owner, _ in queries]
    values = [value for _, value in queries]
    sums, sizes = recording_sums(np.array(values)[:, None], np.array(recording))
    found = resampled_means(sums, sizes, draws=5, seed=seed)[:, 0]
    counts = np.concatenate(list(drawn_counts(len(sizes), 5, seed)))
    samples = [np.repeat(np.arange(len(sizes)), row.astype(int)).tolist() for row in counts]
    assert all(len(sample) == len(sizes) for sample in samples)
    expected = [ratio_of_sample(values, recording, sample) for sample in samples]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_recordings_are_drawn_evenly() -> None:
    counts = np.concatenate(list(drawn_counts(40, 20_000, 0)))
    assert counts.shape == (20_000, 40)
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.03)
    np.testing.assert_allclose(counts.var(axis=0), 1 - 1 / 40, atol=0.05)  # multinomial


def test_bca_without_widening_is_scipys() -> None:
    values = np.random.default_rng(3).exponential(size=25)
    drawn = resampled_means(values[:, None], np.ones(25), draws=40_000, seed=1)[:, 0]
    without = (values.sum() - values) / 24
    low, high = bca_levels(drawn, values.mean(), without, 0.95)
    reach = stats.norm.ppf(0.975)
    bias, skew = bias_and_acceleration(drawn, values.mean(), without)
    ends = np.quantile(drawn, [shifted(bias, skew, -reach), shifted(bias, skew, reach)])
    result = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, method="BCa", random_state=np.random.default_rng(2)
    ).confidence_interval
    np.testing.assert_allclose(ends, [result.low, result.high], rtol=0.02)
    assert low < shifted(bias, skew, -reach) < shifted(bias, skew, reach) < high  # and the widening widens


def test_a_level_beyond_the_pole_is_an_end() -> None:
    assert shifted(3.0, 0.5, 2.0) == 1.0
    assert shifted(-3.0, -0.5, -2.0) == 0.0


@pytest.mark.parametrize("name", WORLDS)
def test_coverage_is_what_it_says(name: str) -> None:
    world, mean = WORLDS[name]
    held = coverage(world, mean, confidence_intervals, recordings=80, times=800, draws=600)
    assert 0.93 <= held <= 0.97


def test_queries_of_one_recording_do_not_count_twice() -> None:
    values = (np.random.default_rng(0).random(60) < 0.5).astype(float)[:, None]
    alone = confidence_intervals(values, np.arange(60), draws=2000, seed=0)[0]
    fivefold = confidence_intervals(
        np.repeat(values, 5, axis=0), np.repeat(np.arange(60), 5), draws=2000, seed=0
    )[0]
    np.testing.assert_allclose(fivefold, alone, atol=1e-9)


def test_same_seed_same_interval() -> None:
    values, recording = WORLDS["IoU"][0](np.random.default_rng(0), 30)
    first, again = (confidence_intervals(values, recording, draws=500, seed=4) for _ in range(2))
    other = confidence_intervals(values, recording, draws=500, seed=5)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("values", "recording", "draws"),
    [
        ([1, 0, 1], [0, 0, 0], 100),
        ([1, 1, 1], [0, 1, 2], 100),
        ([0, 0], [0, 1], 100),
        ([0, 1, 1], [0, 1, 2], 0),
    ],
)
def test_where_resampling_cannot_tell_there_is_none(
    values: list[float], recording: list[int], draws: int
) -> None:
    ends = confidence_intervals(np.array([values], float).T, np.array(recording), draws=draws, seed=0)
    assert np.isnan(ends).all()
