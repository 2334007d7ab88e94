"""Checksums of a feature file, so that changed bits are an error and not other answers.

``/audio/xor64`` has, for each recording, the exclusive or of its frames as 64-bit words: any single bit that
changes is seen, at a fiftieth of the time that reading takes, so readers of whole recordings look at it, and
so does what reads a whole file to make another one of it.
``/audio/crc32`` and ``/text/crc32`` have a CRC-32 of all that is stored of a recording or a query, and the
attribute ``crc32`` that of the other attributes; ``amr info`` looks at them. Files of earlier versions have
none; one that such a version has added to has the sums of what was there before.
"""

from __future__ import annotations

import json
import struct
import threading
import zlib
from collections.abc import Mapping

import numpy as np

from amr.arrays import AnyArray, Int64Array

WORD_BYTES = 8
WORDS = np.dtype("<u8")
WORD = 2**64 - 1
FIELDS = struct.Struct("<Qqd")
HEAD = ("amr_format", "amr_version", "encoder", "history")
CRC = "crc32"
FRAMES_SUM = "audio/xor64"


def sum_of_frames(frames: AnyArray) -> int:
    """The exclusive or of contiguous bytes, as stored, as 64-bit words; the last one ends in zeros."""
    if frames.nbytes % WORD_BYTES == 0:
        return int(np.bitwise_xor.reduce(frames.reshape(-1).view(WORDS)))
    data = frames.reshape(-1).view(np.uint8)
    whole = len(data) // WORD_BYTES * WORD_BYTES
    rest = int.from_bytes(data[whole:].tobytes(), "little")
    return int(np.bitwise_xor.reduce(data[:whole].view(WORDS))) ^ rest


class RunningSum:
    """:func:`sum_of_frames` of pieces that come one after another; words need not end where pieces do."""

    def __init__(self) -> None:
        self.value = 0
        self._bytes = 0

    def add(self, piece: AnyArray) -> None:
        """The next bytes, contiguous and as stored."""
        shift = 8 * (self._bytes % WORD_BYTES)
        found = sum_of_frames(piece)
        self.value ^= (found << shift | found >> (64 - shift)) & WORD if shift else found
        self._bytes += piece.nbytes


class RowSums:
    """The sums of the recordings of a file whose rows are read block by block, in any order, by any thread.

    Args:
        start: ``(recordings + 1,)``, where each recording begins.
        row_bytes: of a row. Rows that are no whole words are not looked at.

    Attributes:
        sums: ``(recordings,)`` of what was seen. rows: ``(recordings,)``, how many rows that were.
    """

    def __init__(self, start: Int64Array, row_bytes: int) -> None:
        self._start = start
        self._row_words, rest = divmod(row_bytes, WORD_BYTES)
        self._is_whole = rest == 0
        self._lock = threading.Lock()
        self.sums = np.zeros(len(start) - 1, dtype=np.uint64)
        self.rows = np.zeros(len(start) - 1, dtype=np.int64)

    def add(self, first: int, block: AnyArray) -> None:
        """Rows ``first`` and following, each row once."""
        if not (self._is_whole and len(block)):
            return
        stop = first + len(block)
        low = int(np.searchsorted(self._start, first, side="right")) - 1
        high = int(np.searchsorted(self._start, stop, side="left"))
        bounds = self._start[low : high + 1].clip(first, stop) - first
        counts = np.diff(bounds)
        filled = np.flatnonzero(counts)
        words = block.reshape(-1).view(WORDS)
        found = np.bitwise_xor.reduceat(words, bounds[filled] * self._row_words)
        with self._lock:
            self.sums[low + filled] ^= found
            self.rows[low:high] += counts


def sum_of_recording(frames_sum: int, rows: int, duration_s: float, recording_id: str, source: str) -> int:
    """CRC-32 of a recording, whose frames have ``frames_sum``."""
    names = encoded(recording_id) + b"\0" + encoded(source)
    return zlib.crc32(FIELDS.pack(frames_sum, rows, duration_s) + names)


def sum_of_query(query: str, tokens: AnyArray, pooled: AnyArray) -> int:
    """CRC-32 of a query and its vectors, as stored."""
    return zlib.crc32(encoded(query), zlib.crc32(pooled.tobytes(), zlib.crc32(tokens.tobytes())))


def sum_of_head(attributes: Mapping[str, object]) -> int:
    """CRC-32 of the attributes that are texts."""
    return zlib.crc32(json.dumps([str(attributes[name]) for name in HEAD]).encode())


def encoded(text: str) -> bytes:
    """A text as columns store it."""
    return text.encode("utf-8", "backslashreplace")
