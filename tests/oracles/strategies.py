"""Random evaluations, of the sort that breaks evaluators: few distinct times, ties, empties, NaN, repeats."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from oracles.official import Record

GRID = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 0.1, 0.3, 1.7, 12.5, 20.000000000000004]
"""Few times, so that equal windows and equal IoUs are common, and some that are no short binary fraction."""

STRANGE = [math.nan, math.inf, -math.inf, -1.0, 2000.0]
SCORES = [0.0, 0.1, 0.5, 0.5000001, 0.9, 1.0, -2.0]


@st.composite
def moments(draw: st.DrawFn, times: list[float] = GRID) -> list[float]:
    """A window longer than nothing."""
    start, end = draw(st.lists(st.sampled_from(times), min_size=2, max_size=2, unique=True).map(sorted))
    return [start, end]


@st.composite
def any_window(draw: st.DrawFn) -> list[float]:
    """A window of any sort: zero-length, inverted, not finite, 2000 s long."""
    times = st.sampled_from(GRID) | st.sampled_from(STRANGE)
    return [draw(times), draw(times)]


@st.composite
def evaluations(draw: st.DrawFn, *, strange: bool, max_queries: int = 6) -> tuple[list[Record], list[Record]]:
    """Predictions and ground truth of the same qids.

    Args:
        draw: given by hypothesis.
        strange: also windows that cannot be, empty answers, repeated qids, NaN and unsorted scores.
        max_queries: how many qids at most.
    """
    window = moments() | any_window() if strange else moments()
    score = st.sampled_from([*SCORES, math.nan] if strange else SCORES)
    num_queries = draw(st.integers(1, max_queries))
    qids = [f"q{number}" for number in range(num_queries)]
    repeats = st.lists(st.sampled_from(qids), max_size=3) if strange else st.just([])
    answers: list[Record] = []
    for qid in draw(st.permutations(qids)) + draw(repeats):
        windows = draw(st.lists(window, min_size=0 if strange and draw(rarely()) else 1, max_size=13))
        scores = [draw(score) for _ in windows]
        if not strange:
            scores = sorted(scores, reverse=True)
            windows, scores = windows[:10], scores[:10]
        scored = [[*w, s] for w, s in zip(windows, scores, strict=True)]
        answers.append({"qid": qid, "pred_relevant_windows": scored})
    truths: list[Record] = []
    for qid in draw(st.permutations(qids)) + draw(repeats):
        windows = draw(st.lists(window, min_size=0 if strange and draw(rarely()) else 1, max_size=20))
        if not strange:
            windows = without_repeats(windows)
        truths.append(
            {"qid": qid, "relevant_windows": windows, "duration": draw(st.sampled_from([60, 3000]))}
        )
    return answers, truths


def with_every_range(files: tuple[list[Record], list[Record]]) -> tuple[list[Record], list[Record]]:
    """One more query, with a short, a middle and a long moment: without, Moment-DETR's evaluator stops."""
    answers, truths = files
    windows = [[0.0, 8.0], [0.0, 25.0], [0.0, 60.0]]
    answer = {"qid": "every", "pred_relevant_windows": [[*windows[1], 0.5], [*windows[0], 0.4]]}
    truth = {"qid": "every", "relevant_windows": windows, "duration": 150}
    return [*answers, answer], [*truths, truth]


def rarely() -> st.SearchStrategy[bool]:
    """True one time in eight."""
    return st.integers(0, 7).map(lambda number: number == 7)


def without_repeats(windows: list[list[float]]) -> list[list[float]]:
    """Each window once, in order."""
    return [list(w) for w in dict.fromkeys(tuple(w) for w in windows)]


@st.composite
def highlight_evaluations(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    """Saliency curves with ties, longer and shorter than the recording, and labels by three people."""
    answers, truths = [], []
    for number in range(draw(st.integers(1, 5))):
        num_clips = draw(st.sampled_from([1, 2, 5, 9, 40]))
        clips = draw(st.lists(st.integers(0, num_clips - 1), unique=True, min_size=1))
        rating = st.lists(st.integers(0, 4), min_size=3, max_size=3)
        truth: dict[str, Any] = {"qid": number, "duration": 2 * num_clips + draw(st.sampled_from([0, 1.5]))}
        truth |= {"relevant_windows": [[0, 2]], "relevant_clip_ids": clips}
        truths.append({**truth, "saliency_scores": [draw(rating) for _ in clips]})
        value = st.sampled_from([0.0, 0.25, -0.5, 1.0]) | st.floats(-2, 2)
        num_values = max(1, num_clips + draw(st.sampled_from([0, 0, -1, 3])))
        curve = draw(st.lists(value, min_size=num_values, max_size=num_values))
        windows = [[0.0, 2.0, 0.5]]
        answers.append({"qid": number, "pred_relevant_windows": windows, "pred_saliency_scores": curve})
    return answers, truths
