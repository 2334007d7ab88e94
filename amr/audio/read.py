"""A recording as mono samples at a wanted rate, block by block: memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from amr.audio.decode import BLOCK_SAMPLES, Samples, open_decoder
from amr.errors import InputError

MonoSamples = npt.NDArray[np.float32]

LARGEST_SAMPLE = 1e15
"""Full scale is 1, of integers that were not scaled 2^31; the squares of these are still numbers."""


class MonoStream:
    """The mean of a recording's channels at ``sample_rate_hz``, in blocks ``(n,)``, to be read once.

    A recording of ``n`` samples at its own rate becomes ``ceil(n * sample_rate_hz / own rate)`` samples,
    whatever the blocks, so that its last sample is among them.

    Args:
        path: the audio file.
        sample_rate_hz: the wanted rate; None: the recording's own.
    """

    def __init__(self, path: str | Path, sample_rate_hz: int | None) -> None:
        self.path = Path(path)
        self.sample_rate_hz = sample_rate_hz
        self._duration_s: float | None = None

    @property
    def duration_s(self) -> float:
        """Seconds that were really decoded; known after the last block."""
        if self._duration_s is None:
            raise ValueError(f"{self.path} has not been read to its end")
        return self._duration_s

    def __iter__(self) -> Iterator[MonoSamples]:
        """Raises:
        MissingError: it needs an ffmpeg that is not here.
        InputError: there is no such file; it is empty, cut, no audio, or holds samples that are no sound's.
        """
        with open_decoder(self.path) as decoder:
            own_rate_hz = decoder.sample_rate_hz
            wanted_rate_hz = self.sample_rate_hz or own_rate_hz
            resampler = Resampler(own_rate_hz, wanted_rate_hz)
            for block in decoder.blocks():
                mono = mix_down(block)
                if not (np.abs(mono) <= LARGEST_SAMPLE).all():
                    what = "samples above 1e15" if np.isfinite(mono).all() else "NaN or infinite samples"
                    at_s = resampler.samples_in / own_rate_hz
                    raise InputError(f"holds {what} after {at_s:.1f} s", where=self.path)
                yield from resampler.push(mono)
            if resampler.samples_in == 0:
                raise InputError("holds no samples", where=self.path)
            yield from resampler.finish()
            self._duration_s = resampler.samples_in / own_rate_hz


def mix_down(block: Samples) -> MonoSamples:
    """``(n, channels)`` to ``(n,)``: the mean of the channels, the same whatever the block's length."""
    mono: MonoSamples = block[:, 0].copy()
    with np.errstate(over="ignore", invalid="ignore"):  # of samples that are none, which are refused later
        for channel in range(1, block.shape[1]):
            mono += block[:, channel]
    if block.shape[1] > 1:
        mono /= np.float32(block.shape[1])
    return mono


class Resampler:
    """Changes the rate of a stream of blocks; the sum of its output is exactly as long as it should be."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        import soxr

        self.samples_in = 0
        self._samples_out = 0
        self._from_hz, self._to_hz = from_hz, to_hz
        self._stream = None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    @property
    def expected(self) -> int:
        """Output samples for the input so far."""
        return -(-self.samples_in * self._to_hz // self._from_hz)

    def push(self, mono: MonoSamples) -> Iterator[MonoSamples]:
        """The output for a block, in pieces as long as a block: of 100 Hz become 480 times as much."""
        if self._stream is None:
            self.samples_in += len(mono)
            yield mono
            return
        piece = max(1, BLOCK_SAMPLES * self._from_hz // max(self._from_hz, self._to_hz))
        for start in range(0, len(mono), piece):
            part = mono[start : start + piece]
            self.samples_in += len(part)
            yield from self._limited(self._stream.resample_chunk(part))

    def finish(self) -> Iterator[MonoSamples]:
        """What the filter still holds, with zeros where it is a sample short."""
        if self._stream is None:
            return
        yield from self._limited(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        if self._samples_out < self.expected:
            yield np.zeros(self.expected - self._samples_out, np.float32)

    def _limited(self, samples: MonoSamples) -> Iterator[MonoSamples]:
        samples = samples[: self.expected - self._samples_out]
        self._samples_out += len(samples)
        if len(samples):
            yield samples


def read_audio(path: str | Path, sample_rate_hz: int | None) -> tuple[MonoSamples, float]:
    """A whole recording: samples ``(n,)`` and its duration in seconds. Raises as :class:`MonoStream` does."""
    stream = MonoStream(path, sample_rate_hz)
    blocks = list(stream)
    return np.concatenate(blocks), stream.duration_s
