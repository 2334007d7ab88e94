"""A recording of any length as a few hundred columns: log-mel spectrogram and waveform, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from amr.report.sound import Samples, measure, mono_blocks

FloatArray = npt.NDArray[np.float64]

WINDOW_S = 0.046
"""About 46 ms: the next power of two in samples is 2048 at 44.1 kHz."""

FRAMES_A_BLOCK = 256
"""Spectra computed at once: bounds the memory, whatever the recording's length."""

LOW_HZ = 50.0
HIGH_HZ = 16_000.0
POWER_FLOOR = 1e-12


@dataclass(frozen=True)
class Overview:
    """What a picture of a recording is drawn from.

    Args:
        duration_s: its length.
        level_db: ``(bands, columns)`` mean power of each mel band in each column, in dB re full scale.
        band_edges_hz: ``(bands + 1,)`` where the bands begin and end.
        lowest: ``(columns,)`` the lowest sample of each column, in [-1, 1].
        highest: ``(columns,)`` the highest.
    """

    duration_s: float
    level_db: FloatArray
    band_edges_hz: FloatArray
    lowest: FloatArray
    highest: FloatArray


def overview(path: Path, *, columns: int, bands: int) -> Overview:
    """The overview of a recording, computed while it is read.

    Columns divide the recording's length evenly; there are never more of them than samples.

    Raises:
        InputError: the file is not sound, or holds none.
    """
    sound = measure(path)
    columns = min(columns, sound.num_samples)
    size = window_samples(sound.sample_rate_hz)
    hop = max(1, min(size // 2, sound.num_samples // columns))
    edges_hz = mel_edges_hz(bands, sound.sample_rate_hz)
    filters = mel_filters(edges_hz, size, sound.sample_rate_hz)
    pool = ColumnPool(columns, bands, sound.num_samples)
    blocks = pool.watch(mono_blocks(path, max(size, FRAMES_A_BLOCK * hop)))
    for first, power in spectra(blocks, size, hop):
        pool.add_power(power @ filters.T, first * hop, hop)
    return Overview(
        duration_s=sound.duration_s,
        level_db=pool.level_db(),
        band_edges_hz=centres_to_edges(edges_hz),
        lowest=pool.lowest,
        highest=pool.highest,
    )


def window_samples(sample_rate_hz: int) -> int:
    """The power of two nearest above ``WINDOW_S``."""
    return 1 << max(4, int(np.ceil(np.log2(WINDOW_S * sample_rate_hz))))


def spectra(blocks: Iterable[Samples], size: int, hop: int) -> Iterator[tuple[int, FloatArray]]:
    """``(first frame, power (frames, size / 2 + 1))``; frame ``i`` is centred at sample ``i * hop``.

    Silence stands before the beginning and after the end; power is that of a full-scale sine at 1.
    """
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    scale = (2.0 / window.sum()) ** 2
    half = np.zeros(size // 2, dtype=np.float32)
    buffer, frame = half, 0
    for block in _followed_by(blocks, half):
        buffer = np.concatenate([buffer, block])
        count = (len(buffer) - size) // hop + 1 if len(buffer) >= size else 0
        for start in range(0, count, FRAMES_A_BLOCK):
            stop = min(start + FRAMES_A_BLOCK, count)
            part = buffer[start * hop : (stop - 1) * hop + size]
            frames = np.lib.stride_tricks.sliding_window_view(part, size)[::hop]
            spectrum = np.fft.rfft(frames * window, axis=1)
            yield frame + start, scale * (np.square(spectrum.real) + np.square(spectrum.imag))
        buffer = buffer[count * hop :]
        frame += count


def _followed_by(blocks: Iterable[Samples], last: Samples) -> Iterator[Samples]:
    yield from blocks
    yield last


def hz_to_mel(frequency_hz: FloatArray) -> FloatArray:
    """O'Shaughnessy's mel scale, 2595 log10(1 + f / 700)."""
    mel: FloatArray = 2595.0 * np.log10(1.0 + frequency_hz / 700.0)
    return mel


def mel_edges_hz(bands: int, sample_rate_hz: int) -> FloatArray:
    """``(bands + 2,)`` corner frequencies of triangular filters, even on the mel scale."""
    high_hz = min(HIGH_HZ, sample_rate_hz / 2)
    low, high = hz_to_mel(np.array([min(LOW_HZ, high_hz / 4), high_hz]))
    mel = np.linspace(low, high, bands + 2)
    edges: FloatArray = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return edges


def centres_to_edges(corners_hz: FloatArray) -> FloatArray:
    """``(bands + 1,)`` borders half way between the peaks of triangular filters ``(bands + 2,)``."""
    borders: FloatArray = (corners_hz[:-1] + corners_hz[1:]) / 2
    return borders


def mel_filters(corners_hz: FloatArray, size: int, sample_rate_hz: int) -> FloatArray:
    """``(bands, size / 2 + 1)`` triangles that sum to 1; one too narrow for any bin takes the nearest."""
    bins_hz = np.arange(size // 2 + 1) * sample_rate_hz / size
    left, peak, right = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    rising, falling = (bins_hz - left) / (peak - left), (right - bins_hz) / (right - peak)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    for band in np.flatnonzero(filters.sum(axis=1) == 0):
        filters[band, np.argmin(np.abs(bins_hz - peak[band]))] = 1.0
    normalised: FloatArray = filters / filters.sum(axis=1, keepdims=True)
    return normalised


class ColumnPool:
    """Sums and extremes of what falls into each column, gathered as the recording passes by."""

    def __init__(self, columns: int, bands: int, num_samples: int) -> None:
        self.columns = columns
        self.num_samples = num_samples
        self.power = np.zeros((columns, bands))
        self.frames = np.zeros(columns)
        self.lowest = np.zeros(columns)
        self.highest = np.zeros(columns)
        self._position = 0

    def column_of(self, sample: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The column of each sample; what lies past the announced end belongs to the last one."""
        column: npt.NDArray[np.int64] = np.minimum(
            sample * self.columns // self.num_samples, self.columns - 1
        )
        return column

    def watch(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """The same blocks, their extremes noted."""
        for block in blocks:
            first, last = self.column_of(np.array([self._position, self._position + len(block) - 1])).tolist()
            columns = np.arange(first, last + 1)
            starts = np.maximum(-(-columns * self.num_samples // self.columns) - self._position, 0)
            np.minimum.at(self.lowest, columns, np.minimum.reduceat(block, starts))
            np.maximum.at(self.highest, columns, np.maximum.reduceat(block, starts))
            self._position += len(block)
            yield block

    def add_power(self, power: FloatArray, centre: int, hop: int) -> None:
        """Add band powers ``(frames, bands)``; the first frame is centred at sample ``centre``."""
        columns = self.column_of(centre + hop * np.arange(len(power)))
        np.add.at(self.power, columns, power)
        np.add.at(self.frames, columns, 1)

    def level_db(self) -> FloatArray:
        """``(bands, columns)``; a column that no frame is centred in repeats the one before it."""
        filled = np.maximum.accumulate(np.where(self.frames > 0, np.arange(self.columns), 0))
        mean = self.power[filled] / np.maximum(self.frames[filled], 1)[:, None]
        level: FloatArray = 10.0 * np.log10(mean.T + POWER_FLOOR)
        return level
