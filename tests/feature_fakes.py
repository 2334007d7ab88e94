"""An encoder without a network, and features made of numbers that can be foretold."""

from __future__ import annotations

import time
import zlib

import h5py
import numpy as np

from amr.arrays import Float32Array
from amr.encoders.base import EncoderIdentity, TextFeatures

Floats = Float32Array

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 15_600
HOP_SAMPLES = 7_680
DIMENSION = 8
TEXT_DIMENSION = 4


def identity(
    hop_samples: int = HOP_SAMPLES, name: str = "fake", dimension: int = DIMENSION
) -> EncoderIdentity:
    return EncoderIdentity(
        name=name,
        weights_sha256="0" * 64,
        sample_rate_hz=SAMPLE_RATE_HZ,
        window_samples=WINDOW_SAMPLES,
        hop_samples=hop_samples,
        dimension=dimension,
        text_dimension=TEXT_DIMENSION,
        joint_dimension=dimension,
    )


class FakeEncoder:
    """Frames of plain statistics of the window; ``amr.encoders.base.Encoder`` but for the joint space.

    Args:
        slow_s: seconds of sleep for each call, for tests that interrupt.
    """

    slow_s = 0.0

    def __init__(self, *, hop_s: float | None = None, device: str = "cpu") -> None:
        hop_samples = HOP_SAMPLES if hop_s is None else round(hop_s * SAMPLE_RATE_HZ)
        self.identity = identity(hop_samples)

    def encode_audio(self, samples: Floats) -> Floats:
        time.sleep(self.slow_s)
        window, hop = self.identity.window_samples, self.identity.hop_samples
        assert (samples.shape[1] - window) % hop == 0
        windows = np.lib.stride_tricks.sliding_window_view(samples, window, axis=1)[:, ::hop]
        ramp = np.linspace(0, 1, window, dtype=np.float32)
        columns = [
            windows[..., 0],
            windows[..., -1],
            windows.mean(axis=-1),
            np.abs(windows).mean(axis=-1),
            (windows * ramp).mean(axis=-1),
            windows.max(axis=-1),
            windows.min(axis=-1),
            (windows**2).mean(axis=-1),
        ]
        return np.stack(columns, axis=-1).astype(np.float32)

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        return [text_features(query) for query in queries]


class SlowEncoder(FakeEncoder):
    """Takes a while, so that it can be killed at work."""

    slow_s = 0.01


class SlowestEncoder(FakeEncoder):
    """Takes so long that a signal comes before the end, however busy the machine is."""

    slow_s = 0.1


class ChoosyEncoder(FakeEncoder):
    """Leaves the choice of the window."""

    def __init__(
        self, *, hop_s: float | None = None, window_s: float | None = None, device: str = "cpu"
    ) -> None:
        super().__init__(hop_s=hop_s)
        fields = {**self.identity.__dict__, "window_samples": round((window_s or 1.0) * SAMPLE_RATE_HZ)}
        self.identity = EncoderIdentity(**fields)


class BrokenEncoder(FakeEncoder):
    """Makes NaN of loud sound."""

    def encode_audio(self, samples: Floats) -> Floats:
        frames = super().encode_audio(samples)
        frames[frames[..., 3] > 0.5] = np.nan
        return frames


class HugeEncoder(FakeEncoder):
    """Makes values that float16 cannot hold."""

    def encode_audio(self, samples: Floats) -> Floats:
        return super().encode_audio(samples) + np.float32(1e6)


def text_features(query: str) -> TextFeatures:
    """A token a word."""
    words = query.split()
    codes = [zlib.crc32(word.encode()) % 1000 for word in words]
    tokens = np.array(codes, np.float32)[:, None] + np.arange(TEXT_DIMENSION, dtype=np.float32)
    return TextFeatures(tokens=tokens, pooled=tokens.mean(axis=0))


def made_frames(recording_id: str, count: int, dimension: int = DIMENSION) -> Floats:
    """Frames that follow from the id; whole numbers, so that float16 holds them."""
    seed = zlib.crc32(recording_id.encode())
    numbers = np.arange(count * dimension, dtype=np.float32).reshape(count, dimension)
    return ((numbers + seed) % 1999).astype(np.float32)


def contents(path: str) -> dict[str, object]:
    """All that a feature file holds, by name."""
    with h5py.File(path, "r") as file:
        found: dict[str, object] = {f"@{name}": value for name, value in file.attrs.items()}
        file.visititems(
            lambda name, item: found.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None
        )
    return found
