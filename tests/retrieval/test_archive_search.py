"""A shortlist and then a closer look: what is found, and that it is what asking everything finds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from archive_world import ToyEncoder, wandering, write_features
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.formats.features.open import open_features
from amr.formats.features.read import FeatureFile
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.moments import FrameGrid
from amr.retrieval.archive import curves
from amr.retrieval.archive.curves import highest_smoothed, recording_maxima, smoothed_apart
from amr.retrieval.archive.index import build_index
from amr.retrieval.archive.ranking import ArchivePart
from amr.retrieval.archive.search import FeatureArchive, best_of
from amr.retrieval.archive.spaces import JointSpace
from amr.retrieval.excerpts import Candidate, Excerpt, Stretch, united
from amr.retrieval.recordings import Collection, FeatureSource
from amr.retrieval.search import AnswerOptions, best_over_all, best_recordings, plan, search
from amr.retrieval.window import WindowOptions, smoothed
from amr.retrieval.window_finder import CONTEXT_FRAMES, WHOLE_FRAMES, WindowFinder

LENGTHS = [40, 1, 300, 7, 1200, 64, 64, 0, 500, 2]
QUERIES = [Query("a dog barks", where="--query"), Query("rain", qid=7)]
OPTIONS = WindowOptions(certain=None, score_centre=15.0, score_scale=8.0)


@pytest.fixture(scope="module")
def feats(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("archive")
    lengths = [count for count in LENGTHS if count]  # extract makes no recording without a frame
    return [
        write_features(folder / "a.h5", lengths[:5]),
        write_features(folder / "b.h5", lengths[5:], first=5),
    ]


def archive(paths: Sequence[Path], *, indexed: bool) -> FeatureArchive:
    finder = WindowFinder(ToyEncoder(), OPTIONS)
    parts = []
    for path in paths:
        features = FeatureFile(path)
        index = build_index(features, JointSpace(finder.encoder)) if indexed else None
        parts.append(ArchivePart(features, index))
    return FeatureArchive(parts, finder, finder)


def everything(paths: Sequence[Path], top_k: int = 10) -> list[Prediction]:
    """Every recording, asked as without ``--top``."""
    with open_features(*paths) as reader:
        collection = Collection([FeatureSource(reader)])
        finder = WindowFinder(ToyEncoder(), OPTIONS)
        return list(search(plan(QUERIES, collection), collection, finder, AnswerOptions(top_k=top_k)))


@pytest.mark.parametrize("top", [1, 3, 8, 1000])
@pytest.mark.parametrize("top_k", [1, 10])
def test_without_an_index_the_shortest_shortlist_gives_the_exact_answer(
    feats: list[Path], top: int, top_k: int
) -> None:
    options = AnswerOptions(top_k=top_k)
    found = archive(feats, indexed=False).search(QUERIES, options, shortlist=top)
    ranked = [best_over_all(predictions, top) for predictions in found]
    assert [r for records in ranked for r in records] == best_over_all(everything(feats, top_k), top)


@pytest.mark.parametrize("top", [1, 4])
def test_with_an_index_a_little_more_is_enough(feats: list[Path], top: int) -> None:
    found = archive(feats, indexed=True).search(QUERIES, AnswerOptions(), shortlist=top + 8)
    ranked = [record for predictions in found for record in best_over_all(predictions, top)]
    exact = best_over_all(everything(feats), top)
    assert [(r.qid, r.vid) for r in ranked] == [(r.qid, r.vid) for r in exact]
    for one, other in zip(ranked, exact, strict=True):
        assert np.allclose(one.windows, other.windows, atol=0.51)  # an end may move by a frame


@pytest.mark.parametrize("top", [1, 3, 100])
def test_recordings_are_listed_with_all_their_moments(feats: list[Path], top: int) -> None:
    found = archive(feats, indexed=False).search(QUERIES, AnswerOptions(), shortlist=top, recordings=True)
    ranked = [record for predictions in found for record in best_recordings(predictions, top)]
    assert ranked == best_recordings(everything(feats), top)


def test_one_recording_keeps_the_querys_id(tmp_path: Path) -> None:
    path = write_features(tmp_path / "one.h5", [30])
    [_, found] = archive([path], indexed=False).search(QUERIES, AnswerOptions(), shortlist=5)
    assert [(each.qid, each.vid) for each in found] == [(7, "r0")]


@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=12),
    half_foot=st.floats(0.5, 5.5),
    seed=st.integers(0, 99),
)
@settings(max_examples=150)
def test_smoothing_all_at_once_is_smoothing_each_alone(
    lengths: list[int], half_foot: float, seed: int
) -> None:
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    curve = np.random.default_rng(seed).normal(size=start[-1]).astype(np.float32)
    apart = [smoothed(part, half_foot) for part in np.split(curve, start[1:-1]) if len(part)]
    expected = np.concatenate([*apart, np.zeros(0, np.float32)])
    got = smoothed_apart(curve, start, half_foot)
    assert np.allclose(got, expected, atol=1e-5)
    highest = recording_maxima(got, start)
    assert np.allclose(highest[np.diff(start) > 0], [part.max() for part in apart], atol=1e-5)
    assert np.all(np.isneginf(highest[np.diff(start) == 0]))
    with mock.patch.object(curves, "ROWS_AT_ONCE", 7):
        assert np.allclose(highest_smoothed(curve, start, half_foot), highest, atol=1e-5)


@given(st.lists(st.integers(-5, 5), max_size=9), st.integers(1, 12))
@settings(max_examples=60)
def test_best_of_is_the_head_of_the_sorted_list(values: list[int], count: int) -> None:
    array = np.array([*values, -np.inf], dtype=np.float32)
    assert sorted(array[best_of(array, count)]) == sorted(sorted(values, reverse=True)[:count])


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=9))
@settings(max_examples=60)
def test_united_ranges_hold_the_same_frames_and_do_not_touch(pairs: list[tuple[int, int]]) -> None:
    ranges = [range(start, start + length) for start, length in pairs]
    result = united(ranges)
    assert sorted({frame for each in ranges for frame in each}) == [
        frame for each in result for frame in each
    ]
    assert all(left.stop < right.start for left, right in pairwise(result))


def test_long_recordings_are_heard_around_their_moments_only() -> None:
    finder = WindowFinder(ToyEncoder(), OPTIONS)
    assert finder.stretches([Candidate(3, 9, 5, 0.5)], WHOLE_FRAMES) == [range(WHOLE_FRAMES)]
    heard = finder.stretches([Candidate(1000, 5000, 2000, 0.5)], 100_000)
    reach = CONTEXT_FRAMES
    assert heard == [range(place - reach, place + reach + 1) for place in (1000, 2000, 5000)]
    assert finder.stretches([Candidate(0, 400, 0, 0.5)], 400) == [range(reach + 1), range(400 - reach, 400)]


def test_an_excerpts_curve_is_exact_where_it_was_heard() -> None:
    finder = WindowFinder(ToyEncoder(), OPTIONS)
    frames = wandering(300, 5)
    rough = np.full(300, 9.0, dtype=np.float32)
    stretches = [
        Stretch(range_.start, frames[range_.start : range_.stop]) for range_ in (range(40), range(90, 120))
    ]
    curve = finder.sharpened(Excerpt("r", FrameGrid(1.0, 0.5, 300), 150.0, stretches, rough), "rain")
    exact = finder.curves(frames, ["rain"])[:, 0]
    heard = np.zeros(300, dtype=bool)
    heard[:40] = heard[90:120] = True
    assert np.allclose(curve[heard], exact[heard], atol=1e-5)
    assert np.all(curve[~heard] == 9.0)
    assert np.all(rough == 9.0)


@given(
    scores=st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=400),
    top=st.integers(1, 7),
)
@settings(max_examples=30)
def test_ranking_as_one_goes_is_ranking_at_the_end(scores: list[list[int]], top: int) -> None:
    records = [
        Prediction(str(n), "q", f"v{n}", [[0.0, 1.0, score / 10] for score in sorted(row, reverse=True)])
        for n, row in enumerate(scores * 3)
    ]
    ranked = sorted(
        (
            (-window[2], n, rank)
            for n, record in enumerate(records)
            for rank, window in enumerate(record.windows)
        )
    )[:top]
    best = best_over_all(records, top)
    assert sum(len(record.windows) for record in best) == len(ranked)
    got = sorted((-w[2], int(record.qid)) for record in best for w in record.windows)
    assert got == sorted((score, n) for score, n, _ in ranked)
    assert [record.windows[0][2] for record in best] == sorted((r.windows[0][2] for r in best), reverse=True)
    order = sorted((-record.windows[0][2], n) for n, record in enumerate(records) if record.windows)[:top]
    assert [int(record.qid) for record in best_recordings(records, top)] == [n for _, n in order]
