"""How many of the best are likely to be in recordings that were not searched: said rightly, on average."""

from __future__ import annotations

import numpy as np
import pytest

from amr.arrays import Float64Array
from amr.retrieval.archive.bounds import ScoreBound
from amr.retrieval.archive.levels import Levels
from amr.retrieval.archive.odds import FEWEST, Odds

BOUND = ScoreBound(weight=1.0, shift=0.0, similarity=0.0, window_frames=32)
TOP = 20


def sigmoid(logit: Float64Array) -> Float64Array:
    return 1 / (1 + np.exp(-logit))


def drawn(rng: np.random.Generator, spread: float, shift: float) -> tuple[Levels, Float64Array]:
    """Recordings whose own chances are guessed with an error, by falling guess, and their scores."""
    level = rng.normal(0, 1.5, 1000).astype(np.float32)
    guess = rng.normal(-1, 1.2, 1000)
    likely = BOUND.highest_score(level) * sigmoid(guess)
    score = BOUND.highest_score(level) * sigmoid(guess + shift + spread * rng.standard_normal(1000))
    order = np.argsort(-likely)
    numbers = np.arange(1000)
    return Levels(numbers * 0, numbers, level[order], likely[order], np.zeros(0)), score[order]


def looked_at(levels: Levels, score: Float64Array, count: int) -> tuple[float, int]:
    """After so many: how many of the best are said to be missing, and how many are."""
    odds = Odds(BOUND, levels)
    for at in range(count):
        odds.see(at, float(score[at]))
    least = float(np.sort(score[:count])[-TOP])
    missing = odds.missing(np.arange(count, len(score)), least)
    return missing, int((score[count:] > least).sum())


@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("count", [64, 200])
def test_as_many_are_missing_as_is_said(shift: float, count: int) -> None:
    rng = np.random.default_rng(count)
    pairs = np.array([looked_at(*drawn(rng, 0.8, shift), count) for _ in range(40)])
    said, missing = pairs.mean(axis=0)
    assert 0.6 * missing - 0.1 < said < 1.6 * missing + 0.6


def test_better_guesses_leave_less_open() -> None:
    rng = np.random.default_rng(0)
    sure, unsure = (
        np.mean([looked_at(*drawn(rng, spread, 0.0), 96)[0] for _ in range(10)]) for spread in (0.2, 1.5)
    )
    assert sure < unsure / 3


def test_nothing_is_said_of_few() -> None:
    levels, score = drawn(np.random.default_rng(0), 0.5, 0.0)
    assert looked_at(levels, score, FEWEST - 1)[0] == np.inf
    assert np.isfinite(looked_at(levels, score, FEWEST)[0])


def test_what_its_level_rules_out_is_not_missing() -> None:
    levels, score = drawn(np.random.default_rng(0), 0.5, 0.0)
    odds = Odds(BOUND, levels)
    for at in range(FEWEST):
        odds.see(at, float(score[at]))
    low = np.flatnonzero(BOUND.highest_score(levels.level) < 0.5)
    assert odds.missing(low, 0.5) == 0
    assert odds.missing(np.flatnonzero(levels.level > 3), 0.01) > 1
    assert odds.missing(np.arange(0), 0.1) == 0


def test_scores_of_nothing_and_of_certainty_do_no_harm() -> None:
    levels, score = drawn(np.random.default_rng(0), 0.5, 0.0)
    odds = Odds(BOUND, levels)
    for at in range(FEWEST):
        odds.see(at, float(score[at]) if at % 8 else [0.0, 1.0][at % 16 // 8])
    assert 0 <= odds.missing(np.arange(FEWEST, 1000), 0.3) < 300
