"""Progress on stderr: a live line at a terminal, else one line a minute, never in the product."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from amr.cli.messages import say
from amr.cli.tables import whole_clock
from amr.errors import printable
from amr.tasks.callbacks import OnProgress, Progress, ignore_progress

if TYPE_CHECKING:
    from rich.progress import Progress as LiveBar

PERIOD_S = 60.0

Describe = Callable[[Progress, float], str]
"""A record and the seconds since the first one, in words."""


@contextmanager
def shown_progress(
    program: str, *, quiet: bool = False, describe: Describe | None = None, lines: bool = True
) -> Iterator[OnProgress]:
    """An ``on_progress`` that shows on stderr how far a tool has come, while the block runs.

    Args:
        program: what a line begins with, e.g. ``amr extract``.
        quiet: show nothing.
        describe: the words for a record; default: :func:`counted`.
        lines: whether to say a line a minute where stderr is no terminal.
    """
    describe = describe or counted
    if not quiet and sys.stderr.isatty():
        with live_bar() as bar:
            yield BarProgress(bar, describe)
    elif not quiet and lines:
        yield LineProgress(program, describe)
    else:
        yield ignore_progress


def counted(progress: Progress, elapsed_s: float) -> str:
    """How many items, and where it is sound that is worked through, how much and how fast."""
    items = f"{progress.done} of {progress.total} {progress.unit}s"
    if not progress.sound_s:
        return items
    speed = f"{progress.sound_s / max(elapsed_s, 1e-9):.0f} x real time"
    return f"{items}, {whole_clock(progress.sound_s)} of sound, {speed}"


class LineProgress:
    """One line a minute, with the time left where the share of the work is known."""

    def __init__(self, program: str, describe: Describe) -> None:
        self.program = program
        self.describe = describe
        self._began_s = self._said_s = 0.0

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        self._began_s = self._began_s or now_s
        self._said_s = self._said_s or now_s
        if now_s - self._said_s < PERIOD_S:
            return
        self._said_s = now_s
        elapsed_s, share = now_s - self._began_s, progress.share
        left = f", about {whole_clock(elapsed_s * (1 / share - 1))} left" if share > 0 else ""
        say(f"{self.program}: {self.describe(progress, elapsed_s)}{left}")


class LastProgress:
    """Passes every record on, and keeps the last one."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.last = Progress("recording")
        self._on_progress = on_progress

    def __call__(self, progress: Progress) -> None:
        self.last = progress
        self._on_progress(progress)


class BarProgress:
    """A bar with text and the time left."""

    def __init__(self, bar: LiveBar, describe: Describe) -> None:
        self.bar = bar
        self.describe = describe
        self._task = bar.add_task("", total=1.0)
        self._began_s = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        share = progress.share or progress.done / max(1, progress.total)
        words = printable(self.describe(progress, time.monotonic() - self._began_s))
        self.bar.update(self._task, completed=share, description=words)


def live_bar() -> LiveBar:
    """On stderr; standard output is left alone.

    What is said beside it is not broken into lines: a path has to stay one word.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as LiveBar

    return LiveBar(
        BarColumn(bar_width=24),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=Console(file=sys.stderr, soft_wrap=True),
        redirect_stdout=False,
        transient=True,
    )
