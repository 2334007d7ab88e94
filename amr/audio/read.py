"""A recording as mono samples at a wanted rate, block by block: memory does not grow with its length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from amr.arrays import Float32Array
from amr.audio.decode import open_decoder
from amr.audio.decoder import Decoder, Samples
from amr.audio.level import step_of
from amr.audio.mix import mixed
from amr.audio.resample import Resampler
from amr.errors import InputError

MonoSamples = Float32Array

LARGEST_SAMPLE = 1e15
"""Full scale is 1, of integers that were not scaled 2^31; the squares of these are still numbers."""


class MonoStream:
    """A recording's channels as one (:mod:`amr.audio.mix`) at ``sample_rate_hz``, in blocks ``(n,)``.

    To be read once. A recording of ``n`` samples at its own rate becomes ``ceil(n * sample_rate_hz / own
    rate)`` samples, whatever the blocks, so that its last sample is among them.

    Args:
        path: the audio file.
        sample_rate_hz: the wanted rate; None: the recording's own.
        strict: refuse a file whose header is wrong.
    """

    def __init__(self, path: str | Path, sample_rate_hz: int | None, *, strict: bool = False) -> None:
        self.path = Path(path)
        self.sample_rate_hz = sample_rate_hz
        self.strict = strict
        self.remarks: list[str] = []
        """What is to be said of the recording, each once; complete after the last block."""
        self.step = math.inf
        """What changes less is no sound: what the samples are multiples of, before they are mixed, as far as
        they were read; of lossy forms at least a step of 15 bits."""
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
        with self._open() as decoder:
            own_rate_hz = decoder.sample_rate_hz
            resampler = Resampler(own_rate_hz, self.sample_rate_hz or own_rate_hz)
            for mono in mixed(decoder, self._seen(decoder)):
                require_sound(mono, resampler.samples_in / own_rate_hz, own_rate_hz, self.path)
                yield from resampler.push(mono)
            if resampler.samples_in == 0:
                raise InputError("holds no samples", where=self.path)
            yield from resampler.finish()
            self.remarks = list(dict.fromkeys(decoder.remarks))
            self._duration_s = resampler.samples_in / own_rate_hz

    def _seen(self, decoder: Decoder) -> Iterator[Samples]:
        """The decoder's blocks; takes their step on the way."""
        for block in decoder.blocks():
            self.step = max(decoder.step, min(self.step, step_of(block)))
            yield block

    def _open(self) -> AbstractContextManager[Decoder]:
        return open_decoder(self.path, strict=self.strict)


def require_sound(mono: MonoSamples, begin_s: float, rate_hz: int, path: Path) -> None:
    """Refuse samples that are no number, or absurdly large ones; says where the first one is."""
    is_sound = np.abs(mono) <= LARGEST_SAMPLE
    if not is_sound.all():
        first = int(np.argmin(is_sound))
        what = "samples above 1e15" if np.isfinite(mono[first]) else "NaN or infinite samples"
        raise InputError(f"holds {what} after {begin_s + first / rate_hz:.1f} s", where=path)


def read_audio(path: str | Path, sample_rate_hz: int | None) -> tuple[MonoSamples, float]:
    """A whole recording: samples ``(n,)`` and its duration in seconds. Raises as :class:`MonoStream` does."""
    stream = MonoStream(path, sample_rate_hz)
    blocks = list(stream)
    return np.concatenate(blocks), stream.duration_s
