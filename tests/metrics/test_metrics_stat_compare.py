"""Paired comparisons and several seeds: against scipy, all patterns, and simulations with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.statistics import exact_sign_p
from scipy import stats

from amr.metrics.comparison import compare
from amr.metrics.figures import FIGURES, PerQuery, coded
from amr.metrics.permutation import holm, permutation_p
from amr.metrics.seeds import seed_scores

STEPS = st.sampled_from([-2.0, -1.0, -0.25, 0.0, 0.25, 1.0])


@settings(max_examples=80)
@given(st.lists(STEPS, min_size=1, max_size=9))
def test_few_recordings_are_tried_in_every_pattern(differences: list[float]) -> None:
    found = permutation_p(np.array(differences)[:, None], draws=1024, seed=0)
    assert found[0] == pytest.approx(exact_sign_p(differences))


def test_exact_p_is_scipys() -> None:
    values = np.random.default_rng(1).normal(0.4, 1, size=11)
    expected = stats.permutation_test(
        (values, np.zeros(11)), lambda a, b: np.sum(a - b), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert permutation_p(values[:, None], draws=10_000, seed=0)[0] == pytest.approx(expected)


def test_sampled_p_is_near_the_exact_one_and_never_0() -> None:
    values = np.random.default_rng(2).normal(0.5, 1, size=(14, 1))
    exact = permutation_p(values, draws=2**14, seed=0)[0]
    sampled = permutation_p(values, draws=2**14 - 1, seed=0)[0]
    assert sampled == pytest.approx(exact, abs=0.01)
    assert permutation_p(np.ones((200, 1)), draws=999, seed=0)[0] == pytest.approx(1 / 1000)
    assert permutation_p(np.zeros((200, 1)), draws=999, seed=0)[0] == 1.0


def test_p_is_honest_where_nothing_differs() -> None:
    generator = np.random.default_rng(5)
    p = permutation_p(
        generator.normal(size=(40, 2000)) * generator.exponential(size=(40, 1)), draws=999, seed=0
    )
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.015)


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5]) == [0.5]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def queries(values: np.ndarray, recording: list[int]) -> PerQuery:
    """Values ``(queries,)`` under every figure."""
    return PerQuery(np.repeat(values[:, None], len(FIGURES), axis=1), np.array(recording))


def test_a_comparison_says_what_happened() -> None:
    first = queries(np.array([0.0, 1.0, 0.5, 0.0]), [0, 0, 1, 2])
    second = queries(np.array([1.0, 0.0, 1.0, 0.5]), [0, 0, 1, 2])
    found = compare(first, second, draws=200, seed=0)
    assert found.difference[0] == pytest.approx(0.25)
    assert (found.won[0], found.lost[0]) == (3, 1)
    # Recording 0 adds up to nothing, 1 and 2 each to a half: two of four patterns are as extreme.
    assert found.p[0] == pytest.approx(0.5)
    mirrored = compare(second, first, draws=200, seed=0)
    np.testing.assert_allclose(mirrored.p, found.p)
    np.testing.assert_allclose(mirrored.difference, -found.difference)
    with pytest.raises(ValueError, match="same queries"):
        compare(first, queries(np.zeros(4), [0, 1, 1, 2]), draws=10, seed=0)


def test_a_system_does_not_differ_from_itself() -> None:
    system = queries(np.random.default_rng(0).random(50), list(range(50)))
    found = compare(system, system, draws=300, seed=0)
    assert np.all(found.p == 1.0)
    assert np.isnan(found.interval).all()
    assert not found.won.any()
    assert not found.lost.any()


def test_pairing_sees_what_two_intervals_do_not() -> None:
    generator = np.random.default_rng(0)
    ease = generator.random(200)
    first = queries(ease, list(range(200)))
    second = queries(ease + 0.01 + generator.normal(0, 0.02, 200), list(range(200)))
    found = compare(first, second, draws=2000, seed=0)
    assert found.interval[0, 0] > 0
    assert found.p[0] < 0.01


def test_seeds_are_students_t() -> None:
    recording = list(range(30))
    runs = [queries(np.random.default_rng(seed).random(30), recording) for seed in range(4)]
    found = seed_scores(runs, draws=300, seed=0)
    means = [float(run.means()[0]) for run in runs]
    assert found.mean[0] == pytest.approx(np.mean(means))
    assert found.deviation[0] == pytest.approx(np.std(means, ddof=1))
    expected = stats.t.interval(0.95, 3, loc=np.mean(means), scale=stats.sem(means))
    np.testing.assert_allclose(found.over_seeds[0], expected)
    assert found.over_both[0, 0] <= min(found.over_seeds[0, 0], found.over_recordings[0, 0])
    assert found.over_both[0, 1] >= max(found.over_seeds[0, 1], found.over_recordings[0, 1])
    with pytest.raises(ValueError, match="at least two"):
        seed_scores(runs[:1], draws=10, seed=0)


def test_the_interval_over_both_covers_another_run_and_other_recordings() -> None:
    generator = np.random.default_rng(3)
    held = dict.fromkeys(("both", "seeds", "recordings"), 0)
    times = 300
    for _ in range(times):
        luck, ease = generator.normal(0, 0.02, size=5), generator.normal(0, 0.3, size=100)
        runs = [
            queries(0.4 + luck[run] + ease + generator.normal(0, 0.1, 100), list(range(100)))
            for run in range(5)
        ]
        found = seed_scores([PerQuery(run.values[:, :1], run.recording) for run in runs], draws=300, seed=0)
        held["both"] += bool(found.over_both[0, 0] <= 0.4 <= found.over_both[0, 1])
        held["seeds"] += bool(found.over_seeds[0, 0] <= 0.4 <= found.over_seeds[0, 1])
        held["recordings"] += bool(found.over_recordings[0, 0] <= 0.4 <= found.over_recordings[0, 1])
    assert 0.93 <= held["both"] / times <= 0.99
    assert held["seeds"] / times < 0.7  # each alone knows half the truth
    assert held["recordings"] < held["both"]


def test_codes_follow_first_appearance() -> None:
    assert coded(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
