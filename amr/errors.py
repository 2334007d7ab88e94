"""The errors a user can meet, and the exit code of each.

They are raised where the fact is known and printed in one place (``amr.cli.run``) as
``amr TOOL: error: WHERE: WHAT`` and at most one ``hint:`` line.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path


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
    """

    exit_code = ExitCode.BUG

    def __init__(self, what: str, *, where: str | Path = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class UsageError(AmrError):
    """The command line asks for something that cannot be (exit 2)."""

    exit_code = ExitCode.USAGE


class InputError(AmrError):
    """A file holds something other than it should (exit 3)."""

    exit_code = ExitCode.BAD_INPUT


class MissingError(AmrError):
    """Something that the work needs is not here: an extra, weights, a device, room on the disk (exit 4)."""

    exit_code = ExitCode.MISSING
