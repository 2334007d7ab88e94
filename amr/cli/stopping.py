"""What a signal does to a tool: the first one asks it to stop in good order, a second one ends it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from amr.cli.messages import say

RETRY_S = 0.005


class TerminatedSignal(BaseException):
    """SIGTERM came. No ``except Exception`` and no ``--keep-going`` is to hold it up."""


class InterruptedSignal(BaseException):
    """Ctrl-C came; stands for ``KeyboardInterrupt``, which the command line's library keeps for itself."""


@contextmanager
def handling(handlers: dict[int, Any]) -> Iterator[None]:
    """These signal handlers while the block runs; in a thread that may set none, nothing."""
    try:
        before = {
            number: signal.signal(number, handler)
            for number, handler in handlers.items()
            if signal.getsignal(number) is not signal.SIG_IGN  # a job in the background, or under nohup
        }
    except ValueError:  # only the main thread may
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def unwind(number: int, frame: FrameType | None) -> None:
    """Ctrl-C and SIGTERM, where no tool has a better answer: unwind, so that no half-written file stays.

    Not everywhere can that be: a C library that calls Python prints what is raised there and goes on, and an
    extension module that is interrupted while it is imported takes the process with it. Then it is raised a
    little later.
    """
    if is_delicate(frame):
        signal.signal(signal.SIGALRM, lambda _, later: unwind(number, later))
        signal.setitimer(signal.ITIMER_REAL, RETRY_S)
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        raise TerminatedSignal


def is_delicate(frame: FrameType | None) -> bool:
    """Whether a module is imported, or libsndfile calls the functions of ``soundfile``, just now."""
    while frame is not None:
        code = frame.f_code
        if code.co_name.startswith("vio_") or code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


class StopSignals:
    """A ``should_stop`` that the first SIGINT or SIGTERM sets; a second one ends the tool.

    Until the work looks at it for the first time there is nothing to end in good order: the first signal
    then unwinds at once.

    Args:
        tool: for messages.
        item: what is finished first, in one word.
        is_killable: what is written is safe wherever the process ends. Then a second signal ends the process
            in the middle of whatever it does; else that unwinds.

    Attributes:
        first: the signal that came first; 0: none has.
    """

    def __init__(self, tool: str, item: str, *, is_killable: bool = False) -> None:
        self.tool = tool
        self.item = item
        self.is_killable = is_killable
        self.first = 0
        self._is_at_work = False

    def __call__(self) -> bool:
        self._is_at_work = True
        return self.first != 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.first:
            self._end(number)
        self.first = number
        if self._is_at_work:
            say(f"amr {self.tool}: {signal.Signals(number).name}: stopping after this {self.item}")
        else:
            unwind(number, frame)

    def _end(self, number: int) -> None:
        if not self.is_killable:
            raise KeyboardInterrupt
        line = f"amr {self.tool}: {signal.Signals(number).name} again: stopped at once\n"
        os.write(sys.stderr.fileno(), line.encode())  # not through its buffer, which may be in use
        os._exit(128 + number)

    @contextmanager
    def handled(self) -> Iterator[StopSignals]:
        """Handle the signals while the block runs."""
        with handling({signal.SIGINT: self._handle, signal.SIGTERM: self._handle}):
            yield self
