"""YAMNet's front end: samples to a log-mel spectrogram.

Numbers from YAMNet's published parameters (Plakal & Ellis, 2019); they decide what the network sees, and
equal TensorFlow's to 1e-4 (goldens in the tests).
"""

from __future__ import annotations

import numpy as np
import torch

from amr.arrays import Float32Array, Float64Array

SAMPLE_RATE_HZ = 16_000
STEP_SAMPLES = 160  # 10 ms
FRAME_SAMPLES = 400  # 25 ms
FFT_SAMPLES = 512
NUM_MELS = 64
LOWEST_HZ = 125.0
HIGHEST_HZ = 7_500.0
LOG_OFFSET = 0.001


def hz_to_mel(frequency_hz: Float64Array) -> Float64Array:
    """The HTK formula with a natural logarithm."""
    mels: Float64Array = 1127.0 * np.log1p(frequency_hz / 700.0)
    return mels


def mel_matrix() -> Float32Array:
    """``(257 bins, 64 mels)``: triangles, straight on the mel scale, of height one; bin 0 counts nowhere."""
    bins_mel = hz_to_mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT_SAMPLES // 2 + 1))[:, None]
    lowest, highest = hz_to_mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    edges = np.linspace(lowest, highest, NUM_MELS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins_mel - lower) / (centre - lower)
    falling = (upper - bins_mel) / (upper - centre)
    matrix = np.maximum(0.0, np.minimum(rising, falling))
    matrix[0] = 0.0
    single: Float32Array = matrix.astype(np.float32)
    return single


class LogMel:
    """Log-mel spectrograms on one device."""

    def __init__(self, device: torch.device) -> None:
        self.window = torch.hann_window(FRAME_SAMPLES, periodic=True, device=device)
        self.matrix = torch.from_numpy(mel_matrix()).to(device)

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """``(batch, samples)`` to ``(batch, steps, 64)``; step ``i`` sees 400 samples from ``160 * i`` on."""
        frames = samples.unfold(-1, FRAME_SAMPLES, STEP_SAMPLES) * self.window
        magnitude = torch.fft.rfft(frames, n=FFT_SAMPLES).abs()
        return torch.log(magnitude @ self.matrix + LOG_OFFSET)
