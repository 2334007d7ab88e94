"""Features of recordings and queries, wherever they are stored: one interface over files and trees.

The HDF5 layout is described in ``docs/features.md``; why it is written as it is, in
``docs/decisions/0003-feature-file.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from amr.errors import InputError
from amr.moments import FrameGrid

FORMAT = "features"
SCHEMA = 1
PART_SUFFIX = ".part"
"""What stands behind a feature file's name until it is complete."""

HOW_TO_MAKE = "amr extract AUDIO -o FILE makes one"

FloatFrames = npt.NDArray[np.float32]
StoredFrames = npt.NDArray[np.floating]
"""Frames as they lie on disk: float16 or float32."""


class TextVectors(Protocol):
    """A query, encoded; ``amr.encoders.base.TextFeatures`` is one."""

    @property
    def tokens(self) -> FloatFrames: ...

    @property
    def pooled(self) -> FloatFrames: ...


@dataclass(frozen=True)
class StoredText:
    """A query as a feature file has it.

    Args:
        tokens: ``(tokens, text_dim)``, one vector a token.
        pooled: ``(text_dim,)``, the sentence.
    """

    tokens: FloatFrames
    pooled: FloatFrames


class Recording(NamedTuple):
    """One recording's features, ``frames (n, dim)``."""

    id: str
    frames: FloatFrames
    duration_s: float


@dataclass(frozen=True)
class PackedFrames:
    """Many recordings in one array: recording ``i`` is ``frames[start[i]:start[i + 1]]``.

    Args:
        ids: the recordings, in the order of ``start``.
        start: ``(recordings + 1,)`` offsets into ``frames``.
        frames: ``(total, dim)`` in the type that is stored, so that a training set costs what the file costs.
        duration_s: ``(recordings,)``.
    """

    ids: list[str]
    start: npt.NDArray[np.int64]
    frames: StoredFrames
    duration_s: npt.NDArray[np.float64]


class FeatureReader(Protocol):
    """Features of many recordings, looked up by id.

    Asking for an id or a query that is not there raises ``InputError``, naming the file.
    """

    @property
    def name(self) -> str:
        """What was opened, for messages."""
        ...

    @property
    def identity_json(self) -> str | None:
        """The encoder that made the features, as JSON; None where the files do not say.

        ``amr.encoders.stored`` compares it with an encoder at hand.
        """
        ...

    @property
    def window_s(self) -> float: ...

    @property
    def hop_s(self) -> float: ...

    @property
    def dimension(self) -> int: ...

    @property
    def ids(self) -> Sequence[str]:
        """Every recording, in file order."""
        ...

    @property
    def queries(self) -> Sequence[str]:
        """Every stored query's text; empty for trees, which know their queries by qid only."""
        ...

    def __len__(self) -> int: ...

    def __contains__(self, recording_id: object) -> bool: ...

    def __iter__(self) -> Iterator[Recording]:
        """Every recording in file order, read in blocks of bounded size."""
        ...

    def frames(self, recording_id: str) -> FloatFrames:
        """``(n, dim)``."""
        ...

    def num_frames(self, recording_id: str) -> int: ...

    def duration_s(self, recording_id: str) -> float: ...

    def source(self, recording_id: str) -> str:
        """The path of the audio, as it was given to ``extract``; empty where unknown."""
        ...

    def grid(self, recording_id: str) -> FrameGrid:
        """Where the recording's frames lie in time."""
        ...

    def has_text(self, query: str, *, qid: int | str | None = None) -> bool: ...

    def text(self, query: str, *, qid: int | str | None = None) -> StoredText:
        """The vectors of a query, found by its text, or in trees by its qid."""
        ...

    def packed(self, ids: Sequence[str] | None = None) -> PackedFrames:
        """All recordings, or those named, in one array in memory."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> FeatureReader: ...

    def __exit__(self, *exc_info: object) -> None: ...


def open_features(*paths: str | Path) -> FeatureReader:
    """Feature files and ``.npz`` trees behind one interface, whatever their number.

    Args:
        paths: HDF5 feature files, or folders of a Lighthouse or DCASE ``.npz`` tree.

    Raises:
        InputError: there is no such file; a file is not a feature file of this schema; parts were made by
            different encoders, or hold the same recording.
    """
    from amr.formats.features_many import ManyFeatures

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
    from amr.formats.features_read import FeatureFile
    from amr.formats.npz import NpzTree

    if path.is_dir():
        return NpzTree(path)
    if not path.exists():
        part = path.with_name(path.name + PART_SUFFIX)
        hint = f"an interrupted run left {part}: end it with --resume" if part.exists() else HOW_TO_MAKE
        raise InputError("no such feature file", where=path, hint=hint)
    return FeatureFile(path)


def read_packed(reader: FeatureReader, ids: Sequence[str], dtype: npt.DTypeLike) -> PackedFrames:
    """The recordings ``ids``, one by one, in one array: what ``packed`` means, slow and plain."""
    counts = [reader.num_frames(recording_id) for recording_id in ids]
    start = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    frames: StoredFrames = np.empty((int(start[-1]), reader.dimension), dtype=dtype)
    for index, recording_id in enumerate(ids):
        frames[start[index] : start[index + 1]] = reader.frames(recording_id)
    durations_s = np.array([reader.duration_s(recording_id) for recording_id in ids], dtype=np.float64)
    return PackedFrames(ids=list(ids), start=start, frames=frames, duration_s=durations_s)


def unknown_recording(reader: FeatureReader, recording_id: str) -> InputError:
    """The error for an id that a reader does not have; names one that it has."""
    example = f", e.g. {reader.ids[0]!r}" if len(reader) else ""
    return InputError(
        f"no features of recording {recording_id!r}; there are {len(reader)} recordings{example}",
        where=reader.name,
    )


def unknown_query(reader: FeatureReader, query: str) -> InputError:
    """The error for a query that was not stored."""
    return InputError(
        f"no text features of the query {query!r}; {len(reader.queries)} queries are stored",
        where=reader.name,
        hint="amr extract --queries FILE stores them",
    )
