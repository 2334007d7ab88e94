"""Queries against archives: a shortlist by similarity over all frames, then a finder on what is on it.

The shortlist holds the N best moments of the sliding window (``amr.retrieval.window``) over the joint-space
similarity of every frame, read from an index where there is one (``amr.retrieval.index``) and computed from
the frames where there is none. A moment of the window scores at most what the smoothed curve of its recording
reaches, so that the N best moments lie in the N recordings whose smoothed curves reach highest; only those
are looked at closer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from amr.encoders.base import Encoder
from amr.formats.features_rows import FeatureRows
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.moments import FrameGrid
from amr.processors import free_processors
from amr.retrieval import window
from amr.retrieval.excerpts import Candidate, Excerpt, ExcerptFinder, Stretch
from amr.retrieval.find import WindowFinder
from amr.retrieval.index import JointIndex
from amr.retrieval.search import AnswerOptions, identified, prediction

BLOCK_ROWS = 8192
# Moments on the shortlist, at least, and for each that is wanted. docs/archive.md: how often that is enough.
SHORTLIST = 100
SHORTLIST_TIMES = 5

Vector = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ArchivePart:
    """One feature file of an archive, and its index where it has one."""

    features: FeatureRows
    index: JointIndex | None

    def similarity(self, encoder: Encoder, vector: Vector) -> Vector:
        """``(frames,)``: every frame of the file against a query of the joint space."""
        if self.index is not None:
            return self.index.similarity(vector)
        return similarity_of_rows(self.features, encoder, vector)


def similarity_of_rows(features: FeatureRows, encoder: Encoder, vector: Vector) -> Vector:
    """``(frames,)``, exact, straight from the stored frames, a block at a time."""
    out = np.empty(features.total_frames, dtype=np.float32)

    def block(first: int) -> None:
        rows = features.rows(first, min(first + BLOCK_ROWS, len(out))).astype(np.float32)
        out[first : first + len(rows)] = encoder.joint_audio(rows) @ vector

    with ThreadPoolExecutor(free_processors()) as pool:
        list(pool.map(block, range(0, len(out), BLOCK_ROWS)))
    return out


@dataclass(frozen=True)
class Listed:
    """One recording on a shortlist.

    Args:
        part: the number of its file.
        number: its own number in that file.
        curve: ``(frames,)``, its similarity to the query.
        candidates: its moments on the shortlist, best first.
    """

    part: int
    number: int
    curve: Vector
    candidates: list[Candidate]


@dataclass(frozen=True)
class Archive:
    """Feature files that are searched together.

    Args:
        parts: the files, with no recording in two of them.
        window: makes the shortlist.
        finder: answers for what is on it.
    """

    parts: Sequence[ArchivePart]
    window: WindowFinder
    finder: ExcerptFinder

    @property
    def num_recordings(self) -> int:
        return sum(len(part.features) for part in self.parts)

    def search(
        self, queries: Sequence[Query], options: AnswerOptions, *, shortlist: int, recordings: bool = False
    ) -> Iterator[list[Prediction]]:
        """For each query the predictions for every recording on its shortlist.

        Args:
            queries: asked of all recordings; they name none.
            options: which moments of an answer are kept.
            shortlist: how many moments the shortlist holds.
            recordings: the shortlist holds that many recordings instead, each with its moments.
        """
        several = self.num_recordings > 1
        vectors = self.window.joint_text([query.text for query in queries])
        for number, (query, vector) in enumerate(zip(queries, vectors, strict=True), start=1):
            listed = self.shortlist(vector, shortlist, options.top_k, recordings=recordings)
            excerpts = [self.excerpt(each) for each in listed]
            answers = self.finder.find_excerpts(excerpts, query)
            yield [
                prediction(identified(query, each.vid, number, several), answer, each.duration_s, options)
                for each, answer in zip(excerpts, answers, strict=True)
            ]

    def shortlist(self, vector: Vector, count: int, top_k: int, *, recordings: bool) -> list[Listed]:
        """The recordings with the ``count`` best moments, in the order of the files.

        Args:
            vector: the query in the joint space.
            count: moments, or, with ``recordings``, recordings.
            top_k: moments of one recording, at most.
        """
        encoder, options = self.window.encoder, self.window.options
        near = []
        for number, part in enumerate(self.parts):
            features, curve = part.features, part.similarity(encoder, vector)
            half_foot = options.smooth_s / features.hop_s
            highest = recording_maxima(smoothed_apart(curve, features.start, half_foot), features.start)
            for recording in best_of(highest, count):
                rows = slice(*features.start[recording : recording + 2])
                near.append((float(highest[recording]), number, int(recording), curve[rows].copy()))
        near.sort(key=lambda each: -each[0])
        found = [
            Listed(part, recording, curve, self.candidates(part, curve, top_k))
            for _, part, recording, curve in near[:count]
        ]
        listed = found if recordings else best_moments(found, count)
        return sorted(listed, key=lambda each: (each.part, each.number))

    def candidates(self, part: int, curve: Vector, top_k: int) -> list[Candidate]:
        """The best ``top_k`` moments of one recording's curve."""
        runs, scores, smooth = window.find_runs(curve, self.parts[part].features.hop_s, self.window.options)
        return [
            Candidate(int(first), int(stop), int(first + np.argmax(smooth[first:stop])), float(score))
            for (first, stop), score in zip(runs[:top_k], scores[:top_k], strict=True)
        ]

    def excerpt(self, listed: Listed) -> Excerpt:
        """What the finder wants to hear of a recording, read from its file."""
        features = self.parts[listed.part].features
        start = int(features.start[listed.number])
        wanted = self.finder.stretches(listed.candidates, len(listed.curve))
        return Excerpt(
            vid=features.ids[listed.number],
            grid=FrameGrid(features.window_s, features.hop_s, len(listed.curve)),
            duration_s=float(features.durations_s[listed.number]),
            stretches=[
                Stretch(each.start, features.rows(start + each.start, start + each.stop).astype(np.float32))
                for each in wanted
            ],
            curve=listed.curve,
        )


def best_moments(found: Sequence[Listed], count: int) -> list[Listed]:
    """The recordings with the ``count`` best of all candidates, each with those only."""
    ranked = sorted(
        ((candidate, row) for row, each in enumerate(found) for candidate in each.candidates),
        key=lambda pair: -pair[0].score,
    )
    kept = sorted(ranked[:count], key=lambda pair: pair[1])
    return [
        Listed(found[row].part, found[row].number, found[row].curve, [candidate for candidate, _ in pairs])
        for row, pairs in groupby(kept, key=lambda pair: pair[1])
    ]


def best_of(values: Vector, count: int) -> npt.NDArray[np.intp]:
    """The numbers of the ``count`` highest values that are finite, in no order."""
    count = min(count, len(values))
    best = np.argpartition(-values, count - 1)[:count] if count else np.zeros(0, dtype=np.intp)
    finite: npt.NDArray[np.intp] = best[np.isfinite(values[best])]
    return finite


def smoothed_apart(curve: Vector, start: Offsets, half_foot: float) -> Vector:
    """``window.smoothed`` of each recording by itself, for all at once.

    Args:
        curve: ``(frames,)`` of all recordings.
        start: ``(recordings + 1,)``, where each begins.
        half_foot: as in :func:`amr.retrieval.window.smoothed`.
    """
    reach = math.ceil(half_foot) - 1
    if reach < 1 or len(curve) == 0:
        return curve
    offsets = np.arange(-reach, reach + 1)
    weights = (1.0 - np.abs(offsets) / half_foot).astype(np.float32)
    weights /= weights.sum()
    held = np.pad(curve, reach, mode="edge")
    smooth = np.zeros_like(curve)
    for weight, shift in zip(weights, range(2 * reach + 1), strict=True):
        smooth += weight * held[shift : shift + len(curve)]
    # Near its ends a recording's own first and last frames are held, not the neighbours'.
    owner = np.repeat(np.arange(len(start) - 1), np.minimum(np.diff(start), 2 * reach))
    rows = edge_rows(start, reach)
    around = np.clip(rows[:, None] + offsets, start[owner][:, None], start[owner + 1][:, None] - 1)
    smooth[rows] = curve[around] @ weights
    return smooth


def edge_rows(start: Offsets, reach: int) -> Offsets:
    """The rows less than ``reach`` from an end of their recording, in order."""
    counts = np.minimum(np.diff(start), 2 * reach)
    place = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    length = np.repeat(np.diff(start), counts)
    from_end = (length > 2 * reach) & (place >= reach)
    rows: Offsets = np.repeat(start[:-1], counts) + place + np.where(from_end, length - 2 * reach, 0)
    return rows


def recording_maxima(curve: Vector, start: Offsets) -> Vector:
    """``(recordings,)``: the highest value of each; minus infinity where one has no frame."""
    highest = np.full(len(start) - 1, -np.inf, dtype=np.float32)
    filled = np.flatnonzero(np.diff(start) > 0)
    if len(filled):
        highest[filled] = np.maximum.reduceat(curve, start[filled])
    return highest
