"""A gain changes no feature and no answer: in files, streams and arrays, at any depth that carries it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from feature_fakes import FakeEncoder

import amr
from amr.arrays import Float32Array
from amr.audio.ahead import DecodedAhead
from amr.audio.files import AudioFile
from amr.audio.level import DESCRIPTION
from amr.encoders.registry import encoder_of, identity_of, load_encoder
from amr.encoders.running.pipeline import encode_many
from amr.encoders.running.stream import encode_recording, encode_stream
from amr.errors import UsageError

AXE = Path(__file__).parents[2] / "examples" / "audio" / "lumberjack.ogg"
QUERY = "someone chops wood"


class LevelEncoder(FakeEncoder):
    """The fake one, on samples at one level."""

    def __init__(self) -> None:
        super().__init__()
        self.identity = replace(self.identity, normalisation=DESCRIPTION)


@pytest.fixture(scope="module")
def axe() -> tuple[Float32Array, int]:
    samples, rate_hz = soundfile.read(AXE, dtype="float32")
    return samples, rate_hz


@pytest.fixture(scope="module")
def plain(axe: tuple[Float32Array, int], tmp_path_factory: pytest.TempPathFactory) -> Float32Array:
    path = tmp_path_factory.mktemp("plain") / "x.wav"
    soundfile.write(path, *axe, subtype="FLOAT")
    return encode_recording(load_encoder(), path)[0]


@pytest.mark.parametrize(
    ("gain_db", "subtype", "least_cosine"),
    [(-24, "PCM_16", 0.98), (-60, "PCM_24", 0.997), (-90, "FLOAT", 0.99999), (90, "FLOAT", 0.99999)],
)
def test_a_gain_changes_no_feature(
    gain_db: float,
    subtype: str,
    least_cosine: float,
    axe: tuple[Float32Array, int],
    plain: Float32Array,
    tmp_path: Path,
) -> None:
    """Also of integers that were written as floats; few bits leave their rounding in the softest frames."""
    samples, rate_hz = axe
    soundfile.write(tmp_path / "x.wav", samples * 10 ** (gain_db / 20), rate_hz, subtype=subtype)
    frames = encode_recording(load_encoder(), tmp_path / "x.wav")[0]
    norms = np.linalg.norm(frames, axis=1) * np.linalg.norm(plain, axis=1)
    cosine = (frames * plain).sum(axis=1) / norms
    assert np.quantile(cosine, 0.25) > least_cosine


def test_a_gain_changes_no_answer_of_samples_in_memory(axe: tuple[Float32Array, int]) -> None:
    samples, rate_hz = axe
    model = amr.load_model()
    [loud] = model.find(QUERY, (samples * np.float32(20_000), rate_hz), top_k=1)
    [soft] = model.find(QUERY, (samples * np.float32(1e-3), rate_hz), top_k=1)
    assert soft == pytest.approx(loud, abs=2e-3)
    assert loud[2] > 0.8


def test_the_same_level_whatever_the_cuts_the_batch_and_the_workers(tmp_path: Path) -> None:
    """Streamed ahead and read at once, five minutes with a soft middle."""
    draw = np.random.default_rng(3).uniform(-0.3, 0.3, 300 * 16_000)
    draw[60 * 16_000 : 240 * 16_000] *= 0.03
    encoder, files = LevelEncoder(), []
    for name, gain in (("loud", 1.0), ("soft", 0.1)):
        files.append(AudioFile(name, tmp_path / f"{name}.wav"))
        soundfile.write(files[-1].path, draw * gain, 16_000, subtype="PCM_24")
    expected = encode_recording(encoder, files[0].path)[0]
    middle = np.square(expected[300:320]).mean() / np.square(expected[:20]).mean()
    assert middle > 0.5, "the soft middle came up"
    stream = DecodedAhead(files[0], 16_000)
    ahead = np.concatenate(list(encode_stream(encoder, stream, segment_frames=7, batch=3)))
    stream.close()
    assert np.allclose(ahead, expected, atol=1e-6)
    for workers, batch in ((1, 1), (3, 2)):
        for recording in encode_many(encoder, files, workers=workers, segment_frames=16, batch=batch):
            atol = 1e-6 if recording.file.id == "loud" else 1e-3
            assert np.allclose(np.concatenate(list(recording)), expected, atol=atol)


def test_features_of_earlier_versions_have_their_encoder() -> None:
    earlier = replace(identity_of(), normalisation="none")
    assert encoder_of(earlier).identity == earlier != identity_of()
    with pytest.raises(UsageError, match="normalisation"):
        encoder_of(replace(earlier, normalisation="some other day's"))


def test_features_of_earlier_versions_are_answered_by_curves(caplog: pytest.LogCaptureFixture) -> None:
    earlier = encoder_of(replace(identity_of(), normalisation="none"))
    with caplog.at_level("INFO", "amr"):
        assert amr.load_model("auto").settled(earlier).name == "curves"
        assert amr.load_model("auto").settled(load_encoder()).name == "best"
    [record] = caplog.records
    assert "extract these features again" in record.getMessage()
