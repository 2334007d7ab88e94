"""What finds moments, as everything else sees it: recordings and queries in, answers out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from amr.arrays import Float32Array
from amr.formats.queries import Query
from amr.moments import Moment
from amr.retrieval.excerpts import Candidate, Excerpt
from amr.retrieval.recordings import RecordingFrames


@dataclass(frozen=True)
class Answer:
    """What was found for one query in one recording.

    Args:
        moments: best first, scores in [0, 1].
        saliency: ``(frames,)`` in [0, 1]; None where the method has no notion of frames.
    """

    moments: list[Moment]
    saliency: Float32Array | None = None


class Finder(Protocol):
    """Anything that answers queries on a recording."""

    @property
    def needs_frames(self) -> bool:
        """Whether it needs frames; otherwise a recording's length is enough."""
        ...

    def find(self, requests: Iterable[tuple[RecordingFrames, Sequence[Query]]]) -> Iterator[list[Answer]]:
        """For each recording one answer a query, in order; recordings are taken as they are needed."""
        ...


@runtime_checkable
class ExcerptFinder(Protocol):
    """A finder that can answer from excerpts."""

    def stretches(self, candidates: Sequence[Candidate], num_frames: int) -> list[range]:
        """The frames it wants around the candidates of a recording of ``num_frames``."""
        ...

    def find_excerpts(self, excerpts: Iterable[Excerpt], query: Query) -> Iterator[Answer]:
        """One answer an excerpt, in order."""
        ...
