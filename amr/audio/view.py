"""A file as a decoder should see it: stretches of the real one, with other bytes in between."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

Piece = bytes | range
"""Bytes of their own, or which bytes of the file."""


class FileView(io.RawIOBase):
    """Pieces of a file, one after the other, to be read like a file.

    Args:
        path: the file.
        pieces: what is seen of it, in order.
    """

    _is_open = False  # Python closes what it drops, a view too of a file that is not there

    def __init__(self, path: Path, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self._pieces = [piece for piece in pieces if len(piece)]
        self._ends = list(accumulate(map(len, self._pieces)))
        self._at = 0
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # closed by close()
        self._is_open = True

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any, /) -> int:  # typeshed's Buffer needs Python 3.12
        """Bytes of one piece, or several: as many as there is room for."""
        room = memoryview(buffer).cast("B")
        total = 0
        while total < len(room) and (got := self._read_piece(room[total:])):
            total += got
            self._at += got
        return total

    def _read_piece(self, room: memoryview) -> int:
        number = bisect_right(self._ends, self._at)
        if number == len(self._pieces):
            return 0
        piece = self._pieces[number]
        inside = self._at - (self._ends[number] - len(piece))
        count = min(len(room), len(piece) - inside)
        if isinstance(piece, range):
            self._file.seek(piece.start + inside)
            return self._file.readinto(room[:count]) or 0
        room[:count] = piece[inside : inside + count]
        return count

    def close(self) -> None:
        if self._is_open:
            self._file.close()
        super().close()


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Up to ``size`` bytes of a file from ``offset`` on."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)
