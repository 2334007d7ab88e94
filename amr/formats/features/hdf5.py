"""Opens an HDF5 feature file so that its texts are safe to read, and explains what HDF5 refuses.

HDF5 keeps attributes and texts of varying length in *global heaps*: collections of objects that follow one
another, each with its own length. HDF5 2.0 walks them without asking whether it gets on, so that an object
of length 0 holds it for ever, inside the library, where not even Ctrl-C ends it. A file is therefore read
through :class:`CheckedFile`, which looks at every collection first; only rows of numbers, which have no
heap, are read by HDF5 itself, at the disk's own rate.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from amr.errors import InputError
from amr.formats.features.atomic import PatchedFile
from amr.formats.features.journal import read_journal

# Rows go straight from the file to the array: a block read is 1.6 times, a small one 8 times as fast as
# through HDF5's cache of whole chunks.
NO_CHUNK_CACHE = 0
HEAP_MAGIC = b"GCOL\x01\0\0\0"
HEAP_HEADER = struct.Struct("<8sQ")
OBJECT_HEADER = struct.Struct("<HHIQ")  # index, references, nothing, bytes of the object
MOST_HEAP_BYTES = 64 * 2**20

# h5py raises TypeError for types that numpy lacks, ValueError for names and texts that are none, and the
# others for whatever HDF5 itself complains about.
HDF5_FAILURES = (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, NotImplementedError)


class CheckedFile(PatchedFile):
    """A file that is read only as far as its heaps are sound; at others HDF5 finds no heap and says so."""

    def readinto(self, buffer: Any, /) -> int:
        begin = self.position
        count = super().readinto(buffer)
        view = memoryview(buffer).cast("B")
        if view[:8] == HEAP_MAGIC and not self._is_sound_heap(begin, bytes(view[:16])):
            view[:4] = bytes(4)
        return count

    def _is_sound_heap(self, begin: int, head: bytes) -> bool:
        """Whether the collection there is within the file and can be walked to its end."""
        if len(head) < HEAP_HEADER.size:
            return False
        _, size = HEAP_HEADER.unpack(head)
        if not HEAP_HEADER.size <= size <= min(MOST_HEAP_BYTES, self.size - begin):
            return False
        heap = bytearray(size)
        self.read_disk(memoryview(heap), begin)
        self.patch(memoryview(heap), begin)
        return is_sound_heap(heap)


def is_sound_heap(heap: bytes | bytearray) -> bool:
    """Whether each object of a collection ends inside of it, behind its beginning.

    Object 0 is the free rest, whose length counts its header; an object's length does not. What is too
    short for a header at the end is free as well.
    """
    at = HEAP_HEADER.size
    while at + OBJECT_HEADER.size <= len(heap):
        index, _, _, size = OBJECT_HEADER.unpack_from(heap, at)
        step = OBJECT_HEADER.size + -(-size // 8) * 8 if index else size
        if not OBJECT_HEADER.size <= step <= len(heap) - at:
            return False
        at += step
    return True


class OpenFile(NamedTuple):
    """A feature file, opened.

    Args:
        texts: as HDF5 reads it through ``checked``.
        rows: the same file for columns of numbers alone; ``texts`` itself where there is a journal.
        checked: the bytes.
    """

    texts: h5py.File
    rows: h5py.File
    checked: CheckedFile

    def close(self) -> None:
        self.rows.close()
        self.texts.close()
        self.checked.close()


def open_hdf5(path: Path) -> OpenFile:
    """The file as of its last commit, read through the journal where a killed writer left one.

    Raises:
        InputError: it is no HDF5 file, or damaged.
        OSError: it may not be read.
    """
    size, pages = read_journal(path) or (None, None)
    checked = CheckedFile(path, size=size, pages=pages)
    with ExitStack() as opened:
        opened.callback(checked.close)
        try:
            texts = opened.enter_context(h5py.File(checked, "r", rdcc_nbytes=NO_CHUNK_CACHE))
            rows = (
                texts if size is not None else h5py.File(path, "r", rdcc_nbytes=NO_CHUNK_CACHE, locking=False)
            )
        except HDF5_FAILURES as error:
            raise damaged(path, error) from error
        opened.pop_all()
    return OpenFile(texts, rows, checked)


@contextmanager
def damage_explained(path: Path) -> Iterator[None]:
    """Turn every failure of a call of h5py into an ``InputError``; to be put around such calls alone."""
    try:
        yield
    except HDF5_FAILURES as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> InputError:
    """The error for what the HDF5 library refuses."""
    if isinstance(error, OSError) and not h5py.is_hdf5(path):
        return InputError("is not an HDF5 file", where=path, hint="amr extract makes feature files")
    reason = " ".join(str(error).split())[:200]
    return InputError(f"is a damaged HDF5 file ({reason})", where=path)
