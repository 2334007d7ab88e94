"""Progress on stderr: a live line at a terminal, else one line a minute, never in the product."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from amr.cli.messages import say

if TYPE_CHECKING:
    from rich.progress import Progress

PERIOD_S = 60.0


class SoundProgress:
    """How much sound has been worked through, how fast, and how long the rest may take.

    Args:
        tool: the tool's name, for the lines.
        total: recordings to come.
        total_bytes: the size of their files together, by which the time left is judged.
        quiet: say nothing.
    """

    def __init__(self, tool: str, *, total: int, total_bytes: int, quiet: bool) -> None:
        self.tool = tool
        self.total = total
        self.total_bytes = total_bytes
        self.quiet = quiet
        self.recordings = 0
        self.sound_s = 0.0
        self._bytes = 0
        self._began = self._said = time.monotonic()
        self._live: Progress | None = None

    def __enter__(self) -> SoundProgress:
        if not self.quiet and sys.stderr.isatty():
            self._live = live_display()
            self._live.start()
            self._live.add_task(self.tool, total=max(1, self.total_bytes))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def speed(self) -> float:
        """Seconds of sound a second."""
        return self.sound_s / max(self.elapsed_s, 1e-9)

    def expect(self, file_bytes: int) -> None:
        """One recording more is to come."""
        self.total += 1
        self.total_bytes += file_bytes
        if self._live is not None:
            self._live.update(self._live.task_ids[0], total=max(1, self.total_bytes))

    def heard(self, sound_s: float) -> None:
        """So much sound more of the recording at hand."""
        self.sound_s += sound_s
        self._show()

    def done(self, file_bytes: int) -> None:
        """One recording is through."""
        self.recordings += 1
        self._bytes += file_bytes
        self._show()

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(self._live.task_ids[0], completed=self._bytes, description=self.describe())
        elif not self.quiet and time.monotonic() - self._said >= PERIOD_S:
            self._said = time.monotonic()
            share = self._bytes / max(1, self.total_bytes)
            left = f", about {clock(self.elapsed_s * (1 / share - 1))} left" if share > 0 else ""
            say(f"amr {self.tool}: {self.describe()}{left}")

    def describe(self) -> str:
        speed = f"{self.speed:.0f} x real time"
        return f"{self.recordings} of {self.total} recordings, {clock(self.sound_s)} of sound, {speed}"


def clock(seconds: float) -> str:
    """Whole seconds as ``h:mm:ss`` or ``m:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def file_bytes(path: Path) -> int:
    """A file's size; 0 for one that has gone, which is told when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def live_display() -> Progress:
    """A bar with text and the time left, on stderr; standard output is left alone."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(bar_width=24),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=Console(file=sys.stderr),
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
    )
