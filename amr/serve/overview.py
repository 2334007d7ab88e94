"""What is heard in the recordings without a question, found in the background while nobody searches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from amr.errors import AmrError
from amr.formats.predictions import Prediction
from amr.serve.library import Library
from amr.tasks.inputs import Search
from amr.tasks.overview import everything, summarise

PATIENCE_S = 0.05
MOST_SOUNDS = 100
GROWN = 1.05
"""What was counted is shown again until so many times as much is known: counting looks at every moment."""


@dataclass
class RunningOverview:
    """One pass over all recordings, in a thread of its own that begins when it is first wanted.

    Args:
        search: what is open; its finder is not used.
        library: when the recordings began.
        is_busy: whether somebody searches; then it waits.
    """

    search: Search
    library: Library
    is_busy: Callable[[], bool] = lambda: False
    _found: list[Prediction] = field(default_factory=list)
    _failure: str = ""
    _is_done: bool = False
    _known: dict[str, Any] | None = None
    _known_at: tuple[bool, int] = (False, 0)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def record(self) -> dict[str, Any]:
        """What is known by now, as ``/overview.json`` gives it; begins the work."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="overview", daemon=True)
            self._thread.start()
        state = self._is_done, len(self._found)
        if self._known is None or state[0] != self._known_at[0] or state[1] > GROWN * self._known_at[1]:
            self._known, self._known_at = self._counted(), state
        return self._known

    def _counted(self) -> dict[str, Any]:
        """What is known by now: every moment is looked at."""
        is_done, found = self._is_done, list(self._found)
        recordings = self.library.recordings
        sounds = summarise(found, lambda vid: recordings[vid].started)[:MOST_SOUNDS]
        done = len(recordings) if is_done else len({each.vid for each in found})
        return {
            "done": done,
            "recordings": len(recordings),
            "is_complete": is_done,
            "sounds": [sound.record() for sound in sounds],
            **({"remark": self._failure} if self._failure else {}),
        }

    def stop(self) -> None:
        """End the work, and wait for that: the recordings are closed after it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        """Runs in the thread."""
        try:
            for each in everything(self.search, should_stop=self._stop.is_set):
                self._found.append(each)
                while self.is_busy() and not self._stop.is_set():
                    time.sleep(PATIENCE_S)
        except (AmrError, OSError) as error:
            self._failure = str(error)
        self._is_done = True
