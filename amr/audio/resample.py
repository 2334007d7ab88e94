"""Samples at another rate, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from amr.arrays import Float32Array
from amr.audio.decoder import BLOCK_SAMPLES


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

    def push(self, mono: Float32Array) -> Iterator[Float32Array]:
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

    def finish(self) -> Iterator[Float32Array]:
        """What the filter still holds, with zeros where it is a sample short."""
        if self._stream is None:
            return
        yield from self._limited(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        if self._samples_out < self.expected:
            yield np.zeros(self.expected - self._samples_out, np.float32)

    def _limited(self, samples: Float32Array) -> Iterator[Float32Array]:
        samples = samples[: self.expected - self._samples_out]
        self._samples_out += len(samples)
        if len(samples):
            yield samples
