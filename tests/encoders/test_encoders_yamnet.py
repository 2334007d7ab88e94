"""YAMNet's port against TensorFlow's outputs, and what frames may depend on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import HANG_S

from amr.arrays import Float32Array
from amr.encoders.base import EncoderIdentity
from amr.encoders.yamnet.encoder import PROBABILITY_FLOOR, YamnetEncoder
from amr.encoders.yamnet.mobilenet import ReorderedMobileNet, build_mobilenet, load_mobilenet

DATA = Path(__file__).parents[1] / "data"
sys.path.insert(0, str(DATA))
from yamnet_golden import signals  # noqa: E402  (the signals live beside the golden file)

Wave = Float32Array
GOLDEN = np.load(DATA / "yamnet_golden.npz")
PATCH_SAMPLES, PATCH_HOP_SAMPLES = 15_600, 7_680


@pytest.fixture(scope="module")
def encoder() -> YamnetEncoder:
    return YamnetEncoder()


def padded(wave: Wave) -> Wave:
    """As TensorFlow's YAMNet pads: to a whole number of hops behind the first patch."""
    hops = max(0, -(-(len(wave) - PATCH_SAMPLES) // PATCH_HOP_SAMPLES))
    return np.pad(wave, (0, PATCH_SAMPLES + hops * PATCH_HOP_SAMPLES - len(wave)))


def probabilities(encoder: YamnetEncoder, frames: Float32Array) -> Float32Array:
    return np.exp(encoder.joint_audio(frames) + encoder.usual_levels) - PROBABILITY_FLOOR


@pytest.mark.parametrize("name", signals())
def test_port_equals_tensorflow_with_the_same_weights(encoder: YamnetEncoder, name: str) -> None:
    [frames] = encoder.encode_audio(padded(signals()[name])[None])
    np.testing.assert_allclose(frames, GOLDEN[f"shipped.{name}.embeddings"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(
        probabilities(encoder, frames), GOLDEN[f"shipped.{name}.scores"], atol=2e-5, rtol=0
    )


@pytest.mark.parametrize("name", signals())
def test_half_precision_costs_little_against_the_published_weights(encoder: YamnetEncoder, name: str) -> None:
    [frames] = encoder.encode_audio(padded(signals()[name])[None])
    original = GOLDEN[f"original.{name}.embeddings"]
    cosine = (frames * original).sum(1) / np.linalg.norm(frames, axis=1) / np.linalg.norm(original, axis=1)
    assert cosine.min() > 0.9999
    np.testing.assert_allclose(
        probabilities(encoder, frames), GOLDEN[f"original.{name}.scores"], atol=6e-3, rtol=0
    )


@pytest.mark.parametrize("name", ["odd", "impulse"])
def test_log_mel_equals_tensorflow(encoder: YamnetEncoder, name: str) -> None:
    import torch

    log_mel, _ = encoder.audio_network
    steps = log_mel(torch.from_numpy(padded(signals()[name])[None]))[0, :96].numpy()
    np.testing.assert_allclose(steps, GOLDEN[f"{name}.log_mel"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("hop_s", [None, 0.24, 0.5, 1.0, 2.0])
def test_a_frame_depends_on_its_own_window_alone(hop_s: float | None) -> None:
    encoder = YamnetEncoder(hop_s=hop_s)
    window, hop = encoder.identity.window_samples, encoder.identity.hop_samples
    waves = np.random.default_rng(7).normal(0, 0.1, (2, window + 4 * hop)).astype(np.float32)
    together = encoder.encode_audio(waves)
    assert together.shape == (2, 5, 1024)
    for row in range(2):
        for frame in range(5):
            alone = encoder.encode_audio(waves[row : row + 1, frame * hop : frame * hop + window])
            np.testing.assert_array_equal(together[row, frame], alone[0, 0])


def test_weights_in_the_order_of_onednn_are_the_same_network(encoder: YamnetEncoder) -> None:
    import torch

    reordered = build_mobilenet(encoder.audio_tensors, torch.device("cpu"))
    assert isinstance(reordered, ReorderedMobileNet)
    plain = load_mobilenet(encoder.audio_tensors)
    patches = torch.randn(3, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        np.testing.assert_allclose(reordered(patches), plain(patches), atol=2e-5, rtol=0)


def test_more_patches_than_one_batch_change_nothing(encoder: YamnetEncoder) -> None:
    wave = (
        np.random.default_rng(8)
        .normal(0, 0.1, (1, PATCH_SAMPLES + 36 * PATCH_HOP_SAMPLES))
        .astype(np.float32)
    )
    whole = encoder.encode_audio(wave)
    tail = encoder.encode_audio(wave[:, 30 * PATCH_HOP_SAMPLES :])
    np.testing.assert_array_equal(whole[:, 30:], tail)


def test_long_hop_is_the_mean_of_its_patches(encoder: YamnetEncoder) -> None:
    pooled = YamnetEncoder(hop_s=0.96)
    assert pooled.identity.hop_samples == 2 * PATCH_HOP_SAMPLES
    wave = (
        np.random.default_rng(9).normal(0, 0.1, (1, PATCH_SAMPLES + 5 * PATCH_HOP_SAMPLES)).astype(np.float32)
    )
    patches = encoder.encode_audio(wave)[0]
    np.testing.assert_allclose(
        pooled.encode_audio(wave)[0], patches.reshape(3, 2, 1024).mean(1), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("length", [0, PATCH_SAMPLES - 1, PATCH_SAMPLES + 1])
def test_a_stretch_must_be_whole_frames(encoder: YamnetEncoder, length: int) -> None:
    with pytest.raises(ValueError, match="15600"):
        encoder.encode_audio(np.zeros((1, length), np.float32))


def test_storage_in_half_precision_does_not_matter(encoder: YamnetEncoder) -> None:
    [frames] = encoder.encode_audio(padded(signals()["odd"])[None])
    text = encoder.joint_text(
        np.stack([f.pooled for f in encoder.encode_text(["a siren", "rain on a roof"])])
    )
    exact, stored = (encoder.joint_audio(x) @ text.T for x in (frames, frames.astype(np.float16)))
    np.testing.assert_allclose(exact, stored, atol=0.02, rtol=0)


def test_joint_space_survives_impossible_frames(encoder: YamnetEncoder) -> None:
    frames = np.array([[1e4] * 1024, [-1e4] * 1024], dtype=np.float32)
    assert np.isfinite(encoder.joint_audio(frames)).all()


def test_identity_says_what_decides_the_features() -> None:
    native, dense = YamnetEncoder().identity, YamnetEncoder(hop_s=0.24).identity
    assert (native.sample_rate_hz, native.window_samples, native.hop_samples) == (16_000, 15_600, 7_680)
    assert (native.dimension, native.text_dimension, native.joint_dimension) == (1024, 384, 521)
    assert EncoderIdentity.from_json(native.to_json()) == native
    assert dense != native
    assert dense.weights_sha256 == native.weights_sha256


def test_a_text_query_loads_neither_torch_nor_the_audio_weights() -> None:
    code = (
        "import sys; from amr.encoders.registry import load_encoder; e = load_encoder();"
        "e.explain('a dog barking', 3); e.identity;"
        "assert 'torch' not in sys.modules and 'audio_tensors' not in vars(e)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=HANG_S)
