"""The recordings that are searched: features on disk and sound encoded on the way, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from amr.errors import InputError
from amr.formats.features import FeatureReader
from amr.moments import FrameGrid


@dataclass(frozen=True)
class Recording:
    """One recording, ready to be searched.

    Args:
        vid: its id.
        frames: ``(frames, dimension)``.
        grid: where the frames lie in time.
        duration_s: its length.
    """

    vid: str
    frames: npt.NDArray[np.float32]
    grid: FrameGrid
    duration_s: float


class Shelf(Protocol):
    """Some recordings that are stored alike."""

    @property
    def name(self) -> str: ...

    @property
    def vids(self) -> Sequence[str]: ...

    def load(self, vid: str) -> Recording: ...

    def duration_s(self, vid: str) -> float: ...


def unheard(vid: str, duration_s: float) -> Recording:
    """A recording of known length without its sound."""
    grid = FrameGrid(window_s=1.0, hop_s=1.0, num_frames=0)
    return Recording(vid=vid, frames=np.empty((0, 0), dtype=np.float32), grid=grid, duration_s=duration_s)


@dataclass(frozen=True)
class FeatureShelf:
    """Recordings whose features are on disk."""

    reader: FeatureReader

    @property
    def name(self) -> str:
        return self.reader.name

    @property
    def vids(self) -> Sequence[str]:
        return self.reader.ids

    def load(self, vid: str) -> Recording:
        return Recording(
            vid=vid,
            frames=self.reader.frames(vid),
            grid=self.reader.grid(vid),
            duration_s=self.reader.duration_s(vid),
        )

    def duration_s(self, vid: str) -> float:
        return self.reader.duration_s(vid)


@dataclass(frozen=True)
class AudioShelf:
    """Audio files that are encoded when they are asked for.

    Args:
        paths: file of each recording id.
        encode: a file's frames, their grid and its length in seconds.
        measure: a file's length in seconds, without encoding it.
    """

    paths: dict[str, str]
    encode: Callable[[str], tuple[npt.NDArray[np.float32], FrameGrid, float]]
    measure: Callable[[str], float]
    name: str = "audio files"

    @property
    def vids(self) -> Sequence[str]:
        return list(self.paths)

    def load(self, vid: str) -> Recording:
        frames, grid, duration_s = self.encode(self.paths[vid])
        return Recording(vid=vid, frames=frames, grid=grid, duration_s=duration_s)

    def duration_s(self, vid: str) -> float:
        return self.measure(self.paths[vid])


@dataclass(frozen=True)
class LengthShelf:
    """Recordings of which nothing but the length is known: enough for the priors.

    Args:
        durations_s: length of each recording id.
        name: where the lengths were read.
    """

    durations_s: dict[str, float]
    name: str

    @property
    def vids(self) -> Sequence[str]:
        return list(self.durations_s)

    def load(self, vid: str) -> Recording:
        raise InputError(f"gives the length of {vid!r} but not its sound", where=self.name)

    def duration_s(self, vid: str) -> float:
        return self.durations_s[vid]


class Library:
    """Several shelves, a recording id on one of them only.

    Raises:
        InputError: two shelves hold the same id; both are named.
    """

    def __init__(self, shelves: Iterable[Shelf]) -> None:
        self._shelf_of: dict[str, Shelf] = {}
        for shelf in shelves:
            for vid in shelf.vids:
                if vid in self._shelf_of:
                    other = self._shelf_of[vid].name
                    raise InputError(f"recording {vid!r} is in {other} as well", where=shelf.name)
                self._shelf_of[vid] = shelf

    @property
    def vids(self) -> list[str]:
        return list(self._shelf_of)

    def __contains__(self, vid: object) -> bool:
        return vid in self._shelf_of

    def __len__(self) -> int:
        return len(self._shelf_of)

    def load(self, vid: str) -> Recording:
        return self._shelf_of[vid].load(vid)

    def duration_s(self, vid: str) -> float:
        return self._shelf_of[vid].duration_s(vid)
