"""Opens features, wherever they are stored, one file or many."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from amr.arrays import Float32Array
from amr.errors import InputError
from amr.formats.features.base import (
    HOW_TO_MAKE,
    PART_SUFFIX,
    FeatureReader,
    PackedFrames,
    StoredRecording,
    StoredText,
    read_packed,
    unknown_query,
)
from amr.formats.features.npz import NpzTree
from amr.formats.features.read import FeatureFile
from amr.formats.features.whole import ids_in_whole


def open_features(*paths: str | Path) -> FeatureReader:
    """Features of recordings and queries, from one file or many, behind one interface.

    Several paths read as one; what ``amr extract --shard I/N`` wrote is put together by naming all parts.

    Args:
        paths: HDF5 feature files that ``amr extract`` made, or folders of Lighthouse or DCASE
            ``.npz`` files.

    Returns:
        A :class:`~amr.formats.features.base.FeatureReader`: ``reader.ids`` are the recordings,
        ``reader.frames(id)`` is float32 ``(frames, dimension)``, one frame each ``reader.hop_s`` seconds,
        ``reader.text(query)`` has the vectors of a stored query. It holds files open: use ``with``.

    Raises:
        InputError: there is no such file; a file is not a feature file of this schema; parts were made by
            different encoders, or hold the same recording.
    """
    if not paths:
        raise ValueError("open_features needs at least one path")
    readers: list[FeatureReader] = []
    try:
        for path in paths:
            readers.append(open_one(Path(path)))
        return readers[0] if len(readers) == 1 else ManyFeatures(readers)
    except BaseException:
        for reader in readers:
            reader.close()
        raise


def open_one(path: Path) -> FeatureReader:
    """One feature file, or one tree. Raises as :func:`open_features` does."""
    if path.is_dir():
        return NpzTree(path)
    if not path.exists():
        part = path.with_name(path.name + PART_SUFFIX)
        hint = f"an interrupted run left {part}: end it with --resume" if part.exists() else HOW_TO_MAKE
        raise InputError("no such feature file", where=path, hint=hint)
    return FeatureFile(path)


class ManyFeatures(FeatureReader):
    """Several feature files, or trees, as if they were one: parts are merged by naming them.

    Recordings of several parts that share an id are distinguished by the paths that they are from: the first
    keeps the id, the others are called by the ends of their paths.

    Attributes:
        part_ids: what the recordings of each part are called here.

    Raises:
        InputError: they were made by different encoders, or hold the same recording.
    """

    def __init__(self, parts: Sequence[FeatureReader]) -> None:
        self.parts = list(parts)
        first = self.parts[0]
        for part in self.parts[1:]:
            require_alike(first, part)
        self.name = ", ".join(part.name for part in self.parts)
        self.identity_json, self.window_s, self.hop_s = first.identity_json, first.window_s, first.hop_s
        self.part_ids = ids_in_whole(self.parts)
        self._owner = {
            name: (part, own)
            for part, names in zip(self.parts, self.part_ids, strict=True)
            for own, name in zip(part.ids, names, strict=True)
        }

    @property
    def dimension(self) -> int:
        return self.parts[0].dimension

    @property
    def _by_id(self) -> Mapping[str, tuple[FeatureReader, str]]:
        return self._owner

    @cached_property
    def queries(self) -> Sequence[str]:
        return list(dict.fromkeys(query for part in self.parts for query in part.queries))

    def __iter__(self) -> Iterator[StoredRecording]:
        for part, names in zip(self.parts, self.part_ids, strict=True):
            for recording, name in zip(part, names, strict=True):
                yield recording._replace(id=name)

    def _own(self, recording_id: str) -> tuple[FeatureReader, str]:
        """The part that has a recording, and what it is called there."""
        owner: tuple[FeatureReader, str] = self._find(recording_id)
        return owner

    def frames(self, recording_id: str) -> Float32Array:
        part, own = self._own(recording_id)
        return part.frames(own)

    def num_frames(self, recording_id: str) -> int:
        part, own = self._own(recording_id)
        return part.num_frames(own)

    def duration_s(self, recording_id: str) -> float:
        part, own = self._own(recording_id)
        return part.duration_s(own)

    def source(self, recording_id: str) -> str:
        part, own = self._own(recording_id)
        return part.source(own)

    def audio_path(self, recording_id: str) -> str:
        part, own = self._own(recording_id)
        return part.audio_path(own)

    def has_text(self, query: str, *, qid: int | str | None = None) -> bool:
        return any(part.has_text(query, qid=qid) for part in self.parts)

    def text(self, query: str, *, qid: int | str | None = None) -> StoredText:
        for part in self.parts:
            if part.has_text(query, qid=qid):
                return part.text(query, qid=qid)
        raise unknown_query(self, query)

    def packed(self, ids: Sequence[str] | None = None) -> PackedFrames:
        if ids is not None:
            dtype = np.result_type(*(part.packed([]).frames.dtype for part in self.parts))
            return read_packed(self, ids, dtype)
        packs = [part.packed() for part in self.parts]
        counts = np.concatenate([np.diff(pack.start) for pack in packs])
        return PackedFrames(
            ids=[name for names in self.part_ids for name in names],
            start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            frames=np.concatenate([pack.frames for pack in packs]),
            duration_s=np.concatenate([pack.duration_s for pack in packs]),
        )

    def close(self) -> None:
        for part in self.parts:
            part.close()


def require_alike(first: FeatureReader, other: FeatureReader) -> None:
    """Refuse features of two encoders, printing both identities."""
    if identity_of(first) != identity_of(other) or first.dimension != other.dimension:
        raise InputError(
            f"made by {describe_identity(other)}, but {first.name} by {describe_identity(first)}",
            where=other.name,
            hint="features of different encoders cannot be mixed",
        )


def identity_of(reader: FeatureReader) -> object:
    return json.loads(reader.identity_json) if reader.identity_json is not None else None


def describe_identity(reader: FeatureReader) -> str:
    if reader.identity_json is None:
        return f"an unknown encoder of {reader.dimension} dimensions"
    return f"encoder {reader.identity_json}"
