"""Files that the user did not name: they lie beside an output, perhaps in a stranger's folder.

A link, a named pipe or a device that somebody planted under such a name is neither followed, nor waited for,
nor written to; nor is a file that has a second name elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from amr.errors import InputError

KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def kind_of(mode: int) -> str:
    """What ``st_mode`` says that something is, in words; empty for a regular file."""
    return next((name for is_kind, name in KINDS if is_kind(mode)), "")


def followed(path: Path) -> Path:
    """The file itself where ``path`` is a link to it, else ``path`` as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def require_plain(path: Path) -> None:
    """Refuse what is there and no regular file. Raises ``InputError``."""
    try:
        kind = kind_of(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if kind:
        raise not_plain(path, kind)


def require_own(path: Path) -> None:
    """Refuse what is there and could not be written in place as :func:`open_side_file` does."""
    require_plain(path)
    with suppress(FileNotFoundError):
        require_single(path.lstat(), path)


def open_side_file(path: Path, flags: int) -> int:
    """A handle of a regular file of ours, opened without following a link or waiting for a pipe.

    Raises:
        InputError: something else stands under the name; or it has other names, and is to be written.
        OSError: it is not there, or may not be opened.
    """
    handle = open_plain(path, flags)
    try:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            require_single(os.fstat(handle), path)
    except InputError:
        os.close(handle)
        raise
    return handle


def open_plain(path: Path, flags: int) -> int:
    """:func:`open_side_file` for a file that the user may have named and linked."""
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            require_plain(path)
        raise
    kind = kind_of(os.fstat(handle).st_mode)
    if kind:
        os.close(handle)
        raise not_plain(path, kind)
    return handle


def read_into(handle: int, view: memoryview, offset: int) -> int:
    """Fill the beginning of ``view`` from an open file; how many bytes there were, 0 at its end.

    ``os.preadv`` copies nothing, and is not in every Python for macOS.
    """
    if hasattr(os, "preadv"):
        return os.preadv(handle, [view], offset)
    data = os.pread(handle, len(view), offset)
    view[: len(data)] = data
    return len(data)


def require_single(found: os.stat_result, path: Path) -> None:
    """Refuse a file that has more than one name: what is written into it would change another file."""
    if found.st_nlink > 1:
        raise not_plain(path, "a hard link")


def not_plain(path: Path, kind: str) -> InputError:
    return InputError(
        f"is {kind}, expected a file of amr's own", where=path, hint="remove it if it came from elsewhere"
    )
