"""Zip archives from strangers: their failures reported as ours, and no more unpacked than they can hold."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amr.errors import InputError
from amr.formats.untrusted.claims import believable

KNOWN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What the zipfile module raises on damaged archives; only the first is its own.
ZIP_FAILURES = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    IndexError,
    OSError,
    NotImplementedError,
    RuntimeError,
)


@contextmanager
def zip_failures(path: Path, what: str) -> Iterator[None]:
    """Turn every failure of reading an archive into an ``InputError`` that says ``what`` it is.

    A file that is not there or may not be read stays an ``OSError``.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except ZIP_FAILURES as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{what} ({reason})", where=path) from error


def refuse_bomb(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive whose members claim more than its bytes can hold, before one of them is unpacked."""
    size = path.stat().st_size
    stored = sum(info.compress_size for info in archive.infolist())
    claimed = sum(info.file_size for info in archive.infolist())
    if not (believable(stored, size, compressed=False) and believable(claimed, size, compressed=True)):
        raise InputError(
            f"its members claim {stored} bytes, {claimed} unpacked, more than {size} bytes of file hold",
            where=path,
        )
    for info in archive.infolist():
        if info.compress_type not in KNOWN_COMPRESSION:
            raise InputError(f"{info.filename!r} is compressed in a way that amr does not read", where=path)
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise InputError(f"{info.filename!r} has two sizes", where=path)
