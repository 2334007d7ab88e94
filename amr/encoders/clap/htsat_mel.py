"""The front end of HTS-AT: samples to the log-mel spectrogram that the network takes.

Power spectrum (1024-point FFT, periodic Hann window, reflected at both ends), 64 mels on Slaney's scale with
his normalisation, decibels, the network's own batch norm, then stretched to 1024 steps by bicubic
interpolation. Both CLAPs use these settings, at different rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from amr.arrays import Float32Array, Float64Array, Int64Array
from amr.encoders.clap.htsat import NUM_MELS, NUM_STEPS

FFT_SAMPLES = 1024
HALF_FFT = FFT_SAMPLES // 2
LOWEST_HZ = 50.0
HIGHEST_HZ = 14_000.0
LEAST_POWER = 1e-10
BATCH_NORM_EPSILON = 1e-5
# Slaney's mel scale: linear below 1 kHz, logarithmic above (Slaney 1998, Auditory Toolbox).
LINEAR_HZ_PER_MEL = 200.0 / 3
CORNER_HZ = 1000.0
LOG_STEP = np.log(6.4) / 27.0
CUBIC = -0.75  # the coefficient of torch's bicubic interpolation
TAPS = 4

FloatMatrix = Float32Array


@dataclass(frozen=True)
class MelSettings:
    """What differs between the two CLAPs.

    Args:
        hop_samples: samples from step to step.
        clip_samples: the length that the network was trained on; shorter windows are repeated to fill it.
            None: a window is taken as it is, and its spectrogram stretched.
        mel_rate_hz: the rate for which the mel filters were made.
    """

    hop_samples: int
    clip_samples: int | None
    mel_rate_hz: int


def mel_to_hz(mels: Float64Array) -> Float64Array:
    corner = CORNER_HZ / LINEAR_HZ_PER_MEL
    above = CORNER_HZ * np.exp(LOG_STEP * np.maximum(mels - corner, 0.0))
    hz: Float64Array = np.where(mels < corner, mels * LINEAR_HZ_PER_MEL, above)
    return hz


def hz_to_mel(frequency_hz: float) -> float:
    if frequency_hz < CORNER_HZ:
        return frequency_hz / LINEAR_HZ_PER_MEL
    return float(CORNER_HZ / LINEAR_HZ_PER_MEL + np.log(frequency_hz / CORNER_HZ) / LOG_STEP)


def mel_matrix(rate_hz: int) -> FloatMatrix:
    """``(513 bins, 64 mels)``: triangles between neighbouring centres, each of area one in hertz."""
    bins_hz = np.linspace(0.0, rate_hz / 2, HALF_FFT + 1)[:, None]
    edges_hz = mel_to_hz(np.linspace(hz_to_mel(LOWEST_HZ), hz_to_mel(HIGHEST_HZ), NUM_MELS + 2))
    lower, centre, upper = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - lower) / (centre - lower)
    falling = (upper - bins_hz) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (upper - lower))
    matrix: FloatMatrix = triangles.astype(np.float32)
    return matrix


def stretch_taps(num_steps: int) -> tuple[Int64Array, FloatMatrix]:
    """Bicubic interpolation to 1024 steps, corners aligned: sources and weights, each ``(1024, 4)``."""
    position = np.arange(NUM_STEPS) * ((num_steps - 1) / (NUM_STEPS - 1))
    base = np.floor(position)
    distance = np.abs((position - base)[:, None] - np.arange(-1, TAPS - 1))
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    weights = np.where(distance <= 1, near, far).astype(np.float32)
    sources = np.clip(base[:, None] + np.arange(-1, TAPS - 1), 0, num_steps - 1).astype(np.int64)
    return sources, weights


def repeated_steps(window_samples: int, clip_samples: int, hop_samples: int) -> Int64Array | None:
    """Steps of a window said twice, in the order of the steps of that window repeated to fill a clip.

    A window that repeats has a spectrogram that repeats, but for the steps at both ends, which see the
    reflection: all of it is in the spectrogram of the window said twice. None where the repetition does not
    fall on whole steps.
    """
    if window_samples % hop_samples or clip_samples % window_samples or clip_samples < 2 * window_samples:
        return None
    period, last = window_samples // hop_samples, clip_samples // hop_samples
    edge = -(-HALF_FFT // hop_samples)
    if period < 2 * edge:
        return None
    step = np.arange(last + 1)
    inside = edge + (step - edge) % period
    from_end = step - last + 2 * period
    steps: Int64Array = np.where(step < edge, step, np.where(step > last - edge, from_end, inside))
    return steps


class HtsAtMel:
    """Windows of one length to spectrograms, on one device.

    Args:
        settings: of the front end.
        window_samples: length of the windows.
        batch_norm: ``weight``, ``bias``, ``running_mean`` and ``running_var`` of the 64 mels.
        matrix: mel filters ``(513, 64)``; None: those of ``settings``.
    """

    def __init__(
        self,
        settings: MelSettings,
        window_samples: int,
        batch_norm: dict[str, FloatMatrix],
        device: torch.device,
        matrix: FloatMatrix | None = None,
    ) -> None:
        self.settings, self.window_samples = settings, window_samples
        self.hann = torch.hann_window(FFT_SAMPLES, periodic=True, device=device)
        filters = mel_matrix(settings.mel_rate_hz) if matrix is None else matrix
        self.matrix = torch.from_numpy(np.array(filters, np.float32)).to(device)
        scale = batch_norm["weight"] / np.sqrt(batch_norm["running_var"] + BATCH_NORM_EPSILON)
        self.scale = torch.from_numpy(scale.astype(np.float32)).to(device)
        shift = batch_norm["bias"] - batch_norm["running_mean"] * scale
        self.shift = torch.from_numpy(shift.astype(np.float32)).to(device)
        clip_samples = settings.clip_samples or window_samples
        order = repeated_steps(window_samples, clip_samples, settings.hop_samples)
        self.repeats = order is not None
        sources, weights = stretch_taps(clip_samples // settings.hop_samples + 1)
        self.sources = torch.from_numpy(sources if order is None else order[sources]).to(device)
        self.weights = torch.from_numpy(weights)[..., None].to(device)

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """``(batch, window_samples)`` to ``(batch, 1024, 64)``."""
        spectrum = torch.stft(
            self.fill(windows),
            FFT_SAMPLES,
            self.settings.hop_samples,
            window=self.hann,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()  # (batch, 513, steps)
        mels = power.transpose(1, 2) @ self.matrix
        decibels = 10.0 * mels.clamp(min=LEAST_POWER).log10()
        normed = decibels * self.scale + self.shift
        stretched = normed[:, self.sources[:, 0]] * self.weights[:, 0]
        for tap in range(1, TAPS):
            stretched += normed[:, self.sources[:, tap]] * self.weights[:, tap]
        return stretched

    def fill(self, windows: torch.Tensor) -> torch.Tensor:
        """The window as the network takes it; repeated once only where that holds all that the clip would."""
        clip_samples = self.settings.clip_samples
        if clip_samples is None or self.window_samples == clip_samples:
            return windows
        return windows.repeat(1, 2) if self.repeats else fill_clip(windows, clip_samples)


def fill_clip(windows: torch.Tensor, clip_samples: int) -> torch.Tensor:
    """``(batch, n)`` to ``(batch, clip_samples)``: whole repetitions, then zeros (``repeatpad``)."""
    repeated = windows.repeat(1, clip_samples // windows.shape[1])
    return torch.nn.functional.pad(repeated, (0, clip_samples - repeated.shape[1]))
