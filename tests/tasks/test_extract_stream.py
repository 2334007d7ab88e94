"""Cutting and encoding: every sample seen, the same frames wherever the cuts fall, memory bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from feature_fakes import FakeEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import wait_for

from amr.arrays import Float32Array
from amr.audio import ahead
from amr.audio.ahead import DecodedAhead, decode_ahead
from amr.audio.files import AudioFile
from amr.encoders.base import EncoderIdentity
from amr.encoders.running.pipeline import encode_many
from amr.encoders.running.stream import cut_segments, encode_recording, encode_stream, grid_of
from amr.errors import InputError

Floats = Float32Array


def tiny(window: int, hop: int) -> EncoderIdentity:
    return EncoderIdentity(
        name="tiny", weights_sha256="", sample_rate_hz=100, window_samples=window, hop_samples=hop,
        dimension=1, text_dimension=1, joint_dimension=1,
    )  # fmt: skip


class Blocks:
    """A recording of ``count`` samples, 1, 2, 3, ..., in blocks of the given sizes."""

    def __init__(self, count: int, sizes: list[int], rate_hz: int = 100) -> None:
        self.count, self.sizes = count, sizes
        self.duration_s = count / rate_hz
        self.step = 0.0

    def __iter__(self) -> Iterator[Floats]:
        samples, at, turn = np.arange(1, self.count + 1, dtype=np.float32), 0, 0
        while at < self.count:
            yield samples[at : at + self.sizes[turn % len(self.sizes)]]
            at, turn = at + self.sizes[turn % len(self.sizes)], turn + 1


def windows_by_hand(count: int, window: int, hop: int) -> list[list[float]]:
    """The oracle: all samples in memory, zeros behind them, one window after the other."""
    padded = [*range(1, count + 1), *([0] * (window + hop))]
    windows, start = [padded[:window]], 0
    while start + window < count:
        start += hop
        windows.append(padded[start : start + window])
    return windows


@settings(max_examples=300)
@given(
    st.integers(1, 400), st.integers(1, 60), st.integers(1, 60), st.integers(1, 9),
    st.lists(st.integers(1, 90), min_size=1, max_size=4),
)  # fmt: skip
def test_segments_hold_exactly_the_windows(
    count: int, window: int, hop: int, frames: int, sizes: list[int]
) -> None:
    identity = tiny(window, hop)
    found = []
    for segment in cut_segments(Blocks(count, sizes), identity, frames):
        number, rest = divmod(len(segment) - window, hop)
        assert rest == 0
        assert number + 1 <= frames
        found += [segment[i * hop : i * hop + window].tolist() for i in range(number + 1)]
    expected = windows_by_hand(count, window, hop)
    assert found == [[float(sample) for sample in row] for row in expected]
    assert len(found) == grid_of(count / 100, identity).num_frames


def write_noise(path: Path, seconds: float, rate_hz: int = 16_000, seed: int = 1) -> AudioFile:
    samples = np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * rate_hz)).astype(np.float32)
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    return AudioFile(path.stem, path)


@pytest.mark.parametrize("seconds", [0.3, 0.975, 0.976, 59.9, 300.4])
@pytest.mark.parametrize("rate_hz", [8000, 44_100])
def test_the_last_sample_is_covered(tmp_path: Path, seconds: float, rate_hz: int) -> None:
    encoder = FakeEncoder()
    file = write_noise(tmp_path / "x.wav", seconds, rate_hz)
    frames, grid, duration_s = encode_recording(encoder, file.path)
    assert duration_s == round(seconds * rate_hz) / rate_hz
    assert frames.shape == (grid.num_frames, 8)
    last_end_s = (grid.num_frames - 1) * grid.hop_s + grid.window_s
    assert last_end_s >= duration_s - 1e-9
    assert grid.num_frames == 1 or last_end_s - grid.hop_s < duration_s


def test_the_same_frames_whatever_the_cuts_the_batch_and_the_workers(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    files = [
        write_noise(tmp_path / f"{n}.wav", seconds, seed=n)
        for n, seconds in enumerate((0.2, 61, 7, 33.3, 1, 90))
    ]
    reference = {file.id: encode_recording(encoder, file.path)[0] for file in files}
    for segment_frames, batch in ((1, 1), (7, 3), (64, 2), (1000, 1)):
        for file in files:
            stream = DecodedAhead(file, 16_000)
            found = np.concatenate(
                list(encode_stream(encoder, stream, segment_frames=segment_frames, batch=batch))
            )
            assert np.allclose(found, reference[file.id], atol=1e-6)
            stream.close()
    for workers, batch in ((1, 1), (2, 1), (5, 1), (1, 4), (2, 3), (3, 100)):
        for recording in encode_many(encoder, files, workers=workers, segment_frames=16, batch=batch):
            assert np.allclose(np.concatenate(list(recording)), reference[recording.file.id], atol=1e-6)
            assert recording.duration_s == grid_duration(recording.file.path)
        seen = [r.file.id for r in encode_many(encoder, files, workers=workers)]  # untaken frames are skipped
        assert seen == [file.id for file in files]


def grid_duration(path: Path) -> float:
    return float(soundfile.info(path).duration)


def test_frames_of_many_recordings_do_not_get_mixed_up(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    files = [write_noise(tmp_path / f"{n}.wav", 0.5 + n % 5, seed=n) for n in range(40)]
    for recording in encode_many(encoder, files, workers=4, segment_frames=2):
        assert np.allclose(
            np.concatenate(list(recording)), encode_recording(encoder, recording.file.path)[0], atol=1e-6
        )


def test_a_broken_recording_ends_with_its_error_and_the_next_is_whole(tmp_path: Path) -> None:
    good = write_noise(tmp_path / "good.wav", 20)
    data = good.path.read_bytes()
    bad = AudioFile("bad", tmp_path / "bad.wav")
    bad.path.write_bytes(data[: len(data) // 2])
    outcome: dict[str, object] = {}
    for number, recording in enumerate(
        encode_many(FakeEncoder(), [good, bad, AudioFile("again", good.path)], workers=2)
    ):
        try:
            outcome[f"{number} {recording.file.id}"] = sum(map(len, recording))
        except InputError as error:
            outcome[f"{number} {recording.file.id}"] = error.where
    assert outcome == {"0 good": 41, "1 bad": str(bad.path), "2 again": 41}


def test_short_recordings_share_a_pass_of_the_network(tmp_path: Path) -> None:
    sizes: list[int] = []

    class Counting(FakeEncoder):
        def encode_audio(self, samples: Floats) -> Floats:
            sizes.append(len(samples))
            return super().encode_audio(samples)

    files = [write_noise(tmp_path / f"{n}.wav", 5, seed=n) for n in range(8)]
    found = {r.file.id: np.concatenate(list(r)) for r in encode_many(Counting(), files, workers=1, batch=4)}
    assert sizes == [4, 4]
    alone = {file.id: encode_recording(FakeEncoder(), file.path)[0] for file in files}
    assert all(np.allclose(found[name], alone[name], atol=1e-6) for name in alone)


@pytest.mark.parametrize(("wanted", "passes"), [(44, [4, 4]), (11, [1] * 8), (12, [1] * 8)])
def test_short_recordings_fill_the_pass_that_an_encoder_wants(
    tmp_path: Path, wanted: int, passes: list[int]
) -> None:
    sizes: list[int] = []

    class Wanting(FakeEncoder):
        exact_batch_frames = wanted

        def encode_audio(self, samples: Floats) -> Floats:
            sizes.append(len(samples))
            return super().encode_audio(samples)

    files = [write_noise(tmp_path / f"{n}.wav", 5, seed=n) for n in range(8)]
    found = {r.file.id: np.concatenate(list(r)) for r in encode_many(Wanting(), files, workers=1)}
    assert sizes == passes
    assert all(
        np.array_equal(found[file.id], encode_recording(FakeEncoder(), file.path)[0]) for file in files
    )


def test_giving_up_stops_every_thread(tmp_path: Path) -> None:
    files = [write_noise(tmp_path / f"{n}.wav", 30, seed=n) for n in range(6)]
    before = threading.active_count()
    for recording in encode_many(FakeEncoder(), files, workers=2, segment_frames=4):
        next(iter(recording))
        break
    for recording in decode_ahead(files, 16_000, ahead=2):
        next(iter(recording))
        break
    wait_for(lambda: threading.active_count() <= before)


def test_a_failing_encoder_is_told(tmp_path: Path) -> None:
    class Failing(FakeEncoder):
        def encode_audio(self, samples: Floats) -> Floats:
            raise RuntimeError("the network is gone")

    recordings = encode_many(Failing(), [write_noise(tmp_path / "x.wav", 3)], workers=2)
    recording = next(recordings)
    with pytest.raises(RuntimeError, match="the network is gone"):
        list(recording)


def test_a_slow_reader_holds_the_decoder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "BLOCKS_WAITING", 2)
    file = write_noise(tmp_path / "x.wav", 120, rate_hz=48_000)  # 22 blocks
    recording = DecodedAhead(file, 48_000)
    blocks = iter(recording)
    first = next(blocks)
    wait_for(lambda: recording._blocks.qsize() == 2)
    time.sleep(0.1)  # it would read on, were it not held back
    assert recording._blocks.qsize() == 2
    assert len(first) + sum(map(len, blocks)) == 120 * 48_000
    assert recording.duration_s == 120.0
    recording.close()


def test_workers_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        next(encode_many(FakeEncoder(), [], workers=0))
