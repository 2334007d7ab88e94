"""The recordings that are searched: features on disk and sound encoded on the way, behind one interface."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
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

    def prepare(self, vids: Sequence[str]) -> None: ...

    def load(self, vid: str) -> Recording: ...

    def duration_s(self, vid: str) -> float: ...


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

    def prepare(self, vids: Sequence[str]) -> None:
        """Nothing is gained by knowing what comes."""

    def load(self, vid: str) -> Recording:
        return Recording(
            vid=vid,
            frames=self.reader.frames(vid),
            grid=self.reader.grid(vid),
            duration_s=self.reader.duration_s(vid),
        )

    def duration_s(self, vid: str) -> float:
        return self.reader.duration_s(vid)


class AudioShelf:
    """Audio files that are encoded when they are asked for.

    When it is told beforehand what will be asked (:meth:`prepare`), the next recordings are decoded and
    encoded while the last one is searched.

    Args:
        vids: the recordings.
        encode: recordings in the order wanted, each as soon as it is ready: a function that gives it, or
            raises what was wrong with it.
        measure: a recording's length in seconds, without encoding it.
    """

    name = "audio files"

    def __init__(
        self,
        vids: Sequence[str],
        encode: Callable[[Sequence[str]], Iterator[Callable[[], Recording]]],
        measure: Callable[[str], float],
    ) -> None:
        self.vids = vids
        self._encode = encode
        self._measure = measure
        self._coming: deque[str] = deque()
        self._stream: Iterator[Callable[[], Recording]] = iter(())

    def prepare(self, vids: Sequence[str]) -> None:
        """These will be asked for, in this order."""
        self._coming = deque(vids)
        self._stream = self._encode(vids)

    def load(self, vid: str) -> Recording:
        if not self._coming or self._coming[0] != vid:
            self.prepare([vid])
        self._coming.popleft()
        return next(self._stream)()

    def duration_s(self, vid: str) -> float:
        return self._measure(vid)


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

    def prepare(self, vids: Sequence[str]) -> None:
        """Nothing is gained by knowing what comes."""

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

    def prepare(self, vids: Sequence[str]) -> None:
        """Tell the shelves what will be asked of them, in this order."""
        asked: dict[int, tuple[Shelf, list[str]]] = {}
        for vid in vids:
            shelf = self._shelf_of[vid]
            asked.setdefault(id(shelf), (shelf, []))[1].append(vid)
        for shelf, names in asked.values():
            shelf.prepare(names)

    def load(self, vid: str) -> Recording:
        return self._shelf_of[vid].load(vid)

    def duration_s(self, vid: str) -> float:
        return self._shelf_of[vid].duration_s(vid)

    def unheard(self, vid: str) -> Recording:
        """A recording's length, without its sound."""
        grid = FrameGrid(window_s=1.0, hop_s=1.0, num_frames=0)
        return Recording(vid, np.empty((0, 0), dtype=np.float32), grid, self.duration_s(vid))
