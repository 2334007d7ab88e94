"""A whole encoder in sixty lines of numpy: how loud each second is, in four bands, and words for it.

    amr extract examples/audio --encoder loudness_encoder:LoudnessEncoder -o loud.h5     # in this folder
    AMR_ENCODERS=loudness=loudness_encoder:LoudnessEncoder amr predict --query "a deep hum" loud.h5

Every frame is the energy of its second in four octave-wide bands; a query is the band that one of its words
names. That is no way to find sounds, and all that an encoder has to be.
"""

from __future__ import annotations

import hashlib
import itertools

import numpy as np

from amr.encoders.base import EncoderIdentity, TextFeatures

RATE_HZ = 16_000
EDGES_HZ = (0, 250, 1_000, 4_000, 8_000)
WORDS = (
    {"deep", "hum", "rumble"},
    {"voice", "speech", "bark"},
    {"bell", "bird"},
    {"hiss", "rustle", "whistle"},
)


class LoudnessEncoder:
    """Four numbers a frame; sentences and frames meet in the same four."""

    def __init__(self, *, hop_s: float | None = None, device: str = "cpu") -> None:  # noqa: ARG002
        self.identity = EncoderIdentity(
            name="loudness",
            weights_sha256=hashlib.sha256(repr((EDGES_HZ, WORDS)).encode()).hexdigest(),
            sample_rate_hz=RATE_HZ,
            window_samples=RATE_HZ,
            hop_samples=round((hop_s or 1.0) * RATE_HZ),
            dimension=4,
            text_dimension=4,
            joint_dimension=4,
            framing="band energies of 1 s",
        )

    def encode_audio(self, samples: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(samples, RATE_HZ, axis=1)
        windows = windows[:, :: self.identity.hop_samples]  # (batch, frames, window)
        power = np.abs(np.fft.rfft(windows * np.hanning(RATE_HZ))) ** 2  # a bin is 1 Hz wide
        bands = [power[..., low:high].sum(-1) for low, high in itertools.pairwise(EDGES_HZ)]
        return np.log1p(np.stack(bands, axis=-1)).astype(np.float32)

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        return [self.band_of(query) for query in queries]

    def band_of(self, query: str) -> TextFeatures:
        words = set(query.lower().split())
        found = np.array([len(words & band) for band in WORDS], np.float32)
        pooled = found + np.float32(len(words)) / 1_000  # two sentences without a known word differ, too
        return TextFeatures(tokens=pooled[None], pooled=pooled)

    def joint_audio(self, frames: np.ndarray) -> np.ndarray:
        return frames - frames.mean(-1, keepdims=True)

    def joint_text(self, pooled: np.ndarray) -> np.ndarray:
        return pooled

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        weights = self.band_of(query).pooled
        names = [f"{low}-{high} Hz" for low, high in itertools.pairwise(EDGES_HZ)]
        return sorted(zip(names, weights.tolist(), strict=True), key=lambda pair: -pair[1])[:top]
