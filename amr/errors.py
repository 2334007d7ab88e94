"""The errors a user can meet, and the exit code of each.

They are raised where the fact is known and printed in one place (``amr.cli.run``) as
``amr TOOL: error: WHERE: WHAT`` and at most one ``hint:`` line.
"""

from __future__ import annotations

import importlib.util
from enum import IntEnum
from pathlib import Path

DISTRIBUTION = "audio-moment-retrieval"
"""The name to install under; ``amr`` on the Python package index is another project."""


def install_command(extra: str) -> str:
    """What installs an extra beside the ``amr`` that is there."""
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def number_of(count: int, noun: str) -> str:
    """``1 recording``, ``2 recordings``."""
    return f"{count} {noun}{'s' * (count != 1)}"


class ExitCode(IntEnum):
    """What ``amr`` tells the shell."""

    COMPLETE = 0
    BUG = 1
    USAGE = 2
    BAD_INPUT = 3
    MISSING = 4
    PARTIAL = 5
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


class AmrError(Exception):
    """A failure that is explained to the user: where, what, and what to do.

    Args:
        what: what was found and what was expected, one line.
        where: ``file`` or ``file:line`` or an option's name; empty when the whole run is meant.
        hint: what to do about it, one line.
        was_named: False where it is about a file that came with a folder or a pattern: the user named others
            too, and those do not wait for it.
    """

    exit_code = ExitCode.BUG

    def __init__(self, what: str, *, where: str | Path = "", hint: str = "", was_named: bool = True) -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where)
        self.hint = hint
        self.was_named = was_named

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def raise_error(error: AmrError) -> None:
    """The ``on_failure`` of those who go no further."""
    raise error


class UsageError(AmrError):
    """The command line asks for something that cannot be (exit 2)."""

    exit_code = ExitCode.USAGE


class InputError(AmrError):
    """A file holds something other than it should (exit 3)."""

    exit_code = ExitCode.BAD_INPUT


class MissingError(AmrError):
    """Something that the work needs is not here: an extra, weights, a device, room on the disk (exit 4)."""

    exit_code = ExitCode.MISSING


class PluginError(MissingError):
    """An encoder or a model that another package brings breaks its contract: its author's to mend (exit 4).

    It is the same for every recording, so that it ends the work.
    """


def exception_line(error: BaseException) -> str:
    """The kind and the first line of an exception of another's code."""
    line = str(error).strip().split("\n")[0]
    return printable(f"{type(error).__name__}: {line}" if line else type(error).__name__)


def printable(text: str) -> str:
    """Text from files, names and libraries as one line that a terminal shows and does not obey.

    Control codes (C0 and C1), line breaks, and marks that turn the direction of writing become spaces.
    """
    return "".join(char if char.isprintable() else " " for char in text)


def require_posix() -> None:
    """Refuse Windows, which has neither the file locks nor the positioned reads that outputs rest on.

    Raises:
        MissingError: before anything else can fail in its own words.
    """
    if importlib.util.find_spec("fcntl") is None:
        raise MissingError(
            "amr runs on Linux and macOS; this system has no POSIX file locks",
            hint="on Windows, install it inside WSL (wsl --install)",
        )


class StoppedError(AmrError):
    """The work was ended in good order, as the caller's ``should_stop`` wanted; what is finished is kept."""

    exit_code = ExitCode.TERMINATED
