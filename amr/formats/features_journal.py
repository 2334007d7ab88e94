"""The journal of one commit: changes to a file, decided on but perhaps not yet carried out.

A journal lies beside its file while that is being written, and holds the lock of the one writer. See
:mod:`amr.formats.features_atomic`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from pathlib import Path

from amr.errors import InputError

MAGIC = b"AMRJRNL1"
HEADER = struct.Struct("<8sQQ")  # magic, size of the file in the new state, number of pages
ENTRY = struct.Struct("<QQ")  # offset, length
CHECKSUM = struct.Struct("<I")
RESTING = struct.Struct("<8sQ")  # between two commits: magic, number of commits made
RESTING_MAGIC = b"AMRREST1"
MOST_JOURNAL_BYTES = 256 * 2**20  # ours are a few dozen pages

Pages = dict[int, bytes]
"""Offset in the file to the bytes that belong there."""


def journal_path(path: Path) -> Path:
    """Where the journal of ``path`` lies; absent or without changes unless a commit was cut short."""
    return path.with_name(path.name + ".journal")


def pack_journal(size: int, pages: Pages) -> bytes:
    """One commit as bytes, with a checksum that tells a complete journal from a torn one."""
    parts = [HEADER.pack(MAGIC, size, len(pages))]
    for offset, data in pages.items():
        parts += [ENTRY.pack(offset, len(data)), data]
    body = b"".join(parts)
    return body + CHECKSUM.pack(zlib.crc32(body))


def unpack_journal(data: bytes) -> tuple[int, Pages] | None:
    """The size and pages of a complete journal; None when it is empty, torn or something else.

    The checksum is no proof against forgery, so every number is checked against the others.
    """
    if len(data) < HEADER.size + CHECKSUM.size or not data.startswith(MAGIC):
        return None
    body, (checksum,) = data[: -CHECKSUM.size], CHECKSUM.unpack(data[-CHECKSUM.size :])
    if zlib.crc32(body) != checksum:
        return None
    _, size, count = HEADER.unpack_from(body)
    pages: Pages = {}
    position = HEADER.size
    for _ in range(count):
        if position + ENTRY.size > len(body):
            return None
        offset, length = ENTRY.unpack_from(body, position)
        position += ENTRY.size
        if position + length > len(body) or offset + length > size:
            return None
        pages[offset] = body[position : position + length]
        position += length
    return size, pages


def read_journal(path: Path) -> tuple[int, Pages] | None:
    """What a killed writer of ``path`` had decided but perhaps not carried out.

    Raises:
        InputError: it is longer than any journal, or of a file longer than this one: a writer makes the file
            as long as it will be before it decides.
    """
    data = journal_bytes(path)
    found = unpack_journal(data)
    if len(data) > MOST_JOURNAL_BYTES or (found and found[0] > path.stat().st_size):
        what = f"is no journal of {path.name} beside it"
        raise InputError(what, where=journal_path(path), hint="remove it if it came from elsewhere")
    return found


def journal_bytes(path: Path) -> bytes:
    """The journal of ``path`` as it is, empty where there is none; no more than can be one."""
    try:
        with open(journal_path(path), "rb") as file:
            # Python takes memory for all that it is asked to read before it looks whether there is so much.
            return file.read(min(os.fstat(file.fileno()).st_size, MOST_JOURNAL_BYTES) + 1)
    except FileNotFoundError:
        return b""


def rest(journal: int, commits: int) -> None:
    """Empty the journal of a commit that was carried out, but for the number of those made so far."""
    write_at(journal, RESTING.pack(RESTING_MAGIC, commits), 0)
    os.ftruncate(journal, RESTING.size)


def commit_state(path: Path) -> tuple[int, int, int | bytes]:
    """Differs before and after any commit of a writer of ``path``, whatever it adds between two commits."""
    journal = journal_bytes(path)
    file = path.stat()
    try:
        return file.st_ino, journal_path(path).stat().st_ino, journal
    except FileNotFoundError:  # nobody writes: what has written since is told by the file
        return file.st_ino, file.st_size, file.st_mtime_ns


def write_at(handle: int, data: bytes | memoryview, offset: int) -> None:
    """``os.pwrite`` until everything is written."""
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def carry_out(handle: int, size: int, pages: Pages) -> None:
    """Bring a file to the state that a journal describes; doing it twice is doing it once."""
    for offset, data in pages.items():
        write_at(handle, data, offset)
    if os.fstat(handle).st_size != size:
        os.ftruncate(handle, size)


def finish_commit(path: Path, journal: int) -> None:
    """Carry out the commit that a killed writer had in its journal, and empty the journal."""
    found = read_journal(path)
    if found:
        handle = os.open(path, os.O_RDWR)
        try:
            carry_out(handle, *found)
            os.fsync(handle)
        finally:
            os.close(handle)
    os.ftruncate(journal, 0)


def lock_journal(path: Path) -> int:
    """Open the journal of ``path`` and hold it alone; the lock goes with the process.

    Raises:
        InputError: another process holds it.
    """
    while True:
        handle = os.open(journal_path(path), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise InputError(
                "another process is writing this file", where=path, hint="let it end, or write to another -o"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                os.close(handle)
                raise
            return handle  # a file system without locks: two writers are then the user's to avoid
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # its last holder has just removed it
