"""Scores under another share of present questions: what Bayes' rule says, in the same order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import BoolArray, Float64Array
from amr.errors import UsageError
from amr.models.config import NetworkConfig
from amr.retrieval.presence import Curve, Presence, checked_share, estimated_share, presence_of

AS_IT_IS = Curve(1.0, 0.0)
PRESENCE = Presence(AS_IT_IS, Curve(0.4, 0.0))
SCORES = np.linspace(0.0, 0.9999, 500)


def drawn(share: float, count: int = 200_000, seed: int = 0) -> tuple[Float64Array, BoolArray, BoolArray]:
    """Scores of questions of which ``share`` are present, whether each is right, and whether it is present.

    Drawn as calibration has them, then thinned: what remains are scores of another share, by no formula.
    """
    rng = np.random.default_rng(seed)
    score = rng.beta(0.6, 1.6, count)
    right = rng.random(count) < score
    present = right | (rng.random(count) < PRESENCE.wrong_but_there(score))
    prior = present.mean()
    odds = share / (1 - share) * (1 - prior) / prior if share < 1 else np.inf
    keep = np.where(present, min(1.0, odds), min(1.0, 1 / odds) if odds else 1.0)
    kept = rng.random(count) < keep
    return score[kept], right[kept], present[kept]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 1.0])
def test_corrected_scores_are_right_as_often_as_they_say(share: float) -> None:
    score, right, present = drawn(share)
    prior = drawn(0.5)[2].mean()  # what calibration saw here is no half: the odds are those of the two
    assert prior == pytest.approx(0.5, abs=0.01)
    corrected = PRESENCE.corrected(score, float(present.mean()))
    for low in np.arange(0, 1, 0.1):
        within = (corrected >= low) & (corrected < low + 0.1)
        if within.sum() > 400:
            assert corrected[within].mean() == pytest.approx(right[within].mean(), abs=0.04)


@given(
    st.floats(0, 1),
    st.floats(-8, 8),
    st.sampled_from([1e-6, 1e-3, 0.1, 0.3, 0.5, 0.9, 1.0]) | st.floats(0.001, 1),
)
@settings(max_examples=200)
def test_the_order_stays(slope: float, shift: float, share: float) -> None:
    corrected = Presence(Curve(1.2, 0.5), Curve(slope, shift)).corrected(SCORES, share)
    assert np.all((corrected >= 0) & (corrected <= 1))
    assert np.all(np.diff(corrected) >= -1e-12)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_a_half_changes_nothing(slope: float) -> None:
    assert np.allclose(Presence(AS_IT_IS, Curve(slope, -1)).corrected(SCORES, 0.5), SCORES, atol=2e-6)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.8])
def test_the_share_is_estimated(share: float) -> None:
    score, _, present = drawn(share)
    assert estimated_share(PRESENCE.there(score)) == pytest.approx(present.mean(), abs=0.02)


@pytest.mark.parametrize(
    ("there", "least", "most"), [([], 0.5, 0.5), ([0.99], 0.5, 0.61), ([0.0] * 3, 0.2, 0.5)]
)
def test_few_questions_say_little(there: list[float], least: float, most: float) -> None:
    assert least <= estimated_share(np.array(there)) <= most


@pytest.mark.parametrize(
    ("given_", "share"), [("0.01", 0.01), ("1", 1.0), (0.3, 0.3), ("auto", "auto"), (None, None)]
)
def test_shares(given_: str | float | None, share: str | float | None) -> None:
    assert checked_share(given_) == share


@pytest.mark.parametrize("wrong", ["0", "-0.1", "1.01", "nan", "inf", "1 %", "half", ""])
def test_what_is_no_share(wrong: str) -> None:
    with pytest.raises(UsageError, match="not a share of present queries"):
        checked_share(wrong)


def test_a_model_that_was_not_calibrated_so_says_nothing() -> None:
    assert presence_of(NetworkConfig()) is None
    assert presence_of(None) is None
    config = NetworkConfig(right_slope=1.2, there_shift=-1.0)
    assert presence_of(config) == Presence(Curve(1.2, 0.0), Curve(0.0, -1.0))
    assert "there_slope" not in config.to_fields()
    assert NetworkConfig.from_fields(config.to_fields()) == config
    assert config.uncalibrated() == NetworkConfig()
