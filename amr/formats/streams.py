"""Opening and finishing files: ``-`` is a stream, a name appears only when its bytes are complete."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from amr.errors import InputError, UsageError

STDIO = "-"


def display_name(source: str | Path) -> str:
    """How a source is called in messages: ``<stdin>`` for ``-``, else the path as given."""
    return "<stdin>" if str(source) == STDIO else str(source)


def require_readable(source: str | Path) -> None:
    """Refuse a file that is not there, a folder, and standard input that is a keyboard."""
    name = display_name(source)
    if str(source) == STDIO:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError(
                "standard input is a terminal, nothing is piped in",
                where=name,
                hint="pipe a file in (amr ... - < file), or name the file instead of '-'",
            )
        return
    path = Path(source)
    if path.is_dir():
        raise InputError("is a folder, expected a file", where=name)
    if not path.exists():
        raise InputError("no such file", where=name)


@contextmanager
def open_input(source: str | Path) -> Iterator[BinaryIO]:
    """A file or, for ``-``, standard input, as bytes.

    Raises:
        UsageError: standard input is a terminal.
        InputError: there is no such file, or it is a folder.
        OSError: it may not be read.
    """
    require_readable(source)
    if str(source) == STDIO:
        yield sys.stdin.buffer
        return
    with open(source, "rb") as file:
        yield file


def require_writable(target: str | Path, *, force: bool) -> None:
    """Refuse, before any work is done, an output that exists or has no folder to stand in.

    Raises:
        InputError: the file exists and ``force`` is not set, is a folder, or its folder is missing.
    """
    if str(target) == STDIO:
        return
    path = Path(target)
    if path.is_dir():
        raise InputError("is a folder, expected a file name for the output", where=target)
    if not path.parent.is_dir():
        raise InputError(
            "the folder of this output does not exist", where=target, hint=f"mkdir -p {path.parent}"
        )
    if is_regular_or_new(path) and path.exists() and not force:
        raise InputError(
            "exists already and is left as it is",
            where=target,
            hint="use --force to replace it, or another -o",
        )


def is_regular_or_new(path: Path) -> bool:
    """False for devices, pipes and sockets, which are written in place."""
    return not path.exists() or stat.S_ISREG(path.stat().st_mode)


def part_path(path: Path) -> Path:
    """Where the bytes of ``path`` are collected until they are complete."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def open_output(target: str | Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """A file that appears under its name only when the block ends well, or standard output for ``-``.

    The bytes go to a ``.NAME.PID.part`` beside it, are synced and renamed; when the block fails the part is
    removed and what stood under the name before is untouched.

    Raises:
        InputError: see :func:`require_writable`.
        OSError: the disk is full, or the folder may not be written.
    """
    require_writable(target, force=force)
    if str(target) == STDIO:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    if not is_regular_or_new(path):
        with open(path, "wb") as device:
            yield device
        return
    path = Path(os.path.realpath(path))
    part = part_path(path)
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, where the file system can do that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        # Some network file systems cannot sync a folder; the rename itself has been done.
        return
    finally:
        os.close(handle)


@contextmanager
def open_text_output(target: str | Path, *, force: bool = False) -> Iterator[TextIO]:
    """:func:`open_output` for UTF-8 text with ``\\n`` line ends."""
    with open_output(target, force=force) as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8", newline="\n", write_through=True)
        try:
            yield text
        finally:
            text.detach()  # the stream below is closed, or kept open, by whoever opened it
