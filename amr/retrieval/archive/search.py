"""Queries against archives: a shortlist from a first look at all frames, then a finder on what is on it.

The shortlist holds the N best moments that the sliding window (``amr.retrieval.window``) finds on one curve
a recording: the joint-space similarity of every frame, or what a trained network's space says beside it
(``ranking``). Both are read from an index where there is one (``index``) and
computed from the frames where there is none. A moment of the window scores at most what the smoothed curve of
its recording reaches, so that the N best moments lie in the N recordings whose smoothed curves reach highest;
only those are looked at closer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from amr.arrays import BoolArray, Float32Array, FloatingArray, IntpArray
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.functional import unit
from amr.moments import FrameGrid
from amr.retrieval.archive.curves import highest_smoothed
from amr.retrieval.archive.index import LEFT_OUT
from amr.retrieval.archive.ranking import JOINT_LEFT_OUT, ArchivePart, model_options, together
from amr.retrieval.excerpts import Candidate, Excerpt, Stretch
from amr.retrieval.finders import ExcerptFinder
from amr.retrieval.search import AnswerOptions, identified, prediction
from amr.retrieval.window import WindowOptions, find_runs
from amr.retrieval.window_finder import WindowFinder

if TYPE_CHECKING:
    from amr.retrieval.archive.model_space import ModelSpace

# Moments on the shortlist, at least, and for each that is wanted. docs/archive.md: how often that is enough.
SHORTLIST = 100
SHORTLIST_TIMES = 5
# The same for a trained network, of whose scores a first look knows one factor.
MODEL_SHORTLIST = 240
MODEL_SHORTLIST_TIMES = 12
# Where recordings are searched until few of the best are likely to be missing, a third more at most.
MOST_TIMES = 4 / 3

Vector = Float32Array


@dataclass(frozen=True)
class ListedRecording:
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
class FeatureArchive:
    """Feature files that are searched together.

    Args:
        parts: the files, with no recording in two of them.
        window: knows the joint space.
        finder: answers for what is on the shortlist.
        model_space: in which the finder's network compares; the shortlist goes by both spaces where it is
            given.
    """

    parts: Sequence[ArchivePart]
    window: WindowFinder
    finder: ExcerptFinder
    model_space: ModelSpace | None = None

    @property
    def num_recordings(self) -> int:
        return sum(len(part.features) for part in self.parts)

    def enough(self, top: int) -> int:
        """How many moments the shortlist holds where nobody says."""
        if self.model_space is None:
            return max(SHORTLIST, SHORTLIST_TIMES * top)
        return max(MODEL_SHORTLIST, MODEL_SHORTLIST_TIMES * top)

    def most(self, top: int) -> int:
        """How many recordings are searched at most, where others are likely to hold some of the best."""
        return round(MOST_TIMES * self.enough(top))

    def search(
        self,
        queries: Sequence[Query],
        options: AnswerOptions,
        *,
        shortlist: int,
        recordings: bool = False,
        among: Sequence[BoolArray] | None = None,
    ) -> Iterator[list[Prediction]]:
        """For each query the predictions for every recording on its shortlist.

        Args:
            queries: for all recordings; they name none.
            options: which moments of an answer are kept.
            shortlist: how many moments the shortlist holds.
            recordings: the shortlist holds that many recordings instead, each with its moments.
            among: of each part ``(recordings,)``, which of them may be listed; None: all.
        """
        several = self.num_recordings > 1
        for number, query in enumerate(queries, start=1):
            listed = self.shortlist(query, shortlist, options.top_k, recordings=recordings, among=among)
            excerpts = [self.excerpt(each) for each in listed]
            answers = self.finder.find_excerpts(excerpts, query)
            yield [
                prediction(identified(query, each.vid, number, several), answer, each.duration_s, options)
                for each, answer in zip(excerpts, answers, strict=True)
            ]

    def shortlist(
        self,
        query: Query,
        count: int,
        top_k: int,
        *,
        recordings: bool,
        among: Sequence[BoolArray] | None = None,
    ) -> list[ListedRecording]:
        """The recordings with the ``count`` best moments, in the order of the files.

        Args:
            query: what is looked for.
            count: moments, or, with ``recordings``, recordings.
            top_k: moments of one recording, at most.
            among: as in :meth:`search`.
        """
        near: list[tuple[float, ListedRecording, Vector]] = []
        for number, (part, (similarity, rank)) in enumerate(zip(self.parts, self.curves(query), strict=True)):
            start = part.features.start
            hop_s = part.features.hop_s
            highest = highest_smoothed(rank, start, self.options(hop_s).smooth_s / hop_s)
            if among is not None:
                highest = np.where(among[number], highest, -np.inf)
            for recording in best_of(highest, count):
                rows = slice(*start[recording : recording + 2])
                listed = ListedRecording(number, int(recording), similarity[rows].copy(), [])
                near.append((float(highest[recording]), listed, rank[rows].copy()))
        near.sort(key=lambda each: -each[0])
        found = [
            replace(listed, candidates=self.candidates(listed.part, rank, top_k))
            for _, listed, rank in near[:count]
        ]
        if self.model_space is not None:
            found = [replace(each, candidates=self.apart(each)) for each in found]
        kept = found if recordings else best_moments(found, count)
        return sorted(kept, key=lambda each: (each.part, each.number))

    def curves(self, query: Query) -> Iterator[tuple[Vector, Vector]]:
        """Of each part the similarity of all frames to a query, and what the shortlist goes by, ``(frames,)``
        each."""
        [vector] = self.window.joint_text([query.text])
        meaning = self.direction(query)
        left_out = LEFT_OUT if self.model_space is None else JOINT_LEFT_OUT
        for part in self.parts:
            similarity = part.similarity(self.window.encoder, vector, left_out)
            rank = similarity
            if self.model_space is not None and meaning is not None:
                cosine = part.cosine(self.model_space, meaning)
                rank = together(similarity, cosine, part.features.start, self.window.options.score_scale)
            yield similarity, rank

    def direction(self, query: Query) -> Vector | None:
        """``(dimensions,)`` unit vector of a query in the network's own space; None where there is none."""
        if self.model_space is None:
            return None
        learned = self.window.meanings.get(query.text)
        if learned is not None:
            return unit(learned)
        [tokens] = self.window.sentences.tokens([query])
        return self.model_space.meaning(tokens)

    def options(self, hop_s: float) -> WindowOptions:
        """How the curves that the shortlist goes by are cut, at a distance of frames."""
        return self.window.options if self.model_space is None else model_options(hop_s)

    def candidates(self, part: int, rank: Vector, top_k: int) -> list[Candidate]:
        """The best ``top_k`` moments of the curve that one recording is ranked by."""
        hop_s = self.parts[part].features.hop_s
        runs, scores, smooth = find_runs(rank, hop_s, self.options(hop_s))
        return [
            Candidate(int(first), int(stop), int(first + np.argmax(smooth[first:stop])), float(score))
            for (first, stop), score in zip(runs[:top_k], scores[:top_k], strict=True)
        ]

    def apart(self, listed: ListedRecording) -> list[Candidate]:
        """The candidates of a recording that each have the finder read something more than better ones do.

        The network answers for all that it reads, so that the others would take room on the list and change
        nothing.
        """
        kept: list[Candidate] = []
        read: list[range] = []
        for each in listed.candidates:
            now = self.finder.stretches([*kept, each], len(listed.curve))
            if now != read:
                kept.append(each)
                read = now
        return kept

    def excerpt(self, listed: ListedRecording) -> Excerpt:
        """What the finder wants of a recording, read from its file."""
        features = self.parts[listed.part].features
        wanted = self.finder.stretches(listed.candidates, len(listed.curve))
        return Excerpt(
            vid=self.parts[listed.part].ids[listed.number],
            grid=FrameGrid(features.window_s, features.hop_s, len(listed.curve)),
            duration_s=float(features.durations_s[listed.number]),
            stretches=[
                Stretch(each.start, features.part(listed.number, each.start, each.stop).astype(np.float32))
                for each in wanted
            ],
            curve=listed.curve,
        )


def best_moments(found: Sequence[ListedRecording], count: int) -> list[ListedRecording]:
    """The recordings with the ``count`` best of all candidates, each with those only."""
    ranked = sorted(
        ((candidate, row) for row, each in enumerate(found) for candidate in each.candidates),
        key=lambda pair: -pair[0].score,
    )
    kept = sorted(ranked[:count], key=lambda pair: pair[1])
    return [
        ListedRecording(
            found[row].part, found[row].number, found[row].curve, [candidate for candidate, _ in pairs]
        )
        for row, pairs in groupby(kept, key=lambda pair: pair[1])
    ]


def best_of(values: FloatingArray, count: int) -> IntpArray:
    """The numbers of the ``count`` highest values that are finite, in no order."""
    count = min(count, len(values))
    best = np.argpartition(-values, count - 1)[:count] if count else np.zeros(0, dtype=np.intp)
    finite: IntpArray = best[np.isfinite(values[best])]
    return finite
