"""What is said on the side: warnings, failures that are skipped, and the form of the product."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from amr.cli.options import OutputFormat
from amr.errors import AmrError, ExitCode, printable

MOST_NAMED = 10
"""Broken items that the last line repeats."""
MOST_LETTERS = 4000
"""Of a line: a name or a value that somebody gives us may have megabytes."""


def say(line: str) -> None:
    """One line on stderr, without what a terminal would obey; of a long one both ends."""
    if len(line) > MOST_LETTERS:
        line = f"{line[: MOST_LETTERS // 2]} ... {line[-MOST_LETTERS // 2 :]}"
    print(printable(line), file=sys.stderr)  # noqa: T201  # the place for it


KINDS = {logging.WARNING: "warning: ", logging.ERROR: "error: "}


class LogLines(logging.Handler):
    """What the package logs, as lines on stderr: ``amr TOOL: warning: ...``."""

    def __init__(self, program: str) -> None:
        super().__init__(logging.INFO)
        self.program = program

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{self.program}: {KINDS.get(record.levelno, '')}{record.getMessage()}")


@contextmanager
def log_shown(program: str) -> Iterator[None]:
    """Show what the package logs while the block runs; ``--quiet`` leaves errors only."""
    # Of a home that may not be written it makes three lines, and does without.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    logger, lines = logging.getLogger("amr"), LogLines(program)
    before = logger.level, logger.propagate
    logger.addHandler(lines)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def warn(tool: str, lines: list[str], *, quiet: bool = False) -> None:
    """Warnings on stderr, one a kind."""
    if not quiet:
        for line in lines:
            say(f"amr {tool}: warning: {line}")


def wants_table(form: OutputFormat | None, output: Path | None) -> bool:
    """A table for people at a terminal, JSON for programs and files, or what ``--format`` says."""
    if form is not None:
        return form is OutputFormat.TABLE
    return output is None and sys.stdout.isatty()


class Failures:
    """Items that are broken and passed over: each is named when it is met and in the end, which is exit 5.

    Args:
        keep_going: pass over what was named itself, too; else only what came with a folder or a pattern.
        hint: what to do about the first one that is not passed over.
    """

    def __init__(self, tool: str, *, keep_going: bool = True, hint: str = "") -> None:
        self.tool = tool
        self.keep_going = keep_going
        self.hint = hint
        self.broken: list[str] = []

    def note(self, error: AmrError) -> None:
        """Name one broken item, or raise what is wrong with it."""
        if error.was_named and not self.keep_going:
            error.hint = error.hint or self.hint
            raise error
        self.broken.append(error.where or error.what)
        say(f"amr {self.tool}: error: {printable(str(error))}")

    def end(self, count: int | None = None) -> None:
        """Leave with exit 5 if anything was passed over.

        Args:
            count: how many items, if not those that were noted here alone.
        """
        count = len(self.broken) if count is None else count
        if count:
            names = self.broken[:MOST_NAMED] + ["..."] * (count > min(len(self.broken), MOST_NAMED))
            say(f"amr {self.tool}: {count} broken, the rest is done: {printable(', '.join(names))}")
            raise typer.Exit(ExitCode.PARTIAL)
