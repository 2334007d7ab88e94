"""Where and when moments are: the recordings' files, and the clock time that their names or headers say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from amr.audio.recorded_at import recorded_at
from amr.formats.predictions import Prediction
from amr.retrieval.recordings import Collection
from amr.tasks.callbacks import log

PATH, STARTED, CLOCK_WINDOWS = "path", "started", "absolute_windows"


class Places:
    """The files and the clocks of a collection's recordings.

    Args:
        collection: the recordings.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._started: dict[str, datetime | None] = {}

    def path(self, vid: str) -> str:
        """The recording's file, as seen from here; empty where it is not known."""
        return self._collection.path(vid)

    def started(self, vid: str) -> datetime | None:
        """When the recording began, as its file's name or header, or else its id says."""
        if vid not in self._started:
            path = self.path(vid)
            self._started[vid] = (recorded_at(path) if path else None) or recorded_at(vid, read_header=False)
        return self._started[vid]


def located(found: Iterable[Prediction], places: Places, *, with_clock: bool = False) -> Iterator[Prediction]:
    """The predictions with ``path``, where it is known.

    Args:
        with_clock: add ``started``, when the recording began, and ``absolute_windows``, when each moment
            was, in ISO 8601, where that is known.
    """
    unknown = set()
    for prediction in found:
        own: dict[str, object] = {}
        path = places.path(prediction.vid)
        if path:
            own[PATH] = path.encode("utf-8", "backslashreplace").decode()
        started = places.started(prediction.vid) if with_clock else None
        if with_clock and started is None:
            unknown.add(prediction.vid)
        if started is not None:
            own[STARTED] = started.isoformat(timespec="milliseconds")
            own[CLOCK_WINDOWS] = [
                [clock_time(started, seconds).isoformat(timespec="milliseconds") for seconds in window[:2]]
                for window in prediction.windows
            ]
        yield replace(prediction, extra={**prediction.extra, **own}) if own else prediction
    if unknown:
        first = min(unknown)
        log.warning(f"{len(unknown)} recordings say nowhere when they began, the first is {first}")


def clock_time(started: datetime, seconds: float) -> datetime:
    """The time of the clock so many seconds into a recording."""
    return started + timedelta(seconds=seconds)
