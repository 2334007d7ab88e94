"""What a shortlist goes by when a trained network has a space of its own beside the joint space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from archive_prototypes import heard_alone, toy_space
from archive_world import ToyEncoder, write_features
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import Float32Array
from amr.formats.features.read import FeatureFile
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.models.frames.level import COSINE_LEVEL, HALF_FOOT, SIMILARITY_LEVEL, level_of
from amr.moments import Moment
from amr.retrieval.archive import curves, ranking
from amr.retrieval.archive.curves import highest_smoothed
from amr.retrieval.archive.index import build_index
from amr.retrieval.archive.model_space import ModelSpace
from amr.retrieval.archive.ranking import COSINE_WEIGHT, SIMILARITY_WEIGHT, ArchivePart, together
from amr.retrieval.archive.search import FeatureArchive, ListedRecording
from amr.retrieval.archive.spaces import JointSpace
from amr.retrieval.excerpts import Candidate, Excerpt, united
from amr.retrieval.finders import Answer
from amr.retrieval.search import AnswerOptions, best_over_all
from amr.retrieval.window import WindowOptions
from amr.retrieval.window_finder import WindowFinder

Floats = Float32Array
LENGTHS = [30, 41, 7, 64, 1, 25, 90, 33] * 6
QUERIES = [Query("a dog barks"), Query("rain"), Query("someone chops wood")]
JOINT = WindowOptions(certain=None, score_centre=15.0, score_scale=60.0)
WINDOW = 32
OPTIONS = AnswerOptions()


@dataclass(frozen=True)
class CosineFinder:
    """Stands for a network that trusts its prototypes: a window's one moment scores its highest cosine."""

    own: ModelSpace
    window: WindowFinder

    def stretches(self, candidates: Sequence[Candidate], num_frames: int) -> list[range]:
        starts = {each.peak // WINDOW * WINDOW for each in candidates}
        return united(range(start, min(start + WINDOW, num_frames)) for start in starts)

    def find_excerpts(self, excerpts: Iterable[Excerpt], query: Query) -> Iterator[Answer]:
        [tokens] = self.window.sentences.tokens([query])
        meaning = self.own.meaning(tokens)
        for excerpt in excerpts:
            moments = []
            for stretch in excerpt.stretches:
                heard = heard_alone(self.own, stretch.frames) @ meaning
                score = float(1 / (1 + np.exp(-4 * heard.max())))
                moments.append(Moment(float(stretch.first), float(stretch.stop), score))
            yield Answer(sorted(moments, key=lambda moment: -moment.score))


def archive(path: Path, stack: list[FeatureFile], *, indexed: bool, ranked: bool = True) -> FeatureArchive:
    window, own = WindowFinder(ToyEncoder(), JOINT), toy_space()
    features = FeatureFile(path)
    stack.append(features)
    index = build_index(features, JointSpace(window.encoder)) if indexed else None
    model_index = build_index(features, own) if indexed else None
    part = ArchivePart(features, index, model_index)
    return FeatureArchive([part], window, CosineFinder(own, window), own if ranked else None)


@pytest.fixture
def opened() -> Iterator[list[FeatureFile]]:
    stack: list[FeatureFile] = []
    yield stack
    for features in stack:
        features.close()


@pytest.fixture(scope="module")
def feats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("archive") / "a.h5", LENGTHS)


def answers(searched: FeatureArchive, shortlist: int, top: int) -> list[list[Prediction]]:
    found = searched.search(QUERIES, OPTIONS, shortlist=shortlist)
    return [best_over_all(predictions, top) for predictions in found]


def places(predictions: list[Prediction]) -> list[str]:
    return [each.vid for each in predictions]


@pytest.mark.parametrize("indexed", [False, True])
def test_what_the_network_ranks_by_gets_on_the_list(
    feats: Path, opened: list[FeatureFile], *, indexed: bool
) -> None:
    """A list of a third holds nearly all of its five best recordings; one by similarity alone does not."""
    exact = answers(archive(feats, opened, indexed=False), 10_000, 5)
    short = answers(archive(feats, opened, indexed=indexed), len(LENGTHS) // 3, 5)
    assert [places(each)[0] for each in short] == [places(each)[0] for each in exact]
    alone = answers(archive(feats, opened, indexed=False, ranked=False), len(LENGTHS) // 3, 5)
    both = [len({*places(a)} & {*places(b)}) for a, b in zip(short, exact, strict=True)]
    less = [len({*places(a)} & {*places(b)}) for a, b in zip(alone, exact, strict=True)]
    assert sum(both) >= 13 > 9 > sum(less)


def test_the_index_lists_what_the_frames_list(
    feats: Path, opened: list[FeatureFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of six axes one is a sixth: as much as may be left out of the real ones.
    monkeypatch.setattr(ranking, "MODEL_LEFT_OUT", 0.05)
    exact, near = (archive(feats, opened, indexed=indexed) for indexed in (False, True))
    for query in QUERIES:
        [[similarity, rank]] = exact.curves(query)
        [[similarity_near, rank_near]] = near.curves(query)
        assert 0 < np.abs(rank - rank_near).max() < 0.1 * np.ptp(rank)
        assert 0 < np.abs(similarity - similarity_near).max() < 0.1 * np.ptp(similarity)
        one, other = (
            [each.number for each in searched.shortlist(query, 12, 10, recordings=False)]
            for searched in (exact, near)
        )
        assert len({*one} & {*other}) >= 8  # of 12; in a space this small 5 % is much


def test_the_curve_is_the_sum_that_the_docs_say(feats: Path, opened: list[FeatureFile]) -> None:
    searched = archive(feats, opened, indexed=False)
    own, features = toy_space(), opened[0]
    [vector] = searched.window.joint_text(["rain"])
    meaning = own.meaning(searched.window.sentences.tokens([Query("rain")])[0])
    [[_, rank]] = searched.curves(Query("rain"))
    for number in (0, 4, len(LENGTHS) - 1):
        rows = slice(*features.start[number : number + 2].tolist())
        frames = features.rows(rows.start, rows.stop).astype(np.float32)
        similarity = ToyEncoder().joint_audio(frames) @ vector
        cosine = heard_alone(own, frames) @ meaning
        steps = (similarity - SIMILARITY_LEVEL * similarity.mean()) / JOINT.score_scale
        expected = COSINE_WEIGHT * (cosine - COSINE_LEVEL * cosine.mean()) + SIMILARITY_WEIGHT * steps
        assert np.allclose(rank[rows], expected, atol=1e-3)


@given(st.lists(st.integers(0, 6), max_size=8), st.integers(0, 99))
@settings(max_examples=60)
def test_a_recordings_level_is_its_own(lengths: list[int], seed: int) -> None:
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    similarity, cosine = np.random.default_rng(seed).normal(size=(2, start[-1])).astype(np.float32)
    owner = np.repeat(np.arange(len(lengths)), lengths)

    def level(curve: Floats) -> Floats:
        return np.array([curve[owner == each].mean() for each in owner], dtype=np.float32)

    above = similarity - SIMILARITY_LEVEL * level(similarity)
    expected = COSINE_WEIGHT * (cosine - COSINE_LEVEL * level(cosine)) + SIMILARITY_WEIGHT * above
    with mock.patch.object(curves, "ROWS_AT_ONCE", 5):
        found = together(similarity, cosine, start, step=1.0)
    assert np.allclose(found, expected, atol=1e-5)
    assert np.array_equal(found, together(similarity, cosine, start, step=1.0))


@given(st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=60)
def test_recordings_are_ranked_by_the_level_that_is_in_a_calibrated_networks_scores(
    frames: int, seed: int
) -> None:
    similarity, cosine = np.random.default_rng(seed).normal(size=(2, frames)).astype(np.float32)
    step, whole = 2.0, np.array([0, frames])
    [ranked] = highest_smoothed(together(similarity, cosine, whole, step), whole, HALF_FOOT)
    curves = torch.from_numpy(cosine)[None], torch.from_numpy(similarity)[None]
    mask = torch.ones(1, frames, dtype=torch.bool)
    [level] = level_of(*curves, mask, SIMILARITY_WEIGHT / step / COSINE_WEIGHT).tolist()
    assert ranked == pytest.approx(COSINE_WEIGHT * level, abs=1e-4)


def test_the_list_counts_what_is_heard_and_not_what_is_heard_already(
    feats: Path, opened: list[FeatureFile]
) -> None:
    searched = archive(feats, opened, indexed=False)
    listed = searched.shortlist(QUERIES[0], 12, 10, recordings=False)
    heard = [searched.finder.stretches(each.candidates, len(each.curve)) for each in listed]
    assert sum(len(each.candidates) for each in listed) == 12
    assert sum(-(-len(part) // WINDOW) for parts in heard for part in parts) == 12
    first, again, second = Candidate(0, 3, 1, 0.9), Candidate(9, 12, 10, 0.8), Candidate(40, 41, 40, 0.1)
    crowded = ListedRecording(0, 0, np.zeros(90, np.float32), [first, again, second])
    assert searched.apart(crowded) == [first, second]
