"""What a signal does to a tool: the first one asks it to stop in good order, a second one ends it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from amr.cli.messages import say

RETRY_S = 0.005
PATIENCE_S = 1.0  # with an import; torch takes ten seconds on a busy machine


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


class Unwinding:
    """Ctrl-C and SIGTERM, where no tool has a better answer: unwind, so that no half-written file stays.

    Not everywhere can that be: a C library that calls Python prints what is raised there and goes on, and an
    extension module that is interrupted while it is imported takes the process with it. Then it is raised a
    little later; an import that goes on for long is not waited for: the process ends, as by SIGKILL, which
    loses nothing that is finished.

    Args:
        program: for messages.
    """

    def __init__(self, program: str) -> None:
        self.program = program

    def __call__(self, number: int, frame: FrameType | None, until_s: float | None = None) -> None:
        if is_delicate(frame):
            until_s = time.monotonic() + PATIENCE_S if until_s is None else until_s
            if time.monotonic() > until_s:
                what = "interrupted" if number == signal.SIGINT else "terminated"
                end_at_once(number, f"{self.program}: error: {what}")
            signal.signal(signal.SIGALRM, lambda _, later: self(number, later, until_s))
            signal.setitimer(signal.ITIMER_REAL, RETRY_S)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise TerminatedSignal

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle both signals while the block runs; what is put off until then is forgotten at its end."""
        with handling({signal.SIGTERM: self, signal.SIGINT: self}):
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)


def end_at_once(number: int, line: str) -> NoReturn:
    """End the process, in the middle of whatever it does."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"{line}\n".encode())  # not through its buffer, which may be in use
    os._exit(128 + number)


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
            Unwinding(f"amr {self.tool}")(number, frame)

    def _end(self, number: int) -> None:
        if not self.is_killable:
            raise KeyboardInterrupt
        end_at_once(number, f"amr {self.tool}: {signal.Signals(number).name} again: stopped at once")

    @contextmanager
    def handled(self) -> Iterator[StopSignals]:
        """Handle the signals while the block runs."""
        with handling({signal.SIGINT: self._handle, signal.SIGTERM: self._handle}):
            yield self
