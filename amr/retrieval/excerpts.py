"""Parts of recordings that are read instead of the whole: where, and what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from amr.arrays import Float32Array
from amr.moments import FrameGrid


class Candidate(NamedTuple):
    """Where a recording may hold what a query means: frames ``first..stop - 1``, most likely at ``peak``."""

    first: int
    stop: int
    peak: int
    score: float


@dataclass(frozen=True)
class Stretch:
    """Frames ``(count, dimension)`` of a recording from frame ``first`` on."""

    first: int
    frames: Float32Array

    @property
    def stop(self) -> int:
        return self.first + len(self.frames)


@dataclass(frozen=True)
class Excerpt:
    """What is read of one recording.

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
    curve: Float32Array


def united(ranges: Iterable[range]) -> list[range]:
    """The same frames in rising order, ranges that touch made one."""
    result: list[range] = []
    for each in sorted(ranges, key=lambda each: each.start):
        if result and each.start <= result[-1].stop:
            result[-1] = range(result[-1].start, max(result[-1].stop, each.stop))
        elif len(each):
            result.append(each)
    return result
