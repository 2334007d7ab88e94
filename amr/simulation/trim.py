"""Cutting the quiet ends off a clip, and where in it something sounds. Pure arithmetic on samples."""

from __future__ import annotations

import numpy as np

from amr.arrays import BoolArray, Float32Array, Float64Array
from amr.simulation.settings import TrimRule

PROFILE_BLOCK_S = 0.02
"""Blocks of the power profile that crops are chosen by."""
AUDIBLE_BELOW_DB = 20.0
"""A block counts as sounding when it is at most this far below its clip's mean power."""


def block_powers(samples: Float32Array, block: int, *, keep_rest: bool) -> Float64Array:
    """Mean power of consecutive blocks of ``block`` samples, ``(samples,)`` -> ``(blocks,)``.

    A last block that is not full counts with ``keep_rest`` and is left out without.
    """
    full = len(samples) // block
    squares = np.square(samples[: full * block], dtype=np.float64).reshape(full, block)
    powers: Float64Array = squares.mean(axis=1)
    rest = samples[full * block :]
    if keep_rest and len(rest):
        powers = np.append(powers, np.square(rest, dtype=np.float64).mean())
    return powers


def trim_bounds(samples: Float32Array, sample_rate_hz: int, rule: TrimRule) -> tuple[int, int]:
    """First and past-the-last sample that a trim keeps; equal when nothing is left.

    A block is quiet when its mean power is not above the whole clip's mean power less ``below_db``. The kept
    part runs from the first block that is not quiet to the end of the last one; when all are quiet (a clip of
    digital silence) everything is kept. ``samples`` is ``(samples,)``, mono.
    """
    block = max(1, round(rule.block_s * sample_rate_hz))
    powers = block_powers(samples, block, keep_rest=rule.keep_rest)
    if not len(powers):
        return 0, 0
    threshold = float(np.square(samples, dtype=np.float64).mean()) * 10 ** (-rule.below_db / 10)
    loud = np.flatnonzero(powers > threshold)
    first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(powers) - 1)
    return first * block, min((last + 1) * block, len(samples))


def sounding_blocks(samples: Float32Array, sample_rate_hz: int) -> BoolArray:
    """Which blocks of :data:`PROFILE_BLOCK_S` of a trimmed clip sound, ``(blocks,)``."""
    block = max(1, round(PROFILE_BLOCK_S * sample_rate_hz))
    powers = block_powers(samples, block, keep_rest=True)
    if not len(powers):
        return np.zeros(0, dtype=np.bool_)
    sounding: BoolArray = powers > powers.mean() * 10 ** (-AUDIBLE_BELOW_DB / 10)
    return sounding
