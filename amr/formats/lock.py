"""One writer for each output: a lock that is held from the first look at it to the last rename.

The lock is a file ``.NAME.lock`` beside the output, in which its holder has written its process. It is
removed when the work ends; one that a killed process left is taken over, since the lock itself goes with the
process.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from amr.errors import InputError
from amr.formats.side_files import followed, open_side_file

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
MOST_HOLDER_BYTES = 256
HELD: ContextVar[frozenset[Path]] = ContextVar("HELD", default=frozenset())
"""The locks that this thread's work holds: what it calls may take them once more."""


@contextmanager
def sole_writer(target: str | Path, *, where: str | Path = "") -> Iterator[None]:
    """Hold ``target`` against every other writer while the block runs.

    Args:
        target: the file; the lock of a link is that of what it points to.
        where: what messages call it; empty: ``target``.

    Raises:
        InputError: another process holds it, which is named; or its folder is missing.
        OSError: the folder may not be written.
    """
    path = lock_path(Path(target))
    held = HELD.get()
    if path in held:
        yield
        return
    handle = take(path, where or target)
    HELD.set(held | {path})
    try:
        yield
    finally:
        HELD.set(HELD.get() - {path})
        with suppress(OSError):  # the folder is gone
            path.unlink()
        os.close(handle)


@contextmanager
def sole_writer_in(folder: Path) -> Iterator[None]:
    """Hold a folder of outputs, as :func:`sole_writer` holds a file."""
    with sole_writer(folder / "amr", where=folder):
        yield


def lock_path(target: Path) -> Path:
    """Where the lock of an output lies."""
    path = followed(target)
    return Path(os.path.realpath(path.parent)) / f".{path.name}.lock"


def take(path: Path, where: str | Path) -> int:
    """The handle of a lock that is ours now."""
    while True:
        try:
            handle = open_side_file(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if not path.parent.is_dir():
                raise missing_folder(where) from error
            raise OSError(error.errno, error.strerror, str(where)) from error
        try:
            require_alone(handle, where)
        except BaseException:
            os.close(handle)
            raise
        if is_named(handle, path):
            with suppress(OSError):  # a full disk is reported when the output itself is written
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
            return handle
        os.close(handle)  # its last holder has just removed it


def require_alone(handle: int, where: str | Path) -> None:
    """Lock an open file. Raises ``InputError`` where another process has, by what it wrote of itself."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        kind = "folder" if Path(where).is_dir() else "file"
        what = f"{holder_of(handle)} is writing this {kind}"
        raise InputError(what, where=where, hint="wait until it ends, or write to another -o") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warn_of_no_locks()


@functools.cache
def warn_of_no_locks() -> None:
    """Once a process."""
    logging.getLogger("amr").warning(
        "the file system of the output has no locks: two writers of one file would not notice each other"
    )


def holder_of(handle: int) -> str:
    """Which process wrote itself into a lock."""
    words = os.pread(handle, MOST_HOLDER_BYTES, 0).decode("utf-8", "replace").split()
    if len(words) != 2 or not words[0].isdecimal():
        return "another process"
    pid, host = words
    return f"process {pid}" + ("" if host == socket.gethostname() else f" on {host}")


def is_named(handle: int, path: Path) -> bool:
    """Whether the open file still stands under ``path``."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def missing_folder(target: str | Path) -> InputError:
    """The error for an output that has no folder to stand in."""
    folder = followed(Path(target)).parent
    return InputError("the folder of this output does not exist", where=target, hint=f"mkdir -p {folder}")
