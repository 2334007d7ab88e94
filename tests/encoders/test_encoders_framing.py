"""Hops: which there are, what their frames see, and what is said about the others."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amr.encoders.yamnet.framing import PATCH_SAMPLES, STEP_SAMPLES, choose_framing
from amr.errors import UsageError


def test_own_hop() -> None:
    framing = choose_framing(None)
    assert (framing.hop_samples, framing.window_samples, framing.patches_per_frame) == (7_680, 15_600, 1)
    assert choose_framing(0.48) == framing


@pytest.mark.parametrize(
    ("hop_s", "patches", "hop_steps"), [(0.24, 1, 24), (0.5, 2, 25), (1.0, 4, 25), (2.0, 5, 40)]
)
def test_some_hops(hop_s: float, patches: int, hop_steps: int) -> None:
    framing = choose_framing(hop_s)
    assert (framing.patches_per_frame, framing.patch_hop_steps) == (patches, hop_steps)


@given(st.integers(1, 6_000))
def test_every_whole_hop_is_exact_and_covered_or_refused_with_neighbours(steps: int) -> None:
    try:
        framing = choose_framing(steps / 100)
    except UsageError as error:
        named = [float(number) for number in re.findall(r"[\d.]+(?= s)", error.hint)]
        assert len(named) == 2
        assert named[0] < steps / 100 < named[1]
        for hop_s in named:
            choose_framing(hop_s)
        return
    assert framing.hop_samples == steps * STEP_SAMPLES
    # Patches are at most YAMNet's own hop apart, so that every sample is in the middle of some patch.
    assert framing.patch_hop_steps <= 48
    assert (
        framing.window_samples == PATCH_SAMPLES + framing.hop_samples - framing.patch_hop_steps * STEP_SAMPLES
    )


@pytest.mark.parametrize("hop_s", [0.0, -1.0, float("nan"), float("inf"), 61.0, 0.001, 0.485])
def test_impossible_hops_are_the_users_mistake(hop_s: float) -> None:
    with pytest.raises(UsageError) as caught:
        choose_framing(hop_s)
    assert caught.value.where == "--hop"
    assert caught.value.hint
