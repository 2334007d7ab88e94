"""Features of recordings and queries, wherever they are stored: one interface over files and trees.

The HDF5 layout is described in ``docs/features.md``; why it is written as it is, in
``docs/decisions/0003-feature-file.md``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from amr.arrays import Float32Array, Float64Array, FloatingArray, Int64Array
from amr.audio.names import Spellings
from amr.errors import InputError
from amr.moments import FrameGrid

if TYPE_CHECKING:
    from typing import Self

FORMAT = "features"
SCHEMA = 1
PART_SUFFIX = ".part"
"""What stands behind a feature file's name until it is complete."""

HOW_TO_MAKE = "amr extract AUDIO -o FILE makes one"

StoredFrames = FloatingArray
"""Frames as they lie on disk: float16 or float32."""


class TextVectors(Protocol):
    """A query, encoded; ``amr.encoders.base.TextFeatures`` is one."""

    @property
    def tokens(self) -> Float32Array: ...

    @property
    def pooled(self) -> Float32Array: ...


@dataclass(frozen=True)
class StoredText:
    """A query as a feature file has it.

    Args:
        tokens: ``(tokens, text_dim)``, one vector a token.
        pooled: ``(text_dim,)``, the sentence.
    """

    tokens: Float32Array
    pooled: Float32Array


class StoredRecording(NamedTuple):
    """One recording's features, ``frames (n, dim)``."""

    id: str
    frames: Float32Array
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
    start: Int64Array
    frames: StoredFrames
    duration_s: Float64Array


class FeatureReader(ABC):
    """Features of many recordings, looked up by id; what :func:`amr.open_features` returns.

    ``with amr.open_features("feats.h5") as features: features.frames(features.ids[0])`` is an array
    ``(frames, dimension)``. Iterating gives every :class:`StoredRecording` in file order, in bounded memory;
    ``len`` and ``in`` are about recordings. An id or a query that is not there raises ``InputError``.

    Attributes:
        name: what was opened, for messages.
        identity_json: the encoder that made the features, as JSON; None where the files do not say.
            ``amr.encoders.stored`` compares it with an encoder at hand.
        window_s: seconds of sound that a frame sees.
        hop_s: seconds from one frame to the next.
        dimension: numbers a frame.
        ids: every recording, in file order.
        queries: every stored query's text; empty for trees, which know their queries by qid only.
    """

    name: str
    identity_json: str | None
    window_s: float
    hop_s: float

    @property
    @abstractmethod
    def dimension(self) -> int: ...

    @cached_property
    def ids(self) -> Sequence[str]:
        return list(self._by_id)

    @cached_property
    def queries(self) -> Sequence[str]:
        return []

    @property
    @abstractmethod
    def _by_id(self) -> Mapping[str, Any]:
        """What :meth:`_find` gives for each recording."""

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, recording_id: object) -> bool:
        return isinstance(recording_id, str) and self.spelt(recording_id) in self._by_id

    @cached_property
    def _spellings(self) -> Spellings:
        return Spellings(self._by_id)

    def spelt(self, recording_id: str) -> str:
        """An id as it is stored, where it differs in Unicode's composition only; else as it came."""
        return self._spellings.of(recording_id)

    def _find(self, recording_id: str) -> Any:
        """The recording's place; an error that names one that is there."""
        try:
            return self._by_id[self.spelt(recording_id)]
        except KeyError:
            example = f", e.g. {self.ids[0]!r}" if len(self) else ""
            raise InputError(
                f"no features of recording {recording_id!r}; there are {len(self)} recordings{example}",
                where=self.name,
            ) from None

    @abstractmethod
    def __iter__(self) -> Iterator[StoredRecording]:
        """Every recording in file order, read in blocks of bounded size."""

    @abstractmethod
    def frames(self, recording_id: str) -> Float32Array:
        """``(frames, dimension)`` of one recording."""

    @abstractmethod
    def num_frames(self, recording_id: str) -> int: ...

    @abstractmethod
    def duration_s(self, recording_id: str) -> float:
        """The recording's length in seconds."""

    @abstractmethod
    def source(self, recording_id: str) -> str:
        """The path of the audio, as it was given to ``extract``; empty where unknown."""

    def audio_path(self, recording_id: str) -> str:
        """The path of the audio as seen from here, see :mod:`amr.formats.features.origin`; empty where
        unknown."""
        return self.source(recording_id)

    def grid(self, recording_id: str) -> FrameGrid:
        """Where the recording's frames lie in time."""
        return FrameGrid(self.window_s, self.hop_s, self.num_frames(recording_id))

    @abstractmethod
    def has_text(self, query: str, *, qid: int | str | None = None) -> bool: ...

    @abstractmethod
    def text(self, query: str, *, qid: int | str | None = None) -> StoredText:
        """The vectors of a query, found by its text, or in trees by its qid."""

    @abstractmethod
    def packed(self, ids: Sequence[str] | None = None) -> PackedFrames:
        """All recordings, or those named, in one array in memory."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def read_packed(reader: FeatureReader, ids: Sequence[str], dtype: npt.DTypeLike) -> PackedFrames:
    """The recordings ``ids``, one by one, in one array: what ``packed`` means, slow and plain."""
    counts = [reader.num_frames(recording_id) for recording_id in ids]
    start = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    frames: StoredFrames = np.empty((int(start[-1]), reader.dimension), dtype=dtype)
    for index, recording_id in enumerate(ids):
        frames[start[index] : start[index + 1]] = reader.frames(recording_id)
    durations_s = np.array([reader.duration_s(recording_id) for recording_id in ids], dtype=np.float64)
    return PackedFrames(ids=list(ids), start=start, frames=frames, duration_s=durations_s)


def unknown_query(reader: FeatureReader, query: str) -> InputError:
    """The error for a query that was not stored."""
    return InputError(
        f"no text features of the query {query!r}; {len(reader.queries)} queries are stored",
        where=reader.name,
        hint="amr extract --queries FILE stores them",
    )
