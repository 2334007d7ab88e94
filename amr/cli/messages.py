"""What is said on the side: warnings, failures that are passed over, and the form of the product."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from amr.cli.options import OutputFormat
from amr.errors import AmrError, ExitCode


def say(line: str) -> None:
    """One line on stderr."""
    print(line, file=sys.stderr)  # noqa: T201  # the place for it


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
    """Items that are broken and passed over under ``--keep-going``: each is named, the end is exit 5."""

    def __init__(self, tool: str) -> None:
        self.tool = tool
        self.count = 0

    def note(self, error: AmrError) -> None:
        """Name one broken item."""
        self.count += 1
        say(f"amr {self.tool}: error: {error}")

    def end(self) -> None:
        """Leave with exit 5 if anything was passed over."""
        if self.count:
            say(f"amr {self.tool}: {self.count} broken, the rest is done")
            raise typer.Exit(ExitCode.PARTIAL)
