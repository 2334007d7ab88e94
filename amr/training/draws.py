"""Random numbers that belong to an item, not to a moment in time.

A draw is a function of (seed, epoch, purpose, item): order, batches, chunks, processes and resuming cannot
change it, and no generator's state needs to be kept. The function is SplitMix64 (Steele, Lea and Flood 2014),
a counter and a mixing of its bits, over whole arrays.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from amr.arrays import Float32Array, Int64Array, UInt64Array

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)


def mixed(x: UInt64Array) -> UInt64Array:
    """SplitMix64's finaliser: every bit of the input changes half of the output."""
    x = (x ^ (x >> np.uint64(30))) * MIX_1
    x = (x ^ (x >> np.uint64(27))) * MIX_2
    out: UInt64Array = x ^ (x >> np.uint64(31))
    return out


def key_of(seed: int, epoch: int, purpose: str) -> int:
    """64 bits for one kind of draw in one epoch."""
    words = np.array([seed, epoch, crc32(purpose.encode())], dtype=np.uint64)
    key = np.zeros(1, dtype=np.uint64)
    for word in words:
        key = mixed((key ^ word) + GOLDEN)
    return int(key[0])


def uniform(key: int, items: Int64Array, count: int) -> Float32Array:
    """``(items, count)`` numbers in [0, 1); a row depends on ``key`` and its item only."""
    rows = mixed((items.astype(np.uint64) + np.uint64(1)) * GOLDEN ^ np.uint64(key))
    counters = np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
    bits = mixed(rows[:, None] + counters[None, :]) >> np.uint64(40)
    out: Float32Array = bits.astype(np.float32) * np.float32(2.0**-24)
    return out


def whole(key: int, items: Int64Array, below: Int64Array) -> Int64Array:
    """``(items,)`` whole numbers in ``[0, below)``; 0 where ``below`` is 0."""
    return np.minimum((uniform(key, items, 1)[:, 0] * below).astype(np.int64), np.maximum(below - 1, 0))
