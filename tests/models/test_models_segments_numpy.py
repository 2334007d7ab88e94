"""Segments in numpy: marginals and answers are those of torch, whatever the size of the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import Float32Array
from amr.models.config import NetworkConfig
from amr.models.frames.constants import LENGTH_CLASSES, NO_FIT, RULED_OUT
from amr.models.frames.numpy_segments import choose_segments, marginals
from amr.models.frames.segments import forward_backward, segment_scores
from amr.models.presets import PRESETS

ROUNDING = 1e-5
CONFIG = replace(PRESETS["best"].network, quality=False, queries=4)


def drawn(rng: np.random.Generator, frames: int, size: float) -> tuple[Float32Array, Float32Array]:
    inside, ends = rng.normal(scale=size, size=frames), rng.normal(scale=size, size=(frames, 2))
    return inside.astype(np.float32), ends.astype(np.float32)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    size=st.sampled_from([0.1, 3.0, 40.0]),
    seed=st.integers(0, 999),
)
def test_marginals_of_windows_side_by_side_are_those_of_each_alone(
    lengths: list[int], size: float, seed: int
) -> None:
    """Sums reach thousands at the largest size: nothing overflows, and nothing is lost beside them."""
    rng = np.random.default_rng(seed)
    windows = [drawn(rng, length, size) for length in lengths]
    by_length = rng.normal(scale=size, size=LENGTH_CLASSES).astype(np.float32)
    found = marginals([inside for inside, _ in windows], [ends for _, ends in windows], by_length)
    for (inside, ends), chances in zip(windows, found, strict=True):
        mask = torch.ones(1, len(inside), dtype=torch.bool)
        one = torch.from_numpy(inside).double().unsqueeze(0), torch.from_numpy(ends).unsqueeze(0)
        _, wanted = forward_backward(segment_scores(*one, torch.from_numpy(by_length), mask))
        assert np.allclose(chances, wanted[0].numpy(), atol=ROUNDING)
        assert not np.tril(chances, -1).any()


def answers(
    chances: Float32Array, config: NetworkConfig = CONFIG, quality: Sequence[float] = ()
) -> tuple[Float32Array, Float32Array]:
    frames = len(chances)
    middles = (np.arange(frames) + 0.5) / frames
    proposed = np.stack((middles - 0.5 / frames, middles + 0.5 / frames), axis=1).astype(np.float32)
    return choose_segments(
        proposed, middles, chances, np.array(quality or np.zeros(frames), np.float32), config
    )


def test_where_no_moment_is_possible_there_is_no_answer() -> None:
    ends, logits = answers(np.zeros((6, 6), np.float32))
    assert not ends.any()
    assert (logits == RULED_OUT).all()


def test_a_chance_that_is_calibrated_moves_answers_and_leaves_out_those_that_are_none() -> None:
    chances = np.zeros((10, 10), np.float32)
    chances[1, 3] = 0.75
    plain_ends, plain = answers(chances)
    ends, logits = answers(chances, replace(CONFIG, moment_slope=0.5, moment_shift=1.0))
    assert np.array_equal(ends, plain_ends)
    assert ends[0] == pytest.approx([0.1, 0.4])
    assert plain[0] == pytest.approx(np.log(3), abs=ROUNDING)
    assert logits[0] == pytest.approx(1 + np.log(3) / 2, abs=ROUNDING)
    assert (logits[1:] == RULED_OUT).all()


def test_the_best_proposal_that_agrees_with_a_segment_has_a_say_in_its_order() -> None:
    chances = np.zeros((10, 10), np.float32)
    chances[2, 2], chances[6, 6], chances[7, 9] = 0.75, 0.25, 0.5
    ends, logits = answers(chances)
    assert ends[:3, 0] == pytest.approx([0.2, 0.7, 0.6])
    quality = [0.0] * 10
    quality[2], quality[6] = -1.0, 2.0
    ends, logits = answers(chances, replace(CONFIG, quality=True), quality)
    assert ends[:3, 0] == pytest.approx([0.6, 0.2, 0.7])
    own = np.log(3) / 4
    # No proposal reaches over three frames: none agrees with the last one.
    assert logits[:3] == pytest.approx([1.5 - own, -0.75 + own, 0.75 * NO_FIT], abs=ROUNDING)
    assert (logits[3:] == RULED_OUT).all()


@pytest.mark.parametrize(("name", "value"), [("quality", True), ("moment_slope", 1.0), ("moment_shift", 1.0)])
def test_what_is_of_segments_needs_them(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is of segments, and segments is off"):
        replace(PRESETS["best"].network, segments=False, **{"quality": False, name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"{name} belongs to proposing = frames"):
        NetworkConfig(**{name: value})  # type: ignore[arg-type]
