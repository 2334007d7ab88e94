"""Sound with its times, as ffmpeg pipes it: Matroska, as far as one track of samples needs it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

SEGMENT, TRACKS, TRACK, AUDIO, CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0xE1, 0x1F43B675
ENTERED = frozenset({SEGMENT, TRACKS, TRACK, AUDIO, CLUSTER})
RATE, CHANNELS, CLUSTER_TIME, BLOCK = 0xB5, 0x9F, 0xE7, 0xA3
READ = frozenset({RATE, CHANNELS, CLUSTER_TIME, BLOCK})
BLOCK_HEADER_BYTES = 4  # track, time after the cluster's, flags
LARGEST_BYTES = 2**28


class Block(NamedTuple):
    """Some samples of a track.

    Args:
        time_ms: when they begin.
        data: their bytes.
    """

    time_ms: int
    data: bytes


@dataclass
class Tracks:
    """The sound of a stream: its tracks' number, and the first one's rate and channels."""

    number: int = 0
    sample_rate_hz: int = 0
    channels: int = 1


class MatroskaReader:
    """Reads a stream once: first its tracks, then the blocks of all of them.

    Raises:
        ValueError: it is no Matroska.
    """

    def __init__(self, pipe: BinaryIO) -> None:
        self.tracks = Tracks()
        self._pipe = pipe
        self._cluster_ms = 0
        self._elements = self._read_elements()
        for kind, data in self._elements:
            if kind == CLUSTER:
                break
            self._note(kind, data)

    def blocks(self) -> Iterator[Block]:
        """Blocks to the end of the stream."""
        for kind, data in self._elements:
            if kind == CLUSTER_TIME:
                self._cluster_ms = int.from_bytes(data, "big")
            elif kind == BLOCK and len(data) >= BLOCK_HEADER_BYTES:
                (after_ms,) = struct.unpack(">h", data[1:3])
                yield Block(self._cluster_ms + after_ms, data[BLOCK_HEADER_BYTES:])

    def _note(self, kind: int, data: bytes) -> None:
        if kind == TRACK:
            self.tracks.number += 1
        elif kind == RATE and self.tracks.number == 1:
            (rate_hz,) = struct.unpack(">d" if len(data) == 8 else ">f", data)
            self.tracks.sample_rate_hz = round(rate_hz)
        elif kind == CHANNELS and self.tracks.number == 1:
            self.tracks.channels = int.from_bytes(data, "big")

    def _read_elements(self) -> Iterator[tuple[int, bytes]]:
        """Elements in order, those that hold others before these."""
        while head := self._pipe.read(1):
            kind = int.from_bytes(head + self._pipe.read(width(head[0]) - 1), "big")
            first = self._pipe.read(1)
            if not first:
                return
            size_width = width(first[0])
            size = int.from_bytes(first + self._pipe.read(size_width - 1), "big") & (
                (1 << 7 * size_width) - 1
            )
            if kind in ENTERED:
                yield kind, b""
            elif size > LARGEST_BYTES:
                raise ValueError("an element that is too large")
            else:
                data = self._pipe.read(size)
                if kind in READ:
                    yield kind, data


def width(first: int) -> int:
    """How many bytes a number has by its first one."""
    if not first:
        raise ValueError("not Matroska")
    return 9 - first.bit_length()
