"""The journal of one commit: changes to a file, decided on but perhaps not yet carried out.

A journal lies beside its file while that is being written, and holds the lock of the one writer. See
:mod:`amr.formats.features.atomic`.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from amr.errors import InputError
from amr.formats.lock import is_named, require_alone
from amr.formats.side_files import followed, open_plain, open_side_file

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
    path = followed(path)
    return path.with_name(path.name + ".journal")


def pack_journal(size: int, pages: Pages) -> bytes:
    """One commit as bytes, with a checksum by which a torn journal is recognised."""
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
    found = unpack_journal(journal_bytes(path))
    if found and found[0] > path.stat().st_size:
        raise foreign_journal(path)
    return found


def foreign_journal(path: Path) -> InputError:
    what = f"is not the journal of {path.name} beside it"
    return InputError(what, where=journal_path(path), hint="remove it if it came from elsewhere")


def journal_bytes(path: Path) -> bytes:
    """The journal of ``path`` as it is, empty where there is none.

    Raises:
        InputError: it is longer than any journal, or no regular file.
    """
    try:
        handle = open_side_file(journal_path(path), os.O_RDONLY)
    except FileNotFoundError:
        return b""
    with open(handle, "rb") as file:
        size = os.fstat(handle).st_size
        if size > MOST_JOURNAL_BYTES:
            raise foreign_journal(path)
        return file.read(size)


def rest(journal: int, commits: int) -> None:
    """Empty the journal of a commit that was carried out, but for the number of those made so far."""
    write_at(journal, RESTING.pack(RESTING_MAGIC, commits), 0)
    os.ftruncate(journal, RESTING.size)


def commit_state(path: Path) -> tuple[int, int, int | bytes]:
    """Differs before and after any commit of a writer of ``path``, whatever it adds between two commits."""
    journal = journal_bytes(path)
    file = path.stat()
    try:
        return file.st_ino, journal_path(path).lstat().st_ino, journal
    except FileNotFoundError:  # nobody writes now: the file itself shows what was written since
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
        handle = open_plain(path, os.O_RDWR)
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
        handle = open_side_file(journal_path(path), os.O_RDWR | os.O_CREAT)
        try:
            require_alone(handle, path)
        except BaseException:
            os.close(handle)
            raise
        if is_named(handle, journal_path(path)):
            return handle
        os.close(handle)  # its last holder has just removed it
