"""Microsoft CLAP 2023 on weights of the published layout; where the real ones are, published features."""

from __future__ import annotations

import os
from pathlib import Path

import clap_published as published
import numpy as np
import pytest

from amr.encoders.clap.htsat_mel import mel_matrix
from amr.encoders.clap.msclap import MsClapEncoder
from amr.encoders.clap.msclap_weights import MicrosoftWeights
from amr.encoders.registry import load_encoder
from amr.errors import InputError, UsageError

RATE_HZ = 44_100
QUERIES = ["a dog barks", "dog", "Zwei Vögel, 3 cars! it's raining"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("microsoft")
    published.write_microsoft_pth(path)
    return path


@pytest.fixture(scope="module")
def msclap(folder: Path) -> MsClapEncoder:
    return MsClapEncoder(weights=str(folder))


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parents[1] / "data" / "clap_golden.npz") as data:
        return dict(data)


def test_windows_equal_the_original(msclap: MsClapEncoder, golden: dict[str, np.ndarray]) -> None:
    frames = msclap.encode_audio(published.noise(3.0, RATE_HZ)[None])[0]
    np.testing.assert_allclose(frames, golden["microsoft.windows"], atol=2e-5)
    np.testing.assert_allclose(msclap.joint_audio(frames), golden["microsoft.joint_audio"], atol=1e-5)


def test_text_equals_the_original(msclap: MsClapEncoder, golden: dict[str, np.ndarray]) -> None:
    """The third query has a ``!``: there the package takes another state than the last, and so do we."""
    features = msclap.encode_text(QUERIES)
    for number, found in enumerate(features):
        assert msclap.weights.tokenise(QUERIES[number]) == golden[f"microsoft.ids.{number}"].tolist()
        np.testing.assert_allclose(found.tokens, golden[f"microsoft.tokens.{number}"], atol=1e-5)
        np.testing.assert_allclose(found.pooled, golden["microsoft.pooled"][number], atol=1e-5)
    assert np.array_equal(features[0].pooled, features[0].tokens[-1])
    assert np.array_equal(features[2].pooled, features[2].tokens[-2])
    pooled = np.stack([found.pooled for found in features])
    np.testing.assert_allclose(msclap.joint_text(pooled), golden["microsoft.joint_text"], atol=1e-5)


def test_identity_is_that_of_the_published_features(msclap: MsClapEncoder) -> None:
    identity = msclap.identity
    assert (identity.name, identity.sample_rate_hz) == ("msclap", RATE_HZ)
    assert (identity.window_s, identity.hop_s) == (1.0, 1.0)


def test_the_checkpoints_own_mel_filters_are_used(tmp_path: Path) -> None:
    """The package's settings say 44.1 kHz; its network was built for 32 kHz, and its filters are stored."""
    import torch

    path = published.write_microsoft_pth(tmp_path)
    wave = published.noise(1.0, RATE_HZ)[None]
    without = MsClapEncoder(weights=str(path))
    content = torch.load(path)
    for rate_hz, equal in ((32_000, True), (44_100, False)):
        filters = torch.from_numpy(mel_matrix(rate_hz))
        content["model"]["audio_encoder.base.htsat.logmel_extractor.melW"] = filters
        torch.save(content, tmp_path / f"{rate_hz}.pth")
        stored = MsClapEncoder(weights=str(tmp_path / f"{rate_hz}.pth"))
        assert np.array_equal(stored.encode_audio(wave), without.encode_audio(wave)) == equal
        assert stored.identity != without.identity


def test_other_weights_and_hops_are_told(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="is not Microsoft CLAP 2023"):
        _ = MicrosoftWeights(str(published.write_laion_pt(tmp_path))).tensors
    with pytest.raises(UsageError, match="msclap has no frames every"):
        MsClapEncoder(weights=str(folder), hop_s=1e-6)


def test_the_registry_knows_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMR_MSCLAP_WEIGHTS", str(folder))
    assert load_encoder("msclap", hop_s=0.5).identity.hop_samples == 22_050


def test_a_wrong_tokeniser_is_refused(folder: Path, tmp_path: Path) -> None:
    published.write_microsoft_pth(tmp_path)
    published.write_tokeniser(tmp_path, published.roberta_vocabulary())
    with pytest.raises(InputError, match="tokens, the weights have"):
        MsClapEncoder(weights=str(tmp_path)).encode_text(["a dog barks"])


@pytest.mark.skipif(
    not {"AMR_MSCLAP_WEIGHTS", "AMR_PARITY_AUDIO", "AMR_PARITY_NPZ"} <= os.environ.keys(),
    reason="needs the published weights (AMR_MSCLAP_WEIGHTS), a published recording (AMR_PARITY_AUDIO) "
    "and its published features (AMR_PARITY_NPZ); none of them may be fetched here",
)
def test_published_features_are_reproduced() -> None:
    from amr.encoders.running.stream import encode_recording

    with np.load(os.environ["AMR_PARITY_NPZ"]) as data:
        expected = data["features"]
    found = encode_recording(MsClapEncoder(), os.environ["AMR_PARITY_AUDIO"])[0][: len(expected)]
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.999  # their resampler is another
