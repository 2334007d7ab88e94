"""LAION-CLAP as an encoder: text, joint space, identity, dense blocks, streaming; offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clap_published as published
import numpy as np
import pytest

from amr.encoders.base import EncoderIdentity
from amr.encoders.clap.laion import ClapDenseEncoder, ClapEncoder
from amr.encoders.registry import load_encoder
from amr.encoders.running.blocks import block_frames, whole_blocks
from amr.encoders.running.stream import cut_segments, encode_stream
from amr.errors import UsageError

RATE_HZ = 48_000
QUERIES = ["a dog barks", "dog", "Zwei Vögel, 3 cars! it's raining"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("laion")
    published.write_laion_pt(path)
    return path


@pytest.fixture(scope="module")
def clap(folder: Path) -> ClapEncoder:
    return ClapEncoder(weights=str(folder))


@pytest.fixture(scope="module")
def dense(folder: Path) -> ClapDenseEncoder:
    return ClapDenseEncoder(weights=str(folder))


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parents[1] / "data" / "clap_golden.npz") as data:
        return dict(data)


class Recording:
    """Samples in blocks of odd sizes, as a decoder gives them."""

    step = 0.0

    def __init__(self, wave: np.ndarray, block: int) -> None:
        self.wave, self.block = wave, block

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.wave), self.block):
            yield self.wave[start : start + self.block]

    @property
    def duration_s(self) -> float:
        return len(self.wave) / RATE_HZ


def test_text_equals_the_originals(clap: ClapEncoder, golden: dict[str, np.ndarray]) -> None:
    """The package pads to 77 and masks; here nothing is padded."""
    for number, features in enumerate(clap.encode_text(QUERIES)):
        assert clap.weights.tokenise(QUERIES[number]) == golden[f"laion.ids.{number}"].tolist()
        np.testing.assert_allclose(features.tokens, golden[f"laion.tokens.{number}"], atol=1e-5)
        np.testing.assert_allclose(features.pooled, golden["laion.pooled"][number], atol=1e-5)


def test_joint_space_equals_the_originals(clap: ClapEncoder, golden: dict[str, np.ndarray]) -> None:
    frames = np.stack([golden[f"laion.window.{seconds}"] for seconds in ("1", "3", "0.7", "10")])
    np.testing.assert_allclose(clap.joint_audio(frames), golden["laion.joint_audio"], atol=1e-6)
    joint_text = clap.joint_text(golden["laion.pooled"])
    np.testing.assert_allclose(joint_text, golden["laion.joint_text"], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(joint_text, axis=1), 1.0, atol=1e-6)


def test_long_texts_are_cut_as_the_package_cuts_them(clap: ClapEncoder) -> None:
    numbers = clap.weights.tokenise("a dog barks " * 60)
    assert len(numbers) == 77
    assert (numbers[0], numbers[-1]) == (0, 2)


def test_identity_tells_window_hop_and_weights(clap: ClapEncoder, dense: ClapDenseEncoder) -> None:
    identity = clap.identity
    assert (identity.name, identity.window_s, identity.hop_s) == ("clap", 1.0, 1.0)
    assert identity.dimension == published.AUDIO_DIM
    assert "480000" in identity.framing
    assert EncoderIdentity.from_json(identity.to_json()) == identity
    assert dense.identity.weights_sha256 == identity.weights_sha256
    assert dense.identity != identity


def test_the_registry_knows_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMR_CLAP_WEIGHTS", str(folder))
    assert load_encoder("clap", hop_s=0.5).identity.hop_samples == 24_000
    assert load_encoder("clap-dense", hop_s=0.5).identity.window_samples == 24_000


@pytest.mark.parametrize("hop_s", [0.0, -1.0, 1 / 7, 61.0, float("nan")])
def test_impossible_hops_are_refused(folder: Path, hop_s: float) -> None:
    with pytest.raises(UsageError, match="no frames every"):
        ClapEncoder(weights=str(folder), hop_s=hop_s)


def test_windows_may_be_longer_than_the_hop(folder: Path) -> None:
    """A frame of 4 s is the clip of those 4 s: twice, and zeros behind."""
    encoder = ClapEncoder(weights=str(folder), window_s=4.0, hop_s=2.0)
    assert (encoder.identity.window_s, encoder.identity.hop_s) == (4.0, 2.0)
    wave = published.noise(8.0, RATE_HZ)
    frames = encoder.encode_audio(wave[None])[0]
    filled = np.concatenate([wave[192_000:], wave[192_000:], np.zeros(96_000, np.float32)])
    clip = encoder.audio_network.encode_windows(filled[None], 480_000, 480_000)[0, 0]
    np.testing.assert_allclose(frames[2], clip, atol=1e-5)


@pytest.mark.parametrize("window_s", [0.0, 0.01, 10.1, float("nan")])
def test_impossible_windows_are_refused(folder: Path, window_s: float) -> None:
    with pytest.raises(UsageError, match="no windows of"):
        ClapEncoder(weights=str(folder), window_s=window_s)


@pytest.mark.parametrize("hop_s", [0.3, 0.25, 3.0, 20.0])
def test_dense_hops_divide_the_clip(folder: Path, hop_s: float) -> None:
    with pytest.raises(UsageError, match="clap-dense has no frames"):
        ClapDenseEncoder(weights=str(folder), hop_s=hop_s)


def test_unknown_loaders_and_precisions_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no precision 'int3'"):
        _ = ClapEncoder(weights=str(folder), precision="int3").audio_network
    monkeypatch.setenv("AMR_CLAP_LOADER", "laion-clap")
    with pytest.raises(UsageError, match="laion-clap runs in float32"):
        _ = ClapEncoder(weights=str(folder), precision="bfloat16").audio_network
    monkeypatch.setenv("AMR_CLAP_LOADER", "other")
    with pytest.raises(UsageError, match="'other' is not a loader"):
        _ = ClapEncoder(weights=str(folder)).audio_network


def test_stretches_of_broken_length_are_refused(clap: ClapEncoder, dense: ClapDenseEncoder) -> None:
    for encoder in (clap, dense):
        with pytest.raises(ValueError, match="samples are not"):
            encoder.encode_audio(np.zeros((1, 50_000), np.float32))


def test_nothing_is_random(clap: ClapEncoder) -> None:
    """laion-clap crops at random above 10 s; here the same sound gives the same bits."""
    wave = published.noise(12.0, RATE_HZ)
    longest = clap.audio_network.encode_windows(wave[None, :480_000], 480_000, 480_000)
    assert np.array_equal(longest, clap.audio_network.encode_windows(wave[None, :480_000], 480_000, 480_000))


def test_features_are_the_same_bits_in_any_company(clap: ClapEncoder) -> None:
    waves = published.noise(12.0, RATE_HZ).reshape(3, -1)
    together = clap.encode_audio(waves)
    alone = np.stack([clap.encode_audio(wave[None])[0] for wave in waves])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("kind", ["clap", "dense"])
def test_features_are_the_same_bits_however_the_recording_is_cut(
    kind: str, clap: ClapEncoder, dense: ClapDenseEncoder
) -> None:
    encoder = clap if kind == "clap" else dense
    wave = published.noise(23.3, RATE_HZ)
    found = [
        np.concatenate(
            list(encode_stream(encoder, Recording(wave, block), segment_frames=frames, batch=batch))
        )
        for block, frames, batch in ((48_000, 64, 1), (7_001, 11, 1), (100_000, 20, 3), (480_000, 1, 2))
    ]
    assert found[0].shape == (24, published.AUDIO_DIM)
    for other in found[1:]:
        assert np.array_equal(other, found[0])


def test_segments_are_whole_blocks(clap: ClapEncoder, dense: ClapDenseEncoder) -> None:
    assert (block_frames(clap), block_frames(dense)) == (1, 10)
    assert [whole_blocks(dense, frames) for frames in (1, 10, 64)] == [10, 10, 60]
    assert whole_blocks(clap, 64) == 64
    segments = list(cut_segments(Recording(published.noise(13.0, RATE_HZ), 9_999), dense.identity, 10))
    assert [len(segment) / RATE_HZ for segment in segments] == [10.0, 3.0]


def test_dense_frames_of_a_short_rest_repeat_it(dense: ClapDenseEncoder) -> None:
    """2 s repeated five times fill the clip: the frames are means over the repetitions."""
    wave = published.noise(2.0, RATE_HZ)
    whole = ClapDenseEncoder(weights=dense.weights.given).encode_audio(np.tile(wave, 5)[None])[0]
    rest = dense.encode_audio(wave[None])[0]
    np.testing.assert_allclose(rest, whole.reshape(5, 2, -1).mean(axis=0), atol=1e-4)
