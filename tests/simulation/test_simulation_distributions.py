"""Distributions: their texts, their quantile functions, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.errors import UsageError
from amr.simulation import castella
from amr.simulation.distributions import parse_distribution, table

TEXTS = ["7", "uniform:-5:5", "exponential:30", "table:0=1,0.5=4,1=60", "weights:1=3,2=1", "-20"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_and_draws_lie_inside(text: str) -> None:
    made = parse_distribution(text, "--x")
    assert parse_distribution(str(made), "--x") == made
    rng = np.random.default_rng(0)
    draws = [made.sample(rng) for _ in range(200)]
    assert made.low <= min(draws) <= max(draws) <= made.high
    assert made.is_fixed == (len(set(draws)) == 1)


@settings(max_examples=50)
@given(u=st.floats(0, 0.999), v=st.floats(0, 0.999), text=st.sampled_from(TEXTS))
def test_quantile_functions_never_fall(u: float, v: float, text: str) -> None:
    made = parse_distribution(text, "--x")
    assert made.at(min(u, v)) <= made.at(max(u, v))


def test_means_and_shares() -> None:
    points = (np.arange(20000) + 0.5) / 20000
    assert np.mean([parse_distribution("exponential:30", "x").at(u) for u in points]) == pytest.approx(
        30, rel=0.01
    )
    assert np.mean([parse_distribution("uniform:-5:5", "x").at(u) for u in points]) == pytest.approx(
        0, abs=1e-6
    )
    counted = castella.QUERIES
    shares = np.bincount([int(counted.at(u)) for u in points], minlength=6)[1:] / 20000
    np.testing.assert_allclose(shares, np.array([208, 277, 201, 133, 57]) / 876, atol=1e-3)
    assert table(((0.0, 1.0), (0.5, 4.0), (1.0, 10.0))).at(0.5) == 4.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "inf",
        "five",
        "uniform:5",
        "uniform:5:-5",
        "exponential:0",
        "exponential:-3",
        "table:0=1",
        "table:0.5=1,0=2,1=3",
        "table:0=5,1=1",
        "weights:1=0",
        "weights:1=-1,2=3",
        "weights:1",
        "normal:0:1",
    ],
)
def test_what_is_no_distribution_is_refused_with_the_options_name(text: str) -> None:
    with pytest.raises(UsageError) as failure:
        parse_distribution(text, "--gap")
    assert failure.value.where == "--gap"
    assert "uniform:A:B" in failure.value.hint
