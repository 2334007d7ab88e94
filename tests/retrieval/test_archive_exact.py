"""The exact answer of an archive, found without a search of every recording, is the one found with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from archive_prototypes import space_of, toy_network
from archive_world import ToyEncoder, identity, write_features
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew

from amr.formats.features.read import FeatureFile
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.models.checkpoint import Checkpoint
from amr.retrieval.archive import exact as exact_module
from amr.retrieval.archive import odds as odds_module
from amr.retrieval.archive import search as search_module
from amr.retrieval.archive.bounds import ScoreBound, bound_of
from amr.retrieval.archive.curves import rows_of
from amr.retrieval.archive.exact import MISSING_SHARE, ExactAnswer, QuerySearch, exact_answers, still_possible
from amr.retrieval.archive.index import build_index
from amr.retrieval.archive.levels import Levels, levels_of
from amr.retrieval.archive.ranking import ArchivePart
from amr.retrieval.archive.search import FeatureArchive
from amr.retrieval.archive.spaces import JointSpace
from amr.retrieval.recordings import Collection, FeatureSource
from amr.retrieval.search import AnswerOptions, best_over_all, best_recordings, plan, search
from amr.retrieval.trained.finder import TrainedFinder
from amr.retrieval.trained.model import MomentModel
from amr.retrieval.window import WindowOptions
from amr.retrieval.window_finder import WindowFinder

WINDOW = 32
LIKELY_FIRST = 8
QUERIES = [Query("a dog barks"), Query("rain"), Query("someone chops wood")]


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    """So that a few dozen recordings are searched as thousands are: some by their likely scores, the others
    by their bounds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "MODEL_SHORTLIST", LIKELY_FIRST)
        patch.setattr(search_module, "MODEL_SHORTLIST_TIMES", 1)
        patch.setattr(exact_module, "BLOCK", LIKELY_FIRST)
        yield


def calibrated(weight: float, shift: float) -> MomentModel:
    network = toy_network()
    config = replace(
        network.config,
        window_frames=WINDOW,
        queries=4,
        level_weight=weight,
        level_shift=shift,
        level_similarity=0.01,
    )
    return MomentModel(Checkpoint(config, identity(), weights=network.state_dict()), threads=1)


@contextmanager
def opened(
    paths: list[Path], *, indexed: bool, weight: float = 12.0, shift: float = -4.0
) -> Iterator[tuple[FeatureArchive, ScoreBound, TrainedFinder]]:
    window = WindowFinder(ToyEncoder(), WindowOptions(certain=None, score_centre=15.0, score_scale=60.0))
    model, space, parts = calibrated(weight, shift), space_of(toy_network()), []
    finder = TrainedFinder(model, window.sentences, window)
    with ExitStack() as stack:
        for path in paths:
            features = stack.enter_context(FeatureFile(path))
            indexes = (JointSpace(window.encoder), space) if indexed else ()
            parts.append(ArchivePart(features, *[build_index(features, each) for each in indexes] or [None]))
        bound = bound_of(model)
        assert bound is not None
        yield FeatureArchive(parts, window, finder, space), bound, finder


def exhaustive(
    archive: FeatureArchive, finder: TrainedFinder, options: AnswerOptions
) -> list[list[Prediction]]:
    """What a search of every recording predicts, by query."""
    collection = Collection([FeatureSource(part.features) for part in archive.parts])
    found = list(search(plan(QUERIES, collection), collection, finder, options))
    return [[each for each in found if each.query == query.text] for query in QUERIES]


def found_exactly(
    archive: FeatureArchive, bound: ScoreBound, options: AnswerOptions, top: int, **more: object
) -> list[ExactAnswer]:
    return list(exact_answers(archive, bound, QUERIES, options, top=top, **more))  # type: ignore[arg-type]


lengths = st.lists(st.sampled_from([0, 1, 7, 20, 31, 32, 33, 50, 90]), min_size=1, max_size=40)


@given(
    files=st.lists(lengths, min_size=1, max_size=2),
    top=st.integers(1, 12),
    recordings=st.booleans(),
    min_score=st.sampled_from([None, 0.2]),
)
@settings(max_examples=12)
def test_it_is_what_a_search_of_every_recording_finds(
    files: list[list[int]], top: int, recordings: bool, min_score: float | None
) -> None:
    best = best_recordings if recordings else best_over_all
    options = AnswerOptions(top_k=3, min_score=min_score)
    with TemporaryDirectory() as name:
        paths, first = [], 0
        for number, each in enumerate(files):
            paths.append(write_features(Path(name) / f"{number}.h5", each, first=first))
            first += len(each)
        with opened(paths, indexed=False) as (archive, bound, finder):
            for wanted, found in zip(
                exhaustive(archive, finder, options),
                found_exactly(archive, bound, options, top, recordings=recordings),
                strict=True,
            ):
                assert best(found.predictions, top) == best(wanted, top)
                assert found.missed == 0


@pytest.fixture(scope="module")
def feats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("exact") / "a.h5", [30, 41, 7, 64, 1, 25, 90, 33] * 15)


@pytest.mark.parametrize("indexed", [False, True])
def test_many_recordings_need_not_be_searched(feats: Path, indexed: bool) -> None:
    options = AnswerOptions(top_k=3)
    with opened([feats], indexed=indexed, weight=60.0, shift=-48.0) as (archive, bound, finder):
        wanted = exhaustive(archive, finder, options)
        found = found_exactly(archive, bound, options, 5)
        for one, other in zip(found, wanted, strict=True):
            assert best_over_all(one.predictions, 5) == best_over_all(other, 5)
        assert min(len(each.predictions) for each in found) <= 64 < len(archive.parts[0].features)
        assert all(len(each.predictions) <= each.searched for each in found)
        if indexed:  # for its rounding, more recordings are looked at than the network has to search
            assert any(len(each.predictions) < each.searched for each in found)


def test_where_the_search_is_cut_off_it_says_what_may_be_missing(feats: Path) -> None:
    options = AnswerOptions(top_k=3)
    with opened([feats], indexed=False) as (archive, bound, finder):
        wanted = exhaustive(archive, finder, options)
        for one, other in zip(found_exactly(archive, bound, options, 5, most=5), wanted, strict=True):
            assert len(one.predictions) == 5
            assert one.missed >= one.least
            searched = {each.vid for each in one.predictions}
            rest = [each.windows[0][2] for each in other if each.vid not in searched and each.windows]
            assert max(rest) <= one.missed + 1e-4


def test_a_search_goes_on_where_it_was_left(feats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick look and then the whole answer: the same answer, and no recording is searched twice."""
    options = AnswerOptions(top_k=3)
    with opened([feats], indexed=True) as (archive, bound, finder):
        asked: list[str] = []
        find = finder.find_excerpts
        monkeypatch.setattr(
            finder,
            "find_excerpts",
            lambda some, query: find(asked.extend(e.vid for e in some) or some, query),
        )
        at_once = QuerySearch(archive, bound, QUERIES[0], options, top=5).go_on(30)
        asked.clear()
        search = QuerySearch(archive, bound, QUERIES[0], options, top=5)
        first = search.go_on(5)
        assert len(first.predictions) == first.searched == 5
        assert search.go_on(30) == at_once
        assert len(asked) == len(set(asked)) == len(at_once.predictions)
        assert search.go_on(30) == at_once


def test_a_search_that_is_asked_to_stop_has_what_it_has(feats: Path) -> None:
    options = AnswerOptions(top_k=3)
    with opened([feats], indexed=False) as (archive, bound, _):
        search = QuerySearch(archive, bound, QUERIES[0], options, top=5)
        looks = iter([False, True, True])
        assert search.go_on(100, lambda: next(looks)).searched == LIKELY_FIRST
        assert search.go_on(None).missed == 0


def test_a_search_ends_where_few_are_likely_to_be_missing(
    feats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far it may be off is said, and never when nothing could be missing."""
    monkeypatch.setattr(odds_module, "FEWEST", LIKELY_FIRST)
    options = AnswerOptions(top_k=3)
    with opened([feats], indexed=False) as (archive, bound, finder):
        for one, other in zip(
            found_exactly(archive, bound, options, 5, most=110),
            exhaustive(archive, finder, options),
            strict=True,
        ):
            assert one.searched < 110
            assert 0 < one.missing <= MISSING_SHARE * 5
            wanted = best_over_all(other, 5)
            kept = [w for each in best_over_all(one.predictions, 5) for w in each.windows]
            assert len([w for each in wanted for w in each.windows if w in kept]) >= 4
        assert all(each.missing == 0 for each in found_exactly(archive, bound, options, 5))


@given(seed=st.integers(0, 1000), weight=st.floats(0.5, 30.0))
@settings(max_examples=5)
def test_no_score_is_above_its_bound(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as name:
        path = write_features(Path(name) / "a.h5", rng.integers(1, 100, 20).tolist(), first=seed)
        with opened([path], indexed=False, weight=weight) as (archive, bound, finder):
            [answers, *_] = exhaustive(archive, finder, AnswerOptions())
            level = levels_of(archive, bound, QUERIES[0]).level
            highest = dict(zip(archive.parts[0].ids, bound.highest_score(level), strict=True))
            for each in answers:
                assert all(score <= highest[each.vid] + 1e-4 for _, _, score in each.windows)


def test_a_network_that_is_not_calibrated_has_no_bound() -> None:
    network = toy_network()
    assert bound_of(MomentModel(Checkpoint(network.config, identity(), weights=network.state_dict()))) is None
    assert bound_of(None) is None


def test_only_what_its_exact_level_leaves_possible_is_searched(feats: Path) -> None:
    with opened([feats], indexed=False) as (archive, bound, _):
        highest = bound.highest_score(levels_of(archive, bound, QUERIES[0]).level)
    least = float(np.median(highest))
    with opened([feats], indexed=True) as (archive, bound, _):
        levels = levels_of(archive, bound, QUERIES[0])
        kept = still_possible(archive, bound, QUERIES[0], levels, np.arange(len(highest)), least)
    assert kept[highest > least + 2e-3].all()
    assert not kept[highest < least - 2e-3].any()
    assert 0.3 < kept.mean() < 0.7


def test_likely_ones_come_first_and_the_others_by_falling_level() -> None:
    level = np.array([0.1, 0.9, 0.5, 0.7, -np.inf, 0.3], dtype=np.float32)
    likely = np.array([-np.inf, 0.2, 0.6, 0.4, -np.inf, 0.5])
    numbers = np.arange(6)
    levels = Levels(numbers * 0, numbers, level, likely, np.zeros(0))
    assert levels.order(2).tolist() == [2, 5, 1, 3, 0, 4]
    assert levels.order(6).tolist() == [2, 5, 3, 1, 0, 4]
    assert levels.order(0).tolist() == [1, 3, 2, 5, 0, 4]


def test_rows_of_some_recordings() -> None:
    rows, start = rows_of(np.array([0, 2, 3]), np.array([0, 2, 5, 5, 7]))
    assert rows.tolist() == [0, 1, 5, 6]
    assert start.tolist() == [0, 2, 2, 4]


def test_the_signs_of_a_likely_score_are_those_of_each_recording() -> None:
    rng = np.random.default_rng(0)
    bound = ScoreBound(12.0, -2.0, 0.0, WINDOW)
    cosine = rng.exponential(size=90).astype(np.float32)
    signs = bound.own_signs(np.zeros(90, np.float32), cosine, np.array([0, 40, 41, 90]))
    for row, part in zip(signs, np.split(cosine.astype(np.float64), [40, 41]), strict=True):
        wanted = (part.std(), part.mean(), skew(part) if len(part) > 1 else 0.0)
        assert row[1:] == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_a_likely_score_is_below_the_bound_and_rises_with_what_spreads(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bound = ScoreBound(12.0, -2.0, 0.04, WINDOW)
    similarity = np.zeros(60, dtype=np.float32)
    flat = rng.uniform(-0.01, 0.01, 30).astype(np.float32)
    cosine = np.concatenate((flat, flat + np.float32(0.5) * (np.arange(30) < 10))).astype(np.float32)
    start = np.array([0, 30, 60])
    level = np.full(2, rng.uniform(-0.2, 0.6), dtype=np.float32)
    low, high = bound.likely(similarity, cosine, start, level)
    assert 0 < low < high < bound.highest_score(level)[1]
