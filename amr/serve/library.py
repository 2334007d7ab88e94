"""The recordings that are served: what is known of each, and where its sound lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from amr.audio.names import canonical, endings
from amr.audio.recorded_at import recorded_at
from amr.formats.features.origin import is_file
from amr.retrieval.recordings import Collection


@dataclass(frozen=True)
class ServedRecording:
    """One recording.

    Args:
        vid: its id.
        duration_s: its length.
        path: its file; None where it is not known, or not there.
        started: when it began, where its name or header says so.
        folder: where it lies below the folder that all have in common, ``a/b``; empty: in that itself.
    """

    vid: str
    duration_s: float
    path: Path | None
    started: datetime | None
    folder: str

    @property
    def day(self) -> date | None:
        """The day on which it began."""
        return None if self.started is None else self.started.date()

    def clock(self, seconds: float) -> str | None:
        """The time of day and date of a place in it, ISO 8601; None where it is not known."""
        if self.started is None:
            return None
        return (self.started + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "vid": self.vid,
            "duration": round(self.duration_s, 3),
            "path": None if self.path is None else shown(self.path),
            "folder": self.folder,
            "started": None if self.started is None else self.started.isoformat(),
        }


class Library:
    """The recordings by id, in the order in which they are searched.

    Args:
        collection: what is searched.
        places: recordings by id that were found in folders; they go before what features say of themselves.
    """

    def __init__(self, collection: Collection, places: Mapping[str, Path]) -> None:
        paths = {vid: places.get(vid) or believed(vid, collection.path(vid)) for vid in collection.vids}
        base = common_folder([path for path in paths.values() if path is not None])
        self.recordings = {
            vid: ServedRecording(
                vid,
                collection.length_only(vid).duration_s,
                path,
                recorded_at(path or vid),
                folder_of(vid, path, base),
            )
            for vid, path in paths.items()
        }

    def __len__(self) -> int:
        return len(self.recordings)

    def get(self, vid: str) -> ServedRecording | None:
        return self.recordings.get(vid)

    @cached_property
    def total_s(self) -> float:
        """Seconds of sound."""
        return sum(each.duration_s for each in self.recordings.values())

    def among(self, folder: str, first: date | None, last: date | None) -> set[str] | None:
        """The recordings of a folder, and those below it, of some days; None: all.

        A recording whose day is not known is of none.
        """
        if not folder and first is None and last is None:
            return None
        return {
            each.vid
            for each in self.recordings.values()
            if is_below(each.folder, folder) and is_between(each.day, first, last)
        }


def is_below(folder: str, wanted: str) -> bool:
    return not wanted or folder == wanted or folder.startswith(f"{wanted}/")


def is_between(day: date | None, first: date | None, last: date | None) -> bool:
    if first is None and last is None:
        return True
    return day is not None and (first is None or first <= day) and (last is None or day <= last)


def believed(vid: str, path: str) -> Path | None:
    """The file that features name, where it is there and is called as the recording is.

    What a feature file says is not believed further: a path of another name is passed over.
    """
    return Path(path) if path and is_called(path, vid) and is_file(path) else None


def is_called(source: str, vid: str) -> bool:
    """Whether a path ends in a recording's id."""
    return canonical(vid) in map(canonical, endings(source))


def common_folder(paths: list[Path]) -> str:
    """The folder that all files lie in or below."""
    folders = {str(path.parent.absolute()) for path in paths}
    return os.path.commonpath(folders) if folders else ""


def folder_of(vid: str, path: Path | None, base: str) -> str:
    """A recording's folder below the common one; by its id where its file is not known."""
    if path is None:
        return vid.rpartition("/")[0]
    below = os.path.relpath(path.parent.absolute(), base)
    return "" if below == "." else shown(Path(below))


def shown(path: Path) -> str:
    """A path as text that JSON can hold, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "replace")
