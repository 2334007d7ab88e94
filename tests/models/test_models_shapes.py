"""The shapes of similarity curves: the same whichever encoder drew them, and all that ``curves`` sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import Float32Array
from amr.models.build import build_network
from amr.models.config import NetworkConfig
from amr.models.frames.shapes import SHAPES, averaged, curve_shapes, ranks, scale_of
from amr.models.inputs import pad_inputs
from amr.models.presets import PRESETS

CURVES = PRESETS["curves"].network


def world(frames: int = 60, seed: int = 0) -> tuple[Float32Array, Float32Array]:
    """A sound from frame 20 to 29 as a curve and as frames in a joint space."""
    rng = np.random.default_rng(seed)
    inside = (np.arange(frames) >= 20) & (np.arange(frames) < 30)
    curve = rng.normal(0, 0.1, frames) + inside
    joint = rng.normal(0, 0.1, (frames, 12)) + 2
    joint[inside, 0] += 1
    return curve.astype(np.float32), joint.astype(np.float32)


def shapes(curve: Float32Array, joint: Float32Array) -> Float32Array:
    return curve_shapes(curve, scale_of(curve), joint)


@given(factor=st.floats(0.01, 100), shift=st.floats(-10, 10), seed=st.integers(0, 50))
@settings(max_examples=40)
def test_they_know_no_units_and_no_axes(factor: float, shift: float, seed: int) -> None:
    curve, joint = world(seed=seed)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(12, 12)))[0]
    as_another_encoder = ((factor * curve + shift).astype(np.float64), factor * (joint - 1) @ turn)
    assert np.allclose(shapes(*as_another_encoder), shapes(curve, joint), atol=2e-3)


def test_each_says_what_it_is_called() -> None:
    found = dict(zip(SHAPES, shapes(*world()).T, strict=True))
    inside, outside = slice(22, 28), np.r_[0:16, 34:60]
    for name in ("height", "mean of 3", "rank", "nearness to the best", "nearness to the 5 best"):
        assert found[name][inside].min() > found[name][outside].max(), name
    assert set(np.argsort(-found["novelty"])[:2]) <= {18, 19, 20, 21, 22, 28, 29, 30, 31, 32}
    assert len(set(found["prominence"].tolist())) == 1
    noise = np.random.default_rng(1).normal(size=60).astype(np.float32)
    assert found["prominence"][0] > shapes(noise, world()[1])[0, SHAPES.index("prominence")]


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("level", [0.0, 1.0, -3.0])
def test_of_nothing_they_are_finite(frames: int, level: float) -> None:
    flat = np.full(frames, level, np.float32)
    found = shapes(flat, np.full((frames, 3), level, np.float32))
    assert found.shape == (frames, len(SHAPES))
    assert np.isfinite(found).all()
    assert np.abs(found[:, 0]).max() == 0


def test_a_window_is_measured_by_its_recording() -> None:
    curve, joint = world()
    whole = scale_of(np.concatenate((curve, 5 * curve)))
    assert np.abs(curve_shapes(curve, whole, joint)[:, 0]).max() < 0.5
    assert shapes(curve, joint)[:, 0].max() > 0.9


def test_means_and_ranks() -> None:
    curve = np.array([3.0, 0.0, 0.0, 9.0])
    assert averaged(curve, 3).tolist() == [1.5, 1.0, 3.0, 4.5]
    assert averaged(curve, 1).tolist() == curve.tolist()
    assert ranks(curve).tolist() == [0.625, 0.25, 0.25, 0.875]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"similarity_channels": 2}, "without audio expected 9"),
        ({"prototypes": 5, "prototype_axes": 5}, "audio is off"),
        ({"audio": True}, "expected 0 to 2"),
    ],
)
def test_a_configuration_that_cannot_be_says_why(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_fields(CURVES.to_fields() | change)


def test_with_audio_a_level_is_that_of_prototypes() -> None:
    lacking = {"prototypes": 0, "prototype_axes": 0, "level_weight": 1.0}
    with pytest.raises(ValueError, match="level_weight is of prototypes, and prototypes is 0"):
        NetworkConfig.from_fields(PRESETS["best"].network.to_fields() | lacking)


@pytest.mark.parametrize("change", [{"audio": False}, {"similarity_channels": 3}])
def test_learned_queries_take_audio_and_two_curves(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        NetworkConfig.from_fields(PRESETS["am-detr"].network.to_fields() | change)


def test_the_network_hears_nothing_and_knows_no_batch_mates() -> None:
    torch.manual_seed(0)
    network = build_network(replace(CURVES, hidden_dim=16, feedforward_dim=16)).eval()
    rng = np.random.default_rng(0)

    def answer(*lengths: int) -> torch.Tensor:
        curves = [shapes(*world(n, seed=n)) for n in lengths]
        audio = [rng.normal(size=(n, 1)).astype(np.float32) for n in lengths]
        text = [rng.normal(size=(2, 1)).astype(np.float32) for _ in lengths]
        with torch.inference_mode():
            found: torch.Tensor = network(pad_inputs(audio, text, curves)).logits[0, 0, :, 0]
        return found

    assert torch.allclose(answer(40), answer(40, 70, 35), atol=2e-5)
    assert sum(weight.numel() for weight in build_network(CURVES).parameters()) == 110_160
