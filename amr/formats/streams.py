"""Opening and finishing files: ``-`` is a stream, a name appears only when its bytes are complete."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from amr.errors import InputError, UsageError
from amr.formats.lock import missing_folder, sole_writer
from amr.formats.side_files import followed, kind_of, require_plain

STDIO = "-"
LONGEST_NAME_BYTES = 255
OWN_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


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


def require_writable(target: str | Path, *, force: bool, stream: bool = False) -> None:
    """Refuse an output that exists, is no regular file, or has no folder to stand in.

    A link is judged by what it points to.

    Args:
        stream: the product may go into a pipe or a terminal as well, which is then written to in place.

    Raises:
        InputError: the file exists and ``force`` is not set, is something else, or its folder is missing.
    """
    if str(target) == STDIO or (stream and is_stream(target)):
        return
    path = Path(target)
    try:
        kind = kind_of(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if not followed(path).parent.is_dir():
            raise missing_folder(target) from None
        return
    if kind:
        raise InputError(f"is {kind}, expected a file name for the output", where=target)
    if not force:
        raise InputError(
            "exists already and is left as it is",
            where=target,
            hint="use --force to replace it, or another -o",
        )


def is_stream(target: str | Path) -> bool:
    """Whether ``target`` is a pipe, a device like ``/dev/null``, or standard output by another name."""
    try:
        found = Path(target).stat()
    except OSError:
        return False
    return str(target) in OWN_STDOUT or stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode)


@contextmanager
def reserved_output(target: str | Path, *, force: bool, stream: bool = False) -> Iterator[None]:
    """Hold an output that will be written by :func:`open_output`, from here on.

    Raises:
        InputError: see :func:`require_writable`; another process is writing it.
    """
    with ExitStack() as stack:
        if not (str(target) == STDIO or (stream and is_stream(target))):
            stack.enter_context(sole_writer(target))
        require_writable(target, force=force, stream=stream)
        yield


def part_path(path: Path) -> Path:
    """Where the bytes of ``path`` are collected until they are complete."""
    end = f".{os.getpid()}.part"
    kept = os.fsencode(path.name)[: LONGEST_NAME_BYTES - len(end) - 1]
    return path.with_name(f".{os.fsdecode(kept)}{end}")


@contextmanager
def open_output(target: str | Path, *, force: bool = False, stream: bool = False) -> Iterator[BinaryIO]:
    """A file that appears under its name only when the block ends well, or standard output for ``-``.

    See :func:`open_side_output`. A link stays, and what it points to is written.

    Raises:
        InputError: see :func:`reserved_output`.
        OSError: the disk is full, or the folder may not be written.
    """
    with reserved_output(target, force=force, stream=stream):
        if str(target) == STDIO or (stream and str(target) in OWN_STDOUT):
            with named_in_errors("<stdout>"):
                yield sys.stdout.buffer
                sys.stdout.buffer.flush()
        elif stream and is_stream(target):
            with named_in_errors(target), open(target, "wb") as file:
                yield file
        else:
            with open_side_output(followed(Path(target))) as file:
                yield file


@contextmanager
def open_side_output(path: Path) -> Iterator[BinaryIO]:
    """A regular file that appears, or is replaced, when the block ends well.

    The bytes go to a ``.NAME.PID.part`` beside it, are synced and renamed; when the block fails the part is
    removed and what stood under the name before is untouched.

    Raises:
        InputError: something else stands under the name, a link too; another process is writing it.
        OSError: the disk is full, or the folder may not be written.
    """
    part = part_path(path)
    with named_in_errors(path), sole_writer(path):
        require_plain(path)
        try:
            part.unlink(missing_ok=True)  # left by a killed process that had our number
            with open(part, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            keep_permissions(path, part)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def named_in_errors(target: str | Path) -> Iterator[None]:
    """Failures of the operating system that name no file, or one that is only there while ``target`` is made,
    name ``target``: the user knows no other."""
    try:
        yield
    except OSError as error:
        name = Path(os.fsdecode(error.filename)).name if isinstance(error.filename, (str, bytes)) else ""
        if error.filename is None or name.removeprefix(".").startswith(f"{Path(target).name}."):
            error.filename, error.filename2 = str(target), None
        raise


def is_written(path: Path, content: bytes) -> bool:
    """Whether an interrupted run has written this file already.

    Raises:
        InputError: something else stands under the name.
    """
    if not path.exists():
        return False
    if not (path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content):
        raise other_content(path)
    return True


def other_content(path: Path) -> InputError:
    """The error for a file that ``--resume`` finds and this command would not have written."""
    return InputError(
        "holds something other than this command writes",
        where=path,
        hint="--resume continues the same command only; --force replaces it",
    )


def keep_permissions(old: Path, new: Path) -> None:
    """What replaces a file has its permission bits."""
    with suppress(FileNotFoundError):
        new.chmod(stat.S_IMODE(old.stat().st_mode))


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
def open_text_output(target: str | Path, *, force: bool = False, stream: bool = False) -> Iterator[TextIO]:
    """:func:`open_output` for UTF-8 text with ``\\n`` line ends."""
    with open_output(target, force=force, stream=stream) as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8", newline="\n", write_through=True)
        try:
            yield text
        finally:
            text.detach()  # the stream below is closed, or kept open, where it was opened
