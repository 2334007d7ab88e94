"""What a signal does to a tool: end cleanly, and on the second one end at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from amr.cli.messages import say
from amr.errors import AmrError, ExitCode


class TerminatedSignal(BaseException):
    """SIGTERM came. No ``except Exception`` and no ``--keep-going`` is to hold it up."""


class InterruptedSignal(BaseException):
    """Ctrl-C came; stands for ``KeyboardInterrupt``, of which the command line's library tells nobody."""


class StoppedError(AmrError):
    """SIGTERM came and the work was ended in good order."""

    exit_code = ExitCode.TERMINATED


@contextmanager
def handling(handlers: dict[int, Any]) -> Iterator[None]:
    """These signal handlers while the block runs; in a thread that may set none, nothing."""
    try:
        before = {
            number: signal.signal(number, handler)
            for number, handler in handlers.items()
            if signal.getsignal(number) is not signal.SIG_IGN  # a job in the background, or under nohup
        }
    except ValueError:  # only the main thread hears signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM, where no tool has a better answer: unwind, so that no half-written file stays behind."""
    del number, frame
    raise TerminatedSignal


class Stopping:
    """How ``extract`` hears signals.

    The first SIGTERM asks it to stop after the recording at hand; the first SIGINT interrupts it there. A
    second one ends the process in the middle of whatever it does: files of features are safe against that.

    Args:
        tool: for messages.
        item: what is finished first, in one word.
    """

    def __init__(self, tool: str, item: str) -> None:
        self.tool = tool
        self.item = item
        self._has_heard = False
        self._is_asked = False

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._is_asked

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._end_if_second(number)
        raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._end_if_second(number)
        self._is_asked = True
        say(f"amr {self.tool}: {signal.Signals(number).name}: stopping after this {self.item}")

    def _end_if_second(self, number: int) -> None:
        if self._has_heard:
            line = f"amr {self.tool}: {signal.Signals(number).name} again: stopped at once\n"
            os.write(sys.stderr.fileno(), line.encode())  # not through its buffer, which may be in use
            os._exit(128 + number)
        self._has_heard = True

    @contextmanager
    def listening(self) -> Iterator[Stopping]:
        """Hear the signals while the block runs."""
        with handling({signal.SIGINT: self._interrupt, signal.SIGTERM: self._ask}):
            yield self
