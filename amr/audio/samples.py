"""Samples that are in memory already, read as a recording is: mixed down, resampled, checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from amr.arrays import Float32Array
from amr.audio.decode import FASTEST_HZ, SLOWEST_HZ
from amr.audio.decoder import BLOCK_SAMPLES, Decoder
from amr.audio.read import MonoStream
from amr.errors import InputError

NAME = "samples"
"""What samples are called in messages, where a file has its path."""


@dataclass(frozen=True)
class SamplesInMemory:
    """What an open audio file is elsewhere (:class:`amr.audio.decoder.Decoder`).

    Args:
        samples: ``(n, channels)`` in [-1, 1].
        sample_rate_hz: their rate.
        remarks: what is to be said of them.
    """

    samples: Float32Array
    sample_rate_hz: int
    step = 0.0
    remarks: list[str] = field(default_factory=list)

    @property
    def num_frames(self) -> int:
        return len(self.samples)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    def blocks(self, first: int = 0) -> Iterator[Float32Array]:
        step = max(1, BLOCK_SAMPLES // self.channels)
        for start in range(first, len(self.samples), step):
            yield self.samples[start : start + step]


class ArrayStream(MonoStream):
    """The mean of the channels of samples in memory, at ``sample_rate_hz``, in blocks ``(n,)``.

    Args:
        samples: ``(n,)`` or ``(n, channels)`` floating-point numbers in [-1, 1].
        own_rate_hz: their rate.
        sample_rate_hz: the wanted rate; None: their own.

    Raises:
        InputError: they have another shape or type, or a rate that no recorder has.
    """

    def __init__(self, samples: Any, own_rate_hz: float, sample_rate_hz: int | None = None) -> None:
        super().__init__(NAME, sample_rate_hz)
        array = np.asarray(samples)
        if not np.issubdtype(array.dtype, np.floating):
            hint = "integers become such numbers by division, 16-bit ones by 32768"
            raise InputError(f"the array is {array.dtype}, expected floats in [-1, 1]", where=NAME, hint=hint)
        if array.ndim not in (1, 2) or 0 in array.shape:
            raise InputError(f"the array has shape {array.shape}, expected (n,) or (n, channels)", where=NAME)
        if not SLOWEST_HZ <= own_rate_hz <= FASTEST_HZ or own_rate_hz != int(own_rate_hz):
            raise InputError(
                f"the rate is {own_rate_hz} Hz, expected a whole number from {SLOWEST_HZ} to {FASTEST_HZ}",
                where=NAME,
            )
        channels = array.reshape(len(array), -1).astype(np.float32, copy=False)
        self._decoder = SamplesInMemory(channels, int(own_rate_hz))

    def _open(self) -> AbstractContextManager[Decoder]:
        return nullcontext(self._decoder)
