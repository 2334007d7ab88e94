"""Ways of finding moments, behind one interface: similarity in the joint space, or not listening at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from amr.encoders.base import Encoder
from amr.formats.queries import Query
from amr.moments import ScoredMoment
from amr.retrieval import window
from amr.retrieval.library import Recording
from amr.retrieval.sentences import EncodedSentences

BLOCK_FRAMES = 8192
"""Frames that are taken into the joint space at once: bounds the memory for recordings of any length."""


@dataclass(frozen=True)
class Answer:
    """What was found for one query in one recording.

    Args:
        moments: best first, scores in [0, 1].
        saliency: ``(frames,)`` in [0, 1]; None where the method has no notion of frames.
    """

    moments: list[ScoredMoment]
    saliency: npt.NDArray[np.float32] | None = None


class Finder(Protocol):
    """Anything that answers queries on a recording."""

    @property
    def listens(self) -> bool:
        """Whether it needs frames; otherwise a recording's length is enough."""
        ...

    def find(self, asked: Iterable[tuple[Recording, Sequence[Query]]]) -> Iterator[list[Answer]]:
        """For each recording one answer a query, in order; recordings are taken as they are needed."""
        ...


@dataclass(frozen=True)
class PriorFinder:
    """Answers from the recording's length alone (``amr.retrieval.prior``)."""

    prior: Callable[[float], list[ScoredMoment]]
    listens: bool = False

    def find(self, asked: Iterable[tuple[Recording, Sequence[Query]]]) -> Iterator[list[Answer]]:
        for recording, queries in asked:
            yield [Answer(self.prior(recording.duration_s)) for _ in queries]


@dataclass
class WindowFinder:
    """The sliding-window baseline (``amr.retrieval.window``); each distinct query is encoded once."""

    encoder: Encoder
    options: window.WindowOptions
    listens: bool = True
    sentences: EncodedSentences = field(init=False)

    def __post_init__(self) -> None:
        self.sentences = EncodedSentences(self.encoder)

    def find(self, asked: Iterable[tuple[Recording, Sequence[Query]]]) -> Iterator[list[Answer]]:
        for recording, queries in asked:
            curves = self.similarity(recording, [query.text for query in queries])
            yield [self.answer(curve, recording) for curve in curves.T]

    def answer(self, curve: npt.NDArray[np.float32], recording: Recording) -> Answer:
        """The moments of one similarity curve ``(frames,)``."""
        moments = window.find_moments(curve, recording.grid, recording.duration_s, self.options)
        return Answer(moments, window.saliency(curve, self.options))

    def similarity(self, recording: Recording, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Inner products in the joint space, ``(frames, queries)``."""
        text = self.joint_text(queries)
        curves = np.empty((len(recording.frames), len(queries)), dtype=np.float32)
        for start in range(0, len(recording.frames), BLOCK_FRAMES):
            block = recording.frames[start : start + BLOCK_FRAMES]
            curves[start : start + BLOCK_FRAMES] = self.encoder.joint_audio(block) @ text.T
        return curves

    def joint_text(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """The queries in the joint space, ``(queries, joint_dimension)``."""
        pooled = np.stack([features.pooled for features in self.sentences.features(queries)])
        return self.encoder.joint_text(pooled)
