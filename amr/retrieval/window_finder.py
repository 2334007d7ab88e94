"""The sliding-window baseline (``amr.retrieval.window``) as a finder: similarity in the joint space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from amr.arrays import Float32Array, FloatingArray
from amr.encoders.base import Encoder
from amr.formats.queries import Query
from amr.retrieval import window
from amr.retrieval.excerpts import Candidate, Excerpt, united
from amr.retrieval.finders import Answer
from amr.retrieval.recordings import RecordingFrames
from amr.retrieval.sentences import EncodedSentences

BLOCK_FRAMES = 8192
"""Frames that are taken into the joint space at once: bounds the memory for recordings of any length."""

WHOLE_FRAMES = 256
"""Recordings of up to so many frames are read whole; of longer ones the moments, with context."""
CONTEXT_FRAMES = 16
"""Frames that are read on either side of a moment's ends and of its peak."""


@dataclass
class WindowFinder:
    """Cuts each recording's curve of similarity; each distinct query is encoded once.

    Args:
        encoder: gives the joint space.
        options: how a curve is cut.
        vectors: queries in the joint space, by text. Those that are not, or not only, words are put here
            (``amr.retrieval.like``).
        meanings: the same in a trained network's own space, ``(axes,)`` each (``amr.retrieval.learned``).
    """

    encoder: Encoder
    options: window.WindowOptions
    needs_frames: bool = True
    vectors: dict[str, Float32Array] = field(default_factory=dict)
    meanings: dict[str, Float32Array] = field(default_factory=dict)
    sentences: EncodedSentences = field(init=False)

    def __post_init__(self) -> None:
        self.sentences = EncodedSentences(self.encoder)

    def find(self, requests: Iterable[tuple[RecordingFrames, Sequence[Query]]]) -> Iterator[list[Answer]]:
        for recording, queries in requests:
            curves = self.similarity(recording, [query.text for query in queries])
            yield [self.answer(curve, recording) for curve in curves.T]

    def answer(self, curve: Float32Array, recording: RecordingFrames) -> Answer:
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
        """Moments of the whole curve of each recording, exact wherever frames were read."""
        for excerpt in excerpts:
            curve = self.sharpened(excerpt, query.text)
            yield Answer(window.find_moments(curve, excerpt.grid, excerpt.duration_s, self.options))

    def sharpened(self, excerpt: Excerpt, query: str) -> Float32Array:
        """The curve of an excerpt's whole recording, exact wherever frames were read."""
        curve: Float32Array = excerpt.curve.copy()
        exact = self.curves(np.concatenate([each.frames for each in excerpt.stretches]), [query])[:, 0]
        done = 0
        for stretch in excerpt.stretches:
            curve[stretch.first : stretch.stop] = exact[done : done + len(stretch.frames)]
            done += len(stretch.frames)
        return curve

    def similarity(self, recording: RecordingFrames, queries: Sequence[str]) -> Float32Array:
        """Inner products in the joint space, ``(frames, queries)``."""
        return self.curves(recording.frames, queries)

    def curves(self, frames: Float32Array, queries: Sequence[str]) -> Float32Array:
        """``(frames, queries)`` similarities of frames ``(frames, dimension)``."""
        vectors = self.joint_text(queries)
        curves = np.empty((len(frames), len(queries)), dtype=np.float32)
        for start, joint in self._blocks(frames):
            curves[start : start + len(joint)] = joint @ vectors.T
        return curves

    def heights(self, curve: FloatingArray, hop_s: float) -> FloatingArray:
        """How high each frame of a curve ``(frames,)`` lies, on the scale of the logits of scores."""
        return window.heights(curve, hop_s, self.options)

    def joint(self, frames: Float32Array) -> Float32Array:
        """Frames ``(frames, dimension)`` in the joint space, ``(frames, joint_dimension)``."""
        out = np.empty((len(frames), self.encoder.identity.joint_dimension), dtype=np.float32)
        for start, joint in self._blocks(frames):
            out[start : start + len(joint)] = joint
        return out

    def _blocks(self, frames: Float32Array) -> Iterator[tuple[int, Float32Array]]:
        """A block of frames in the joint space after the other, each with its first frame's number."""
        for start in range(0, len(frames), BLOCK_FRAMES):
            yield start, self.encoder.joint_audio(frames[start : start + BLOCK_FRAMES])

    def joint_text(self, queries: Sequence[str]) -> Float32Array:
        """The queries in the joint space, ``(queries, joint_dimension)``; each distinct one is taken there
        once."""
        new = [text for text in dict.fromkeys(queries) if text not in self.vectors]
        if new:
            joint = self.encoder.joint_text(self.sentences.pooled(new))
            self.vectors.update(zip(new, joint, strict=True))
        vectors: Float32Array = np.stack([self.vectors[text] for text in queries])
        return vectors
