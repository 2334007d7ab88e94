"""The best moments of an archive, and no others, without a search of every recording.

Those whose scores are likely to be high are searched first, then the others by falling bound of their scores
(``bounds``), until none that is left can come among the best.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import BoolArray, IntpArray
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.moments import FrameGrid
from amr.processors import free_processors, ordered_map
from amr.retrieval.archive.bounds import ScoreBound
from amr.retrieval.archive.levels import LEAST_ROOM, Levels, Sample, compared, levels_of, samples_of
from amr.retrieval.archive.ranking import ArchivePart
from amr.retrieval.archive.search import FeatureArchive
from amr.retrieval.excerpts import Excerpt, Stretch
from amr.retrieval.search import AnswerOptions, identified, prediction

BLOCK = 64
"""Recordings that are searched before the bound is looked at again."""
SCORE_STEP = 1e-4
"""Of scores as they are written: what is nearer to each other is equal."""


@dataclass(frozen=True)
class ExactAnswer:
    """What was found for one query.

    Args:
        predictions: of each recording that the network searched, in the order of the files.
        searched: how many were looked at.
        missed: what a recording that was not searched scores at most; 0 where none could be among the best.
        least: score of the last of the best.
    """

    predictions: list[Prediction]
    searched: int
    missed: float
    least: float


def exact_answers(
    archive: FeatureArchive,
    bound: ScoreBound,
    queries: Sequence[Query],
    options: AnswerOptions,
    *,
    top: int,
    recordings: bool = False,
    most: int | None = None,
    among: Sequence[BoolArray] | None = None,
    samples: Sequence[Sample] | None = None,
) -> Iterator[ExactAnswer]:
    """For each query the predictions of every recording that can hold one of the ``top`` best moments.

    Args:
        archive: with the model's own space.
        bound: of the model's scores.
        queries: for all recordings; they name none.
        options: which moments of an answer are kept.
        top: moments that are wanted.
        recordings: ``top`` counts recordings, by their best moments.
        most: recordings that are searched, at most, whether others could hold better ones or not.
        among: of each part ``(recordings,)``, which of them are searched; None: all.
        samples: of :func:`amr.retrieval.archive.levels.samples_of`, for whoever asks again and again.
    """
    several = archive.num_recordings > 1
    samples = samples_of(archive) if samples is None else samples
    for number, query in enumerate(queries, start=1):
        levels = levels_of(archive, bound, query, samples)
        likely_first = archive.enough(top)
        order = levels.order(likely_first)
        if among is not None:
            order = order[np.concatenate(among)[order]]
        highest = bound.highest_score(levels.level[order] + np.float32(levels.room))
        most_left = np.maximum.accumulate(highest[::-1])[::-1]
        best: list[float] = []  # a heap of the scores of the best
        found: list[tuple[int, Prediction]] = []
        done, limit = 0, len(order) if most is None else min(most, len(order))
        while done < limit and could_be(most_left[done], least := least_of(best, top, options)):
            block = order[done : min(done + BLOCK, limit)]
            if done >= likely_first:
                block = block[still_possible(archive, bound, query, levels, block, least)]
            done = min(done + BLOCK, limit)
            excerpts = [whole(archive.parts[levels.part[at]], int(levels.number[at])) for at in block]
            answers = archive.finder.find_excerpts(excerpts, query)
            for at, each, answer in zip(block, excerpts, answers, strict=True):
                asked = identified(query, each.vid, number, several)
                found.append((int(at), prediction(asked, answer, each.duration_s, options)))
                for _, _, score in found[-1][1].windows[: 1 if recordings else None]:
                    (heapq.heappush if len(best) < top else heapq.heappushpop)(best, score)
        missed = float(most_left[done]) if done < len(order) else 0.0
        least = least_of(best, top, options)
        found.sort(key=lambda pair: pair[0])
        missed = missed if could_be(missed, least) else 0.0
        yield ExactAnswer([each for _, each in found], done, missed, least)


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


def least_of(best: Sequence[float], top: int, options: AnswerOptions) -> float:
    """What a moment has to score that is to be among the best."""
    return max(best[0] if len(best) == top else 0.0, options.min_score or 0.0)


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
