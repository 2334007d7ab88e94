"""A recording of any length as a few hundred columns: log-mel spectrogram and waveform, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.audio.decode import open_decoder
from amr.audio.read import MonoSamples, MonoStream

WINDOW_S = 0.046
"""About 46 ms: the next power of two in samples is 2048 at 44.1 kHz."""

HOPS_A_WINDOW = 4
"""For figures; where columns are wide anyway, two will do."""

FRAMES_A_BLOCK = 256
"""Spectra computed at once: bounds the memory, whatever the recording's length."""

LOW_HZ = 50.0
HIGH_HZ = 16_000.0
POWER_FLOOR = 1e-12


@dataclass(frozen=True)
class Overview:
    """What a picture of a recording is drawn from.

    Args:
        duration_s: its length; the columns divide it evenly.
        level_db: ``(bands, columns)`` mean power of each mel band in each column, dB re a full-scale sine.
        band_edges_hz: ``(bands + 1,)`` where the bands begin and end.
        lowest: ``(columns,)`` the lowest sample of each column.
        highest: ``(columns,)`` the highest.
    """

    duration_s: float
    level_db: Float64Array
    band_edges_hz: Float64Array
    lowest: Float64Array
    highest: Float64Array


def overview(path: Path, *, columns: int, bands: int, hops_a_window: int = HOPS_A_WINDOW) -> Overview:
    """The overview of a recording, computed while it is read, in memory that does not grow with its length.

    Args:
        columns: at most so many; a recording of a second or two has fewer.

    Raises:
        MissingError: there is no such file, or it needs an ffmpeg that is not here.
        InputError: it is no sound, or damaged.
    """
    with open_decoder(path) as decoder:
        rate_hz = decoder.sample_rate_hz
    return overview_of(
        MonoStream(path, None), rate_hz, columns=columns, bands=bands, hops_a_window=hops_a_window
    )


def overview_of(
    blocks: Iterable[MonoSamples],
    rate_hz: int,
    *,
    columns: int,
    bands: int,
    hops_a_window: int = HOPS_A_WINDOW,
) -> Overview:
    """The overview of samples ``(n,)`` that come in blocks, of which there is one at least."""
    size = window_samples(rate_hz)
    hop = size // hops_a_window
    corners_hz = mel_corners_hz(bands, rate_hz)
    filters = mel_filters(corners_hz, size, rate_hz)
    pool = CellPool(columns, bands, hop)
    for frame, power in spectra(pool.watch(blocks), size, hop):
        pool.add_power(power @ filters.T, frame * hop, hop)
    power, lowest, highest = pool.regrouped(columns)
    return Overview(
        duration_s=pool.num_samples / rate_hz,
        level_db=10.0 * np.log10(power.T + POWER_FLOOR),
        band_edges_hz=(corners_hz[:-1] + corners_hz[1:]) / 2,
        lowest=lowest,
        highest=highest,
    )


def window_samples(sample_rate_hz: int) -> int:
    """The power of two nearest above ``WINDOW_S``."""
    return 1 << max(4, int(np.ceil(np.log2(WINDOW_S * sample_rate_hz))))


def spectra(blocks: Iterable[MonoSamples], size: int, hop: int) -> Iterator[tuple[int, Float64Array]]:
    """``(first frame, power (frames, size / 2 + 1))``; frame ``i`` is centred at sample ``i * hop``.

    Silence stands before the beginning and after the end; the power of a full-scale sine is 1.
    """
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    scale = (2.0 / window.sum()) ** 2
    half = np.zeros(size // 2, dtype=np.float32)
    buffer, frame = half, 0
    for block in followed_by(blocks, half):
        buffer = np.concatenate([buffer, block])
        count = max(0, (len(buffer) - size) // hop + 1)
        for start in range(0, count, FRAMES_A_BLOCK):
            stop = min(start + FRAMES_A_BLOCK, count)
            part = buffer[start * hop : (stop - 1) * hop + size]
            frames = np.lib.stride_tricks.sliding_window_view(part, size)[::hop]
            spectrum = np.fft.rfft(frames * window, axis=1)
            yield frame + start, scale * (np.square(spectrum.real) + np.square(spectrum.imag))
        buffer = buffer[count * hop :]
        frame += count


def followed_by(blocks: Iterable[MonoSamples], last: MonoSamples) -> Iterator[MonoSamples]:
    yield from blocks
    yield last


def mel_corners_hz(bands: int, sample_rate_hz: int) -> Float64Array:
    """``(bands + 2,)`` corners of triangular filters, even on O'Shaughnessy's mel scale."""
    high_hz = min(HIGH_HZ, sample_rate_hz / 2)
    low, high = 2595.0 * np.log10(1.0 + np.array([min(LOW_HZ, high_hz / 4), high_hz]) / 700.0)
    corners: Float64Array = 700.0 * (10.0 ** (np.linspace(low, high, bands + 2) / 2595.0) - 1.0)
    return corners


def mel_filters(corners_hz: Float64Array, size: int, sample_rate_hz: int) -> Float64Array:
    """``(bands, size / 2 + 1)`` triangles that sum to 1; one too narrow for any bin takes the nearest."""
    bins_hz = np.arange(size // 2 + 1) * sample_rate_hz / size
    left, peak, right = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    rising, falling = (bins_hz - left) / (peak - left), (right - bins_hz) / (right - peak)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    for band in np.flatnonzero(filters.sum(axis=1) == 0):
        filters[band, np.argmin(np.abs(bins_hz - peak[band]))] = 1.0
    normalised: Float64Array = filters / filters.sum(axis=1, keepdims=True)
    return normalised


class CellPool:
    """Sums and extremes of even stretches of a stream whose length is not known beforehand.

    There are at most twice as many cells as columns are wanted; when they are full, neighbours unite and each
    stands for twice as long.

    Args:
        columns: how many columns are wanted.
        bands: values a frame.
        span: samples of a cell at the beginning.
    """

    def __init__(self, columns: int, bands: int, span: int) -> None:
        self.capacity = 2 * columns
        self.span = span
        self.num_samples = 0
        self.power = np.zeros((self.capacity, bands))
        self.frames = np.zeros(self.capacity)
        self.lowest = np.full(self.capacity, np.inf)
        self.highest = np.full(self.capacity, -np.inf)

    def cells(self, positions: Int64Array) -> Int64Array:
        """The cell of each sample position; makes room for the last of them."""
        while positions[-1] // self.span >= self.capacity:
            self._halve()
        cell: Int64Array = positions // self.span
        return cell

    def watch(self, blocks: Iterable[MonoSamples]) -> Iterator[MonoSamples]:
        """The same blocks, their extremes noted."""
        for block in blocks:
            begin, end = self.num_samples, self.num_samples + len(block)
            first, last = self.cells(np.array([begin, end - 1])).tolist()
            cells = np.arange(first, last + 1)
            starts = np.maximum(cells * self.span - begin, 0)
            self.lowest[cells] = np.minimum(self.lowest[cells], np.minimum.reduceat(block, starts))
            self.highest[cells] = np.maximum(self.highest[cells], np.maximum.reduceat(block, starts))
            self.num_samples = end
            yield block

    def add_power(self, power: Float64Array, centre: int, hop: int) -> None:
        """Add band powers ``(frames, bands)``; the first frame is centred at sample ``centre``."""
        cells = self.cells(centre + hop * np.arange(len(power)))
        np.add.at(self.power, cells, power)
        np.add.at(self.frames, cells, 1)

    def regrouped(self, columns: int) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Mean power ``(columns, bands)``, lowest and highest ``(columns,)`` of even stretches of the whole.

        A cell belongs to the column that its middle lies in; where cells are fewer, so are columns.
        """
        used = -(-self.num_samples // self.span)
        columns = min(columns, used)
        middles = np.minimum((np.arange(used) + 0.5) * self.span, self.num_samples - 0.5)
        column = (middles * columns / self.num_samples).astype(np.int64)
        starts = np.searchsorted(column, np.arange(columns))
        starts = np.minimum(starts, used - 1)
        power = np.add.reduceat(self.power[:used], starts, axis=0)
        frames = np.add.reduceat(self.frames[:used], starts)
        return (
            power / np.maximum(frames, 1)[:, None],
            np.minimum.reduceat(self.lowest[:used], starts),
            np.maximum.reduceat(self.highest[:used], starts),
        )

    def _halve(self) -> None:
        """Unite neighbours; the second half becomes free."""
        self.power = united(self.power, np.add, 0.0)
        self.frames = united(self.frames, np.add, 0.0)
        self.lowest = united(self.lowest, np.minimum, np.inf)
        self.highest = united(self.highest, np.maximum, -np.inf)
        self.span *= 2


def united(cells: Float64Array, unite: np.ufunc, empty: float) -> Float64Array:
    """Pairs of neighbours united in the first half, the second half empty."""
    halved = np.full_like(cells, empty)
    halved[: len(cells) // 2] = unite(cells[0::2], cells[1::2])
    return halved
