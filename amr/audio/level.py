"""Samples at one level, whatever gain they were recorded with.

The gain is what brings the highest peak within a minute to -1 dB. So a recording of a minute or less has one
gain. In a longer one it changes by at most 1.5 dB a second, ahead of what is louder and behind it, and is
never higher than the highest peak within a minute allows: it is the largest such curve. It is the same
however the samples come in blocks. Gains that the samples had before cancel exactly, but for rounding.

Silence stays as it is: what does not rise above two steps of the file's samples is nothing but their rounding
and dither. Where a minute to either side holds nothing else, the gain is 1.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from amr.arrays import Float32Array

TARGET_DB = -1.0
"""What recordings peak at that were not set too low: the median of those that the shipped network was
trained on, half of which lie within 2 dB. Of their loudest seconds half lie within 7 dB, and to bring those
to one level costs that network 5 points of R1@0.5."""

PARTS_A_SECOND = 2
REACH_PARTS = 60 * PARTS_A_SECOND
STEEPEST_DB = 1.5 / PARTS_A_SECOND  # from a part to the next
AHEAD_PARTS = 60 * PARTS_A_SECOND  # a change of 90 dB begins early enough
OFFSET_S = 0.004  # means over it are taken away: constant offsets, and rumble below some 110 Hz
SILENT_STEPS = 2.0  # dither has peaks of one, of one and a half where the rate was changed

DESCRIPTION = "highest peak within 60 s to -1 dB, 1.5 dB/s"
"""What an encoder's identity says of samples that were brought to one level here."""


class LevelStream(Protocol):
    """Blocks of mono samples ``(n,)``."""

    def __iter__(self) -> Iterator[Float32Array]: ...

    @property
    def step(self) -> float:
        """Of which all samples were multiples, up to the last block, before they were mixed and resampled."""
        ...


def levelled(stream: LevelStream, sample_rate_hz: int) -> Iterator[Float32Array]:
    """The samples of a stream at one level, in blocks of half a second; two minutes are held."""
    size = sample_rate_hz // PARTS_A_SECOND
    curve = GainCurve()
    waiting: deque[Float32Array] = deque()
    before_db: float | None = None
    for part in parts_of(stream, size):
        waiting.append(part)
        for gain_db in curve.push(peak_of(part, sample_rate_hz), stream.step):
            yield amplified(waiting.popleft(), gain_db if before_db is None else before_db, gain_db)
            before_db = gain_db
    for gain_db in curve.finish():
        yield amplified(waiting.popleft(), gain_db if before_db is None else before_db, gain_db)
        before_db = gain_db


def parts_of(blocks: Iterable[Float32Array], size: int) -> Iterator[Float32Array]:
    """Samples as parts ``(size,)``; the last one may be shorter."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        samples = np.concatenate([rest, block]) if len(rest) else block
        whole = len(samples) // size * size
        for start in range(0, whole, size):
            yield samples[start : start + size]
        rest = samples[whole:]
    if len(rest):
        yield rest


def peak_of(samples: Float32Array, sample_rate_hz: int) -> float:
    """The highest peak, without what stays the same for 4 ms."""
    length = max(1, round(OFFSET_S * sample_rate_hz))
    runs = samples[: len(samples) // length * length].reshape(-1, length)
    changes = runs - (runs @ np.full(length, 1 / length, np.float32))[:, None]
    return float(max(changes.max(initial=0.0), -changes.min(initial=0.0)))


def amplified(samples: Float32Array, from_db: float, to_db: float) -> Float32Array:
    """Samples times a gain, which may change on the way."""
    if from_db == to_db:
        constant: Float32Array = samples * np.float32(10 ** (to_db / 20))
        return constant
    gain_db = np.linspace(from_db, to_db, len(samples), endpoint=False)
    changing: Float32Array = samples * (10 ** (gain_db / 20)).astype(np.float32)
    return changing


class GainCurve:
    """Gains of half-second parts, from their peaks; a gain is settled two minutes later, or at the end."""

    def __init__(self) -> None:
        self._peaks: deque[float] = deque()  # within reach of the part that is next
        self._pushed = self._decided = 0
        self._limits_db: deque[float] = deque()
        self._limit_before_db = math.inf

    def push(self, peak: float, step: float) -> Iterator[float]:
        """One more part; yields the gains in dB that are settled by it, none or one.

        Args:
            peak: its highest.
            step: what the samples are multiples of.
        """
        self._peaks.append(peak if peak > SILENT_STEPS * step else 0.0)
        self._pushed += 1
        if self._pushed > REACH_PARTS:
            yield from self._decide()

    def finish(self) -> Iterator[float]:
        """All other gains."""
        while self._decided < self._pushed:
            yield from self._decide()
        yield from self._limits_db

    def _decide(self) -> Iterator[float]:
        """The limit that the highest peak within reach of the next part sets."""
        yield from self._limit(allowed_db(max(self._peaks)))
        self._decided += 1
        if self._decided > REACH_PARTS:
            self._peaks.popleft()

    def _limit(self, limit_db: float) -> Iterator[float]:
        """One more limit; those before it come down to where it can be reached from."""
        limit_db = min(limit_db, self._limit_before_db + STEEPEST_DB)
        self._limit_before_db = limit_db
        self._limits_db.append(limit_db)
        for number in range(len(self._limits_db) - 2, -1, -1):
            limit_db += STEEPEST_DB
            if self._limits_db[number] <= limit_db:
                break
            self._limits_db[number] = limit_db
        if len(self._limits_db) > AHEAD_PARTS:
            yield self._limits_db.popleft()


def allowed_db(peak: float) -> float:
    """The gain that brings a peak to where it should be; none for silence."""
    return TARGET_DB - 20 * math.log10(peak) if peak > 0 else 0.0


def step_of(samples: Float32Array) -> float:
    """The largest power of two of which samples ``(n, channels)`` are whole multiples; infinite of silence.

    What is no number is passed over. Every 101st is looked at, which is enough of what is more than silence.
    """
    flat = samples.reshape(-1)
    for some in (flat[::101], flat):
        if len(some := some[np.isfinite(some) & (some != 0)]):
            mantissa, exponent = np.frexp(some)
            whole = (mantissa * 2**24).astype(np.int64)  # exactly: single precision has 24 bits
            return float(np.ldexp((whole & -whole).astype(np.float64), exponent - 24).min())
    return math.inf
