"""A trained network as a finder: it answers for whole recordings, and for stretches of long ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float32Array, FloatingArray
from amr.formats.queries import Query
from amr.retrieval.excerpts import Candidate, Excerpt, united
from amr.retrieval.finders import Answer
from amr.retrieval.recordings import RecordingFrames
from amr.retrieval.sentences import Sentences
from amr.retrieval.trained.model import MomentModel
from amr.retrieval.trained.requests import ModelRequest
from amr.retrieval.trained.windows import by_score, cut
from amr.retrieval.window_finder import WindowFinder


@dataclass
class TrainedFinder:
    """A trained network behind the interface of ``amr.retrieval.finders``; batches go across recordings.

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
    needs_frames: bool = True

    def find(self, requests: Iterable[tuple[RecordingFrames, Sequence[Query]]]) -> Iterator[list[Answer]]:
        """For each recording one answer a query, in order."""
        return self._answered(self._requests(recording, queries) for recording, queries in requests)

    def find_excerpts(self, excerpts: Iterable[Excerpt], query: Query) -> Iterator[Answer]:
        """For each excerpt one answer, in order."""
        for answers in self._answered(self._excerpt_requests(excerpt, query) for excerpt in excerpts):
            yield Answer(by_score([moment for answer in answers for moment in answer.moments]))

    def stretches(self, candidates: Sequence[Candidate], num_frames: int) -> list[range]:
        """The recording's windows that hold a candidate, or, of a long one, the surroundings of its peak."""
        window_frames = self.model.config.window_frames
        reach = window_frames // 2
        around = [
            range(max(each.first, each.peak - reach), min(each.stop, each.peak + reach + 1))
            for each in candidates
        ]
        windows = cut(num_frames, window_frames)
        return united(w for w in windows if any(w.start < h.stop and h.start < w.stop for h in around))

    def _answered(self, groups: Iterable[list[ModelRequest]]) -> Iterator[list[Answer]]:
        """The answers of each group of requests; batches of the network go across groups."""
        sizes: deque[int] = deque()

        def requests() -> Iterator[ModelRequest]:
            for group in groups:
                sizes.append(len(group))
                yield from group

        answers: list[Answer] = []
        for answer in self.model.stream(requests(), nms=self.nms):
            answers.append(answer)
            if len(answers) == sizes[0]:
                yield answers
                sizes.popleft()
                answers = []

    def _excerpt_requests(self, excerpt: Excerpt, query: Query) -> list[ModelRequest]:
        """The query for each stretch of a recording."""
        [(tokens, meaning)] = self._texts([query])
        grid, duration_s, curve = excerpt.grid, excerpt.duration_s, None
        if self.model.config.similarity_channels and self.similarity is not None:
            curve = self.similarity.sharpened(excerpt, query.text)
        heights = self._heights(curve, grid.hop_s)
        return [
            ModelRequest(
                excerpt.vid,
                each.frames,
                grid,
                duration_s,
                tokens,
                curve,
                each.first,
                meaning,
                self._joint(each.frames),
                heights,
            )
            for each in excerpt.stretches
        ]

    def _requests(self, recording: RecordingFrames, queries: Sequence[Query]) -> list[ModelRequest]:
        """The queries for one recording."""
        curves: list[FloatingArray | None] = [None] * len(queries)
        joint = self._joint(recording.frames)
        if self.model.config.similarity_channels and self.similarity is not None:
            texts = [query.text for query in queries]
            curves = list(
                self.similarity.similarity(recording, texts).T
                if joint is None
                else (joint @ self.similarity.joint_text(texts).T).T
            )
        vid, frames, grid, length_s = recording.vid, recording.frames, recording.grid, recording.duration_s
        return [
            ModelRequest(
                vid,
                frames,
                grid,
                length_s,
                tokens,
                curve,
                meaning=meaning,
                joint=joint,
                heights=self._heights(curve, grid.hop_s),
            )
            for (tokens, meaning), curve in zip(self._texts(queries), curves, strict=True)
        ]

    def _joint(self, frames: FloatingArray) -> Float32Array | None:
        """The frames in the joint space, for networks that are given nothing else."""
        if self.model.config.audio or self.similarity is None:
            return None
        return self.similarity.joint(frames)

    def _heights(self, curve: FloatingArray | None, hop_s: float) -> FloatingArray | None:
        """The curve on the scale of the window's scores, for networks that see its shapes alone."""
        if self.model.config.audio or self.similarity is None or curve is None or not len(curve):
            return None
        return self.similarity.heights(curve, hop_s)

    def _texts(self, queries: Sequence[Query]) -> list[tuple[FloatingArray, FloatingArray | None]]:
        """Tokens of each query, or, where it was learned from examples, what it sounds like, and a blank."""
        blank = np.zeros((1, self.model.config.text_dim), dtype=np.float32)
        if not self.model.config.audio:
            return [(blank, None)] * len(queries)
        learned = {} if self.similarity is None else self.similarity.meanings
        words = [query for query in queries if query.text not in learned]
        tokens = iter(self.sentences.tokens(words) if words else [])
        return [
            (blank, learned[query.text]) if query.text in learned else (next(tokens), None)
            for query in queries
        ]
