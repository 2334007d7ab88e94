"""Parts of recordings that are heard instead of the whole: where to listen, and what is read there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from amr.formats.queries import Query
from amr.moments import FrameGrid

if TYPE_CHECKING:
    from amr.retrieval.find import Answer

Curve = npt.NDArray[np.float32]


class Candidate(NamedTuple):
    """Where one recording may hold what is asked for: frames ``first..stop - 1``, most likely at ``peak``."""

    first: int
    stop: int
    peak: int
    score: float


@dataclass(frozen=True)
class Stretch:
    """Frames ``(count, dimension)`` of a recording from frame ``first`` on."""

    first: int
    frames: npt.NDArray[np.float32]

    @property
    def stop(self) -> int:
        return self.first + len(self.frames)


@dataclass(frozen=True)
class Excerpt:
    """What is heard of one recording.

    Args:
        vid: the recording's id.
        grid: where all of its frames lie in time.
        duration_s: its length.
        stretches: the frames that were read, in order, apart from each other.
        curve: ``(grid.num_frames,)`` similarity of every frame to the query, as the shortlist knows it: exact
            or nearly so.
    """

    vid: str
    grid: FrameGrid
    duration_s: float
    stretches: list[Stretch]
    curve: Curve


@runtime_checkable
class ExcerptFinder(Protocol):
    """A finder that can answer from excerpts."""

    def stretches(self, candidates: Sequence[Candidate], num_frames: int) -> list[range]:
        """The frames it wants to hear around the candidates of a recording of ``num_frames``."""
        ...

    def find_excerpts(self, excerpts: Iterable[Excerpt], query: Query) -> Iterator[Answer]:
        """One answer an excerpt, in order."""
        ...


def united(ranges: Iterable[range]) -> list[range]:
    """The same frames in rising order, ranges that touch made one."""
    result: list[range] = []
    for each in sorted(ranges, key=lambda each: each.start):
        if result and each.start <= result[-1].stop:
            result[-1] = range(result[-1].start, max(result[-1].stop, each.stop))
        elif len(each):
            result.append(each)
    return result
