"""The best moments of an archive, and no others, without a search of every recording.

Those whose scores are likely to be high are searched first, then the others by falling bound of their scores
(``bounds``), until none that is left can come among the best.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import BoolArray, IntpArray
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.moments import FrameGrid
from amr.processors import free_processors, ordered_map
from amr.retrieval.archive.bounds import ScoreBound
from amr.retrieval.archive.levels import LEAST_ROOM, Levels, Sample, compared, levels_of, samples_of
from amr.retrieval.archive.odds import Odds
from amr.retrieval.archive.ranking import ArchivePart
from amr.retrieval.archive.search import FeatureArchive
from amr.retrieval.excerpts import Excerpt, Stretch
from amr.retrieval.search import AnswerOptions, identified, prediction

BLOCK = 32
"""Recordings that are searched before the bound is looked at again."""
SCORE_STEP = 1e-4
"""Of scores as they are written: what is nearer to each other is equal."""
MISSING_SHARE = 0.04
"""Of the best, so many may be expected in recordings that a search does not come to."""


@dataclass(frozen=True)
class ExactAnswer:
    """What was found for one query.

    Args:
        predictions: of each recording that the network searched, in the order of the files.
        searched: how many were looked at.
        missed: what a recording that was not searched scores at most; 0 where none could be among the best.
        least: score of the last of the best.
        missing: how many of the best are likely to be in recordings that were not searched (``missing``).
    """

    predictions: list[Prediction]
    searched: int
    missed: float
    least: float
    missing: float = 0.0


def exact_answers(
    archive: FeatureArchive,
    bound: ScoreBound,
    queries: Sequence[Query],
    options: AnswerOptions,
    *,
    top: int,
    recordings: bool = False,
    most: int | None = None,
    samples: Sequence[Sample] | None = None,
) -> Iterator[ExactAnswer]:
    """For each query the predictions of every recording that can hold one of the ``top`` best moments.

    Args:
        most: recordings that are searched, at most, and no longer than others are likely to hold better ones;
            None: until no other can.
        samples: of :func:`amr.retrieval.archive.levels.samples_of`, for whoever asks again and again.

    The other arguments are those of :class:`QuerySearch`.
    """
    samples = samples_of(archive) if samples is None else samples
    for number, query in enumerate(queries, start=1):
        search = QuerySearch(
            archive, bound, query, options, top=top, recordings=recordings, number=number, samples=samples
        )
        yield search.go_on(most)


class QuerySearch:
    """The search of an archive for one query, as far as it has come; it can be gone on with.

    Args:
        archive: with the model's own space.
        bound: of the model's scores.
        query: for all recordings; it names none.
        options: which moments of an answer are kept.
        top: moments that are wanted.
        recordings: ``top`` counts recordings, by their best moments.
        number: the query's place among all that are asked.
        among: of each part ``(recordings,)``, which of them are searched; None: all.
        samples: of :func:`amr.retrieval.archive.levels.samples_of`.
    """

    def __init__(
        self,
        archive: FeatureArchive,
        bound: ScoreBound,
        query: Query,
        options: AnswerOptions,
        *,
        top: int,
        recordings: bool = False,
        number: int = 1,
        among: Sequence[BoolArray] | None = None,
        samples: Sequence[Sample] | None = None,
    ) -> None:
        self.archive, self.bound, self.query, self.options, self.top = archive, bound, query, options, top
        self._counted = 1 if recordings else None
        self._number = number
        self.levels = levels_of(archive, bound, query, samples)
        self._likely_first = archive.enough(top)
        order = self.levels.order(archive.most(top))
        self._order = order if among is None else order[np.concatenate(among)[order]]
        highest = bound.highest_score(self.levels.level[self._order] + np.float32(self.levels.room))
        self._most_left = np.maximum.accumulate(highest[::-1])[::-1]
        self._best: list[float] = []  # a heap of the scores of the best
        self._found: list[tuple[int, Prediction]] = []
        self._done = 0
        self._odds = Odds(bound, self.levels)

    def go_on(self, most: int | None = None, should_stop: Callable[[], bool] = lambda: False) -> ExactAnswer:
        """Search further recordings, and say what is known then.

        Args:
            most: recordings that are searched in all, and no longer than others are likely to hold one of the
                best; None: until no other can.
            should_stop: looked at now and then.
        """
        limit = len(self._order) if most is None else min(most, len(self._order))
        while self._done < limit and could_be(self._most_left[self._done], self._least) and not should_stop():
            if most is not None and self._missing() < MISSING_SHARE * self.top:
                break
            block = self._order[self._done : min(self._done + BLOCK, limit)]
            self._done += len(block)
            if most is None and self._done > self._likely_first:
                block = block[
                    still_possible(self.archive, self.bound, self.query, self.levels, block, self._least)
                ]
            self._search(block)
        left = float(self._most_left[self._done]) if self._done < len(self._order) else 0.0
        missed = left if could_be(left, self._least) else 0.0
        found = [each for _, each in sorted(self._found, key=lambda pair: pair[0])]
        return ExactAnswer(found, self._done, missed, self._least, self._missing() if missed else 0.0)

    @property
    def _least(self) -> float:
        """What a moment has to score that is to be among the best."""
        return max(self._best[0] if len(self._best) == self.top else 0.0, self.options.min_score or 0.0)

    def _missing(self) -> float:
        """How many of the best the recordings that were not searched are likely to hold."""
        return self._odds.missing(self._order[self._done :], self._least)

    def _search(self, block: IntpArray) -> None:
        """The network on some recordings."""
        archive, levels, query = self.archive, self.levels, self.query
        excerpts = [whole(archive.parts[levels.part[at]], int(levels.number[at])) for at in block]
        for at, each, answer in zip(
            block, excerpts, archive.finder.find_excerpts(excerpts, query), strict=True
        ):
            asked = identified(query, each.vid, self._number, archive.num_recordings > 1)
            self._found.append((int(at), prediction(asked, answer, each.duration_s, self.options)))
            scores = [score for _, _, score in self._found[-1][1].windows]
            self._odds.see(int(at), max((moment.score for moment in answer.moments), default=0.0))
            for score in scores[: self._counted]:
                push = heapq.heappush if len(self._best) < self.top else heapq.heappushpop
                push(self._best, score)


def still_possible(
    archive: FeatureArchive, bound: ScoreBound, query: Query, levels: Levels, block: IntpArray, least: float
) -> BoolArray:
    """``(block,)``: which recordings can hold a moment of the score ``least`` by their exact levels, which
    cost half of what the network does."""
    [vector], meaning = archive.window.joint_text([query.text]), archive.direction(query)
    assert meaning is not None  # as whoever has a bound has

    def level(at: int) -> float:
        part = archive.parts[levels.part[at]]
        if part.index is None and part.model_index is None:
            return float(levels.level[at])
        return compared(archive, part, int(levels.number[at])).level(bound, vector, meaning)

    exact = np.fromiter(ordered_map(level, block, free_processors()), np.float32, len(block))
    highest = bound.highest_score(exact + np.float32(LEAST_ROOM))
    return np.array([could_be(each, least) for each in highest], dtype=bool)


def could_be(highest: float, least: float) -> bool:
    """Whether a recording of this bound can hold a moment of this score, as both are written."""
    return highest > 0 and highest >= least - SCORE_STEP


def whole(part: ArchivePart, number: int) -> Excerpt:
    """All of a recording."""
    features, length = part.features, int(part.lengths[number])
    frames = features.part(number, 0, length).astype(np.float32)
    return Excerpt(
        vid=part.ids[number],
        grid=FrameGrid(features.window_s, features.hop_s, length),
        duration_s=float(features.durations_s[number]),
        stretches=[Stretch(0, frames)],
        curve=np.zeros(length, dtype=np.float32),  # none of it stays where everything is read
    )
