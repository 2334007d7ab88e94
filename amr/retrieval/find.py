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
from amr.retrieval.excerpts import Candidate, Excerpt, united
from amr.retrieval.library import Recording
from amr.retrieval.sentences import EncodedSentences

BLOCK_FRAMES = 8192
"""Frames that are taken into the joint space at once: bounds the memory for recordings of any length."""

WHOLE_FRAMES = 256
"""Recordings of up to so many frames are heard whole; of longer ones the moments, with context."""
CONTEXT_FRAMES = 16
"""Frames that are heard on either side of a moment's ends and of its peak."""


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
    """The sliding-window baseline (``amr.retrieval.window``); each distinct query is encoded once.

    Args:
        encoder: gives the joint space.
        options: how a curve is cut.
        vectors: queries in the joint space, by text. Those that are not, or not only, words are put here
            (``amr.retrieval.like``).
    """

    encoder: Encoder
    options: window.WindowOptions
    listens: bool = True
    vectors: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
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

    def stretches(self, candidates: Sequence[Candidate], num_frames: int) -> list[range]:
        """A short recording whole; of a longer one the surroundings of each moment's ends and peak."""
        if num_frames <= WHOLE_FRAMES:
            return [range(num_frames)]
        places = [place for each in candidates for place in (each.first, each.peak, each.stop)]
        return united(
            range(max(0, place - CONTEXT_FRAMES), min(num_frames, place + CONTEXT_FRAMES + 1))
            for place in places
        )

    def find_excerpts(self, excerpts: Iterable[Excerpt], query: Query) -> Iterator[Answer]:
        """Moments of the whole curve of each recording, exact wherever frames were heard."""
        for excerpt in excerpts:
            curve = self.sharpened(excerpt, query.text)
            yield Answer(window.find_moments(curve, excerpt.grid, excerpt.duration_s, self.options))

    def sharpened(self, excerpt: Excerpt, query: str) -> npt.NDArray[np.float32]:
        """The curve of an excerpt's whole recording, exact wherever frames were heard."""
        curve: npt.NDArray[np.float32] = excerpt.curve.copy()
        exact = self.curves(np.concatenate([each.frames for each in excerpt.stretches]), [query])[:, 0]
        done = 0
        for stretch in excerpt.stretches:
            curve[stretch.first : stretch.stop] = exact[done : done + len(stretch.frames)]
            done += len(stretch.frames)
        return curve

    def similarity(self, recording: Recording, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Inner products in the joint space, ``(frames, queries)``."""
        return self.curves(recording.frames, queries)

    def curves(self, frames: npt.NDArray[np.float32], queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """``(frames, queries)`` similarities of frames ``(frames, dimension)``."""
        vectors = self.joint_text(queries)
        curves = np.empty((len(frames), len(queries)), dtype=np.float32)
        for start in range(0, len(frames), BLOCK_FRAMES):
            block = frames[start : start + BLOCK_FRAMES]
            curves[start : start + BLOCK_FRAMES] = self.encoder.joint_audio(block) @ vectors.T
        return curves

    def joint_text(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """The queries in the joint space, ``(queries, joint_dimension)``; each distinct one is taken there
        once."""
        new = [text for text in dict.fromkeys(queries) if text not in self.vectors]
        if new:
            pooled = np.stack([features.pooled for features in self.sentences.features(new)])
            self.vectors.update(zip(new, self.encoder.joint_text(pooled), strict=True))
        vectors: npt.NDArray[np.float32] = np.stack([self.vectors[text] for text in queries])
        return vectors
