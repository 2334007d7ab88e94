"""A trained network on what a shortlist holds: the windows that it would have heard anyway, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from archive_world import ToyEncoder, identity, wandering, write_features
from random_networks import random_checkpoint

from amr.formats.features.read import FeatureFile
from amr.formats.queries import Query
from amr.moments import FrameGrid
from amr.retrieval.archive.index import build_index
from amr.retrieval.archive.ranking import ArchivePart
from amr.retrieval.archive.search import FeatureArchive
from amr.retrieval.archive.spaces import JointSpace
from amr.retrieval.excerpts import Candidate, Excerpt, Stretch
from amr.retrieval.recordings import Collection, FeatureSource
from amr.retrieval.search import AnswerOptions, best_over_all, plan, search
from amr.retrieval.trained.finder import TrainedFinder
from amr.retrieval.trained.model import MomentModel
from amr.retrieval.trained.requests import ModelRequest
from amr.retrieval.trained.windows import cut
from amr.retrieval.window import WindowOptions
from amr.retrieval.window_finder import WindowFinder

WINDOW = 20
QUERIES = [Query("a dog barks"), Query("rain")]


def finder(channels: int = 0) -> TrainedFinder:
    checkpoint = random_checkpoint(identity(), window_frames=WINDOW, channels=channels)
    model = MomentModel(checkpoint, batch_size=7)
    window = WindowFinder(ToyEncoder(), WindowOptions(certain=None, score_centre=15, score_scale=8))
    return TrainedFinder(model, window.sentences, similarity=window)


@pytest.mark.parametrize("channels", [0, 2])
@pytest.mark.parametrize("indexed", [False, True])
def test_a_shortlist_of_everything_short_is_the_exact_answer(
    tmp_path: Path, channels: int, indexed: bool
) -> None:
    path = write_features(tmp_path / "a.h5", [20, 3, 7, 1, 19, 20])
    found = finder(channels)
    assert found.similarity is not None
    with FeatureFile(path) as features:
        index = build_index(features, JointSpace(ToyEncoder())) if indexed else None
        archive = FeatureArchive([ArchivePart(features, index)], found.similarity, found)
        listed = [
            record
            for records in archive.search(QUERIES, AnswerOptions(), shortlist=10_000)
            for record in best_over_all(records, 8)
        ]
        collection = Collection([FeatureSource(features)])
        exact = best_over_all(search(plan(QUERIES, collection), collection, found, AnswerOptions()), 8)
    assert [(r.qid, r.vid) for r in listed] == [(r.qid, r.vid) for r in exact]
    for one, other in zip(listed, exact, strict=True):
        assert np.allclose(one.windows, other.windows, atol=2e-3)


def test_the_windows_heard_are_the_recordings_own() -> None:
    found = finder()
    windows = cut(100, WINDOW)
    heard = found.stretches([Candidate(33, 36, 34, 0.5), Candidate(99, 100, 99, 0.1)], 100)
    assert heard == [range(20, 50), range(80, 100)]
    assert all(any(w.start >= each.start and w.stop <= each.stop for w in windows) for each in heard)
    assert found.stretches([Candidate(0, 2, 1, 0.5)], 15) == [range(15)]
    long = found.stretches([Candidate(0, 10_000, 5_000, 0.5)], 10_000)
    assert sum(map(len, long)) <= 4 * WINDOW


@pytest.mark.parametrize("channels", [0, 2])
def test_stretches_that_are_everything_give_the_answer_of_the_whole(channels: int) -> None:
    found = finder(channels)
    frames, grid = wandering(90, 3), FrameGrid(1.0, 0.5, 90)
    query = Query("rain")
    rough = np.zeros(90, np.float32)  # the stretches replace all of it
    excerpt = Excerpt("r", grid, 45.5, [Stretch(0, frames)], rough)
    [one] = list(found.find_excerpts([excerpt], query))
    assert found.similarity is not None
    curve = found.similarity.curves(frames, ["rain"])[:, 0]
    [tokens] = found.sentences.tokens([query])
    [whole] = found.model.predict([ModelRequest("r", frames, grid, 45.5, tokens, curve)])
    assert np.allclose(one.moments, whole.moments, atol=1e-4)
    assert whole.saliency is not None


def test_a_stretch_is_heard_as_part_of_its_recording() -> None:
    """Moments of windows far from the stretch's ends are those of the whole recording, in its own seconds."""
    found = finder()
    frames, grid = wandering(200, 3), FrameGrid(1.0, 0.5, 200)
    query = Query("rain")
    [tokens] = found.sentences.tokens([query])
    [whole] = found.model.predict([ModelRequest("r", frames, grid, 100.5, tokens)])
    part = range(50, 150)
    excerpt = Excerpt("r", grid, 100.5, [Stretch(50, frames[50:150])], np.zeros(200, np.float32))
    [answer] = list(found.find_excerpts([excerpt], query))
    assert answer.saliency is None
    inner = (grid.centre_s(part.start + 2 * WINDOW), grid.centre_s(part.stop - 2 * WINDOW))
    here = {m for m in map(rounded, answer.moments) if inner[0] < m[0] and m[1] < inner[1]}
    there = {m for m in map(rounded, whole.moments) if inner[0] < m[0] and m[1] < inner[1]}
    assert here
    assert here == there


def rounded(moment: tuple[float, float, float]) -> tuple[float, float, float]:
    start_s, end_s, score = moment
    return round(start_s, 2), round(end_s, 2), round(score, 3)


def test_several_stretches_of_several_recordings_make_one_answer_each() -> None:
    found = finder()
    query = Query("rain")
    excerpts = []
    for seed, ranges in enumerate([[range(20)], [range(30, 60), range(80, 100)], [range(10, 30)]]):
        count = 20 if seed == 0 else 120
        frames = wandering(count, seed)
        stretches = [Stretch(each.start, frames[each.start : each.stop]) for each in ranges]
        grid = FrameGrid(1.0, 0.5, count)
        excerpts.append(Excerpt(f"r{seed}", grid, 0.5 * count + 0.5, stretches, np.zeros(count, np.float32)))
    together = list(found.find_excerpts(excerpts, query))
    alone = [next(iter(found.find_excerpts([each], query))) for each in excerpts]
    assert len(together) == 3
    for one, other, excerpt in zip(together, alone, excerpts, strict=True):
        assert np.allclose(one.moments, other.moments, atol=1e-3)
        scores = [moment.score for moment in one.moments]
        assert scores == sorted(scores, reverse=True)
        for moment in one.moments:
            assert any(
                excerpt.grid.span_s(s.first, s.stop - 1, excerpt.duration_s).start_s - 1e-6 <= moment.start_s
                and moment.end_s <= excerpt.grid.span_s(s.first, s.stop - 1, excerpt.duration_s).end_s + 1e-6
                for s in excerpt.stretches
            )
