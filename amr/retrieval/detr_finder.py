"""A trained network as a finder: it answers for whole recordings, and for stretches of long ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from amr.formats.queries import Query
from amr.moments import ScoredMoment
from amr.retrieval.detr import Ask, MomentModel
from amr.retrieval.detr_windows import by_score, cut
from amr.retrieval.excerpts import Candidate, Excerpt, united
from amr.retrieval.find import Answer, WindowFinder
from amr.retrieval.library import Recording
from amr.retrieval.sentences import Sentences

FloatArray = npt.NDArray[np.floating]


@dataclass
class DetrFinder:
    """A trained network behind the interface of ``amr.retrieval.find``; batches go across recordings.

    Args:
        model: the network.
        sentences: the queries' token vectors.
        similarity: gives each frame's similarity to each query in the joint space, for networks that take it.
        nms: see :meth:`MomentModel.stream`.
    """

    model: MomentModel
    sentences: Sentences
    similarity: WindowFinder | None = None
    nms: float | None = None
    listens: bool = True

    def find(self, asked: Iterable[tuple[Recording, Sequence[Query]]]) -> Iterator[list[Answer]]:
        """For each recording one answer a query, in order."""
        sizes: deque[int] = deque()

        def asks() -> Iterator[Ask]:
            for recording, queries in asked:
                sizes.append(len(queries))
                yield from self.asks(recording, queries)

        answers: list[Answer] = []
        for answer in self.model.stream(asks(), nms=self.nms):
            answers.append(answer)
            if len(answers) == sizes[0]:
                yield answers
                sizes.popleft()
                answers = []

    def stretches(self, candidates: Sequence[Candidate], num_frames: int) -> list[range]:
        """The recording's windows that hold a candidate, or, of a long one, the surroundings of its peak."""
        window_frames = self.model.config.window_frames
        reach = window_frames // 2
        heard = [
            range(max(each.first, each.peak - reach), min(each.stop, each.peak + reach + 1))
            for each in candidates
        ]
        windows = cut(num_frames, window_frames)
        return united(w for w in windows if any(w.start < h.stop and h.start < w.stop for h in heard))

    def find_excerpts(self, excerpts: Iterable[Excerpt], query: Query) -> Iterator[Answer]:
        """For each excerpt one answer, in order; batches go across recordings."""
        sizes: deque[int] = deque()

        def asks() -> Iterator[Ask]:
            for excerpt in excerpts:
                sizes.append(len(excerpt.stretches))
                yield from self.excerpt_asks(excerpt, query)

        moments: list[list[ScoredMoment]] = []
        for answer in self.model.stream(asks(), nms=self.nms):
            moments.append(answer.moments)
            if len(moments) == sizes[0]:
                yield Answer(by_score([moment for each in moments for moment in each]))
                sizes.popleft()
                moments = []

    def excerpt_asks(self, excerpt: Excerpt, query: Query) -> list[Ask]:
        """The query, asked of each stretch of a recording."""
        [tokens] = self.sentences.tokens([query])
        grid, duration_s, curve = excerpt.grid, excerpt.duration_s, None
        if self.model.config.similarity_channels and self.similarity is not None:
            curve = self.similarity.sharpened(excerpt, query.text)
        return [
            Ask(excerpt.vid, each.frames, grid, duration_s, tokens, curve, each.first)
            for each in excerpt.stretches
        ]

    def asks(self, recording: Recording, queries: Sequence[Query]) -> list[Ask]:
        """The queries, asked of one recording."""
        curves: list[FloatArray | None] = [None] * len(queries)
        if self.model.config.similarity_channels and self.similarity is not None:
            curves = list(self.similarity.similarity(recording, [query.text for query in queries]).T)
        return [
            Ask(recording.vid, recording.frames, recording.grid, recording.duration_s, tokens, curve)
            for tokens, curve in zip(self.sentences.tokens(queries), curves, strict=True)
        ]
