"""What an archive knows of every recording before any is searched: its level, and what its score is likely
to be.

An index knows a level but for its rounding. How far that goes is measured on some recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float32Array, Float64Array, IntpArray
from amr.formats.queries import Query
from amr.processors import free_processors, ordered_map
from amr.retrieval.archive.bounds import ScoreBound
from amr.retrieval.archive.curves import rows_of
from amr.retrieval.archive.ranking import JOINT_LEFT_OUT, ArchivePart
from amr.retrieval.archive.search import FeatureArchive, best_of
from amr.retrieval.archive.spaces import Vector

SAMPLE = 32
"""Recordings of a file on which its index's rounding is measured."""
DEVIATIONS = 4.0
"""Standard deviations of the rounding that a level may be off."""
LEAST_ROOM = 1e-4
"""In level, for the rounding of numbers themselves."""
LOOKED_AT = 2048
"""Recordings of a file, the highest by level, whose scores are guessed."""


@dataclass(frozen=True)
class Compared:
    """A recording as it is compared with queries, without an index.

    Args:
        joint: ``(frames, dimensions)``, in the encoder's joint space.
        directions: ``(frames, axes)``, in the network's own.
    """

    joint: Float32Array
    directions: Float32Array

    def level(self, bound: ScoreBound, vector: Vector, meaning: Vector) -> float:
        """Of a query: its vector of the joint space and of the network's."""
        whole = np.array([0, len(self.joint)])
        return float(bound.levels(self.joint @ vector, self.directions @ meaning, whole)[0])


def compared(archive: FeatureArchive, part: ArchivePart, number: int) -> Compared:
    """A recording of an archive that has the model's own space, read from its file."""
    assert archive.model_space is not None
    frames = part.features.part(number, 0, part.lengths[number]).astype(np.float32)
    return Compared(archive.window.encoder.joint_audio(frames), archive.model_space.values(frames))


@dataclass(frozen=True)
class Sample:
    """Recordings of one file, ``(sample,)`` each; they are the same for every query."""

    numbers: Sequence[int]
    recordings: Sequence[Compared]


def samples_of(archive: FeatureArchive) -> list[Sample]:
    """Of each file; empty where it has no index, and its levels are exact."""
    return [sample_of(archive, part) for part in archive.parts]


def sample_of(archive: FeatureArchive, part: ArchivePart) -> Sample:
    """Some of a file's recordings that have frames, the same each time."""
    if part.index is None and part.model_index is None:
        return Sample([], [])
    filled = np.flatnonzero(part.lengths > 0)
    numbers = np.sort(filled[np.random.default_rng(0).permutation(len(filled))[:SAMPLE]]).tolist()
    read = ordered_map(lambda number: compared(archive, part, number), numbers, free_processors())
    return Sample(numbers, list(read))


@dataclass(frozen=True)
class Levels:
    """All recordings of an archive, ``(recordings,)`` each.

    Args:
        part: the number of its file.
        number: its own number in that file.
        level: the highest of any of its windows.
        likely: a guess at its best score; minus infinity for those of low levels.
        sampled: how far off the level of some recordings is, ``(sample,)``; empty without an index.
    """

    part: IntpArray
    number: IntpArray
    level: Vector
    likely: Float64Array
    sampled: Float64Array

    @property
    def room(self) -> float:
        """How far a level may be off."""
        if len(self.sampled) == 0:
            return LEAST_ROOM
        return LEAST_ROOM + max(0.0, float(self.sampled.mean())) + DEVIATIONS * float(self.sampled.std())

    def order(self, first: int) -> IntpArray:
        """All recordings: the ``first`` by their likely scores, then the others by falling level."""
        head = best_of(self.likely, first)
        head = head[np.argsort(-self.likely[head], kind="stable")]
        rest = np.argsort(-self.level, kind="stable")
        order: IntpArray = np.concatenate((head, rest[~np.isin(rest, head)]))
        return order


def levels_of(
    archive: FeatureArchive, bound: ScoreBound, query: Query, samples: Sequence[Sample] | None = None
) -> Levels:
    """The levels of a query in all recordings.

    Args:
        archive: with the model's own space.
        bound: of the model's scores.
        query: its text.
        samples: of :func:`samples_of`, for whoever asks more than one query.
    """
    space, meaning = archive.model_space, archive.direction(query)
    assert space is not None  # as whoever has a bound has
    assert meaning is not None
    encoder, [vector] = archive.window.encoder, archive.window.joint_text([query.text])
    level, likely, sampled = [], [], []
    for part, sample in zip(archive.parts, samples or samples_of(archive), strict=True):
        similarity, cosine = part.similarity(encoder, vector, JOINT_LEFT_OUT), part.cosine(space, meaning)
        start = part.features.start
        level.append(bound.levels(similarity, cosine, start))
        chosen = np.sort(best_of(level[-1], LOOKED_AT))
        rows, inner = rows_of(chosen, start)
        likely.append(np.full(len(level[-1]), -np.inf))
        likely[-1][chosen] = bound.likely(similarity[rows], cosine[rows], inner, level[-1][chosen])
        for number, each in zip(sample.numbers, sample.recordings, strict=True):
            sampled.append(each.level(bound, vector, meaning) - float(level[-1][number]))
    return Levels(
        part=np.repeat(np.arange(len(level)), [len(each) for each in level]),
        number=np.concatenate([np.arange(len(each)) for each in level]),
        level=np.concatenate(level),
        likely=np.concatenate(likely),
        sampled=np.array(sampled, dtype=np.float64),
    )
