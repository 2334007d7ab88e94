"""What a task lets its caller know while it works.

Progress, failures and the question whether to stop go through functions that the caller gives; remarks go
through :mod:`logging`, under the name ``amr``: ``info`` for what is worth a line, ``warning`` for what may be
wrong with an answer, ``error`` for an item that was left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from amr.errors import AmrError
from amr.formats.notices import Notices

log = logging.getLogger("amr")


@dataclass(frozen=True)
class Progress:
    """How far a task has come.

    Args:
        unit: what is counted, e.g. ``recording``.
        done: how many of them are finished.
        total: how many there are, as far as is known.
        sound_s: seconds of sound that were worked through.
        share: the part of the work that is done, in [0, 1]; recordings count by the size of their files.
    """

    unit: str
    done: int = 0
    total: int = 0
    sound_s: float = 0.0
    share: float = 0.0


OnProgress = Callable[[Progress], None]
OnFailure = Callable[[AmrError], None]
"""Called with what is wrong with an item, which is then left out; where it raises, the work ends."""
ShouldStop = Callable[[], bool]
"""Asked between items; a task that stops leaves everything that is finished in order."""


def leave_out_found(error: AmrError) -> None:
    """The failures of callers who name no ``on_failure``: what was named itself is raised; what came with a
    folder or a pattern is logged and left out, as one bad file is not to end the work on all others."""
    if error.was_named:
        raise error
    log.error("%s", error)


def ignore_progress(progress: Progress) -> None:
    """For callers who do not want to know."""


@contextmanager
def logged_notices() -> Iterator[Notices]:
    """Notices that become warnings when the block ends well, a line a kind."""
    notices = Notices()
    yield notices
    for line in notices.lines():
        log.warning(line)


def never(*_: object) -> bool:
    """Do not stop."""
    return False


class RecordingMeter:
    """Counts recordings and their sound, and passes each change on.

    Args:
        on_progress: called at once, with nothing done, and after each change.
        total: recordings to come.
        total_bytes: the size of their files together.
    """

    def __init__(self, on_progress: OnProgress, *, total: int = 0, total_bytes: int = 0) -> None:
        self.progress = Progress("recording", total=total)
        self._on_progress = on_progress
        self._total_bytes = total_bytes
        self._bytes = 0
        on_progress(self.progress)

    def expect(self, file_bytes: int) -> None:
        """One recording more is to come."""
        self._total_bytes += file_bytes
        self._change(total=self.progress.total + 1)

    def heard(self, sound_s: float) -> None:
        """So much sound more of the recording at hand."""
        self._change(sound_s=self.progress.sound_s + sound_s)

    def done(self, file_bytes: int) -> None:
        """One recording is finished."""
        self._bytes += file_bytes
        self._change(done=self.progress.done + 1)

    def _change(self, **fields: float) -> None:
        share = self._bytes / max(1, self._total_bytes)
        self.progress = replace(self.progress, share=share, **fields)  # type: ignore[arg-type]
        self._on_progress(self.progress)
