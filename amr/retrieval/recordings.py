"""The recordings that are searched, behind one interface: features on disk, lengths, and whatever else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from amr.arrays import Float32Array
from amr.audio.names import Spellings
from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.formats.features.base import FeatureReader
from amr.moments import FrameGrid


@dataclass(frozen=True)
class RecordingFrames:
    """One recording, ready to be searched.

    Args:
        vid: its id.
        frames: ``(frames, dimension)``.
        grid: where the frames lie in time.
        duration_s: its length.
        encoder: what made the frames, where it is known.
    """

    vid: str
    frames: Float32Array
    grid: FrameGrid
    duration_s: float
    encoder: EncoderIdentity | None = None


def length_only(vid: str, duration_s: float) -> RecordingFrames:
    """A recording's length, without its sound."""
    grid = FrameGrid(window_s=1.0, hop_s=1.0, num_frames=0)
    return RecordingFrames(vid, np.empty((0, 0), dtype=np.float32), grid, duration_s)


class RecordingSource(Protocol):
    """Some recordings that are stored alike."""

    @property
    def name(self) -> str: ...

    @property
    def vids(self) -> Sequence[str]: ...

    def prepare(self, vids: Sequence[str]) -> None: ...

    def load(self, vid: str) -> RecordingFrames: ...

    def duration_s(self, vid: str) -> float: ...

    def path(self, vid: str) -> str: ...


@dataclass(frozen=True)
class FeatureSource:
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

    def load(self, vid: str) -> RecordingFrames:
        return RecordingFrames(
            vid=vid,
            frames=self.reader.frames(vid),
            grid=self.reader.grid(vid),
            duration_s=self.reader.duration_s(vid),
        )

    def duration_s(self, vid: str) -> float:
        return self.reader.duration_s(vid)

    def path(self, vid: str) -> str:
        return self.reader.audio_path(vid)


@dataclass(frozen=True)
class LengthSource:
    """Recordings of which nothing but the length is known: enough for the priors.

    Args:
        durations_s: length of each recording id.
        name: where the lengths were read.
    """

    durations_s: Mapping[str, float]
    name: str

    @property
    def vids(self) -> Sequence[str]:
        return list(self.durations_s)

    def prepare(self, vids: Sequence[str]) -> None:
        """Nothing is gained by knowing what comes."""

    def load(self, vid: str) -> RecordingFrames:
        raise InputError(f"gives the length of {vid!r} but not its sound", where=self.name)

    def duration_s(self, vid: str) -> float:
        return self.durations_s[vid]

    def path(self, vid: str) -> str:  # noqa: ARG002  # the protocol's
        return ""


class Collection:
    """The recordings of several sources, a recording id in one of them only.

    Raises:
        InputError: two sources hold the same id; both are named.
    """

    def __init__(self, sources: Iterable[RecordingSource]) -> None:
        self._source_of: dict[str, RecordingSource] = {}
        for source in sources:
            for vid in source.vids:
                if vid in self._source_of:
                    other = self._source_of[vid].name
                    raise InputError(f"recording {vid!r} is in {other} as well", where=source.name)
                self._source_of[vid] = source
        self._spellings = Spellings(self._source_of)

    @property
    def vids(self) -> list[str]:
        return list(self._source_of)

    def spelt(self, vid: str) -> str:
        """An id as it is here, where it differs in Unicode's composition only; else as it came."""
        return self._spellings.of(vid)

    def __contains__(self, vid: object) -> bool:
        return isinstance(vid, str) and self.spelt(vid) in self._source_of

    def __len__(self) -> int:
        return len(self._source_of)

    def prepare(self, vids: Sequence[str]) -> None:
        """Let the sources know what will be wanted of them, in this order."""
        wanted: dict[int, tuple[RecordingSource, list[str]]] = {}
        for vid in vids:
            source = self._source_of[vid]
            wanted.setdefault(id(source), (source, []))[1].append(vid)
        for source, names in wanted.values():
            source.prepare(names)

    def load(self, vid: str) -> RecordingFrames:
        return self._source_of[vid].load(vid)

    def length_only(self, vid: str) -> RecordingFrames:
        """A recording's length, without its sound."""
        return length_only(vid, self._source_of[vid].duration_s(vid))

    def path(self, vid: str) -> str:
        """The recording's file, as seen from here; empty where it is not known."""
        return self._source_of[vid].path(vid)
