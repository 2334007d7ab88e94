"""A search that stays open answers as ``amr predict`` does, over all recordings and over some of them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import amr
from amr.formats.features.output import open_feature_output
from amr.formats.features.read import FeatureFile
from amr.formats.queries import Query
from amr.moments import Span
from amr.retrieval.archive import exact
from amr.retrieval.search import AnswerOptions
from amr.tasks.archive import Ranking, make_indexes
from amr.tasks.inputs import SearchInputs, open_search
from amr.tasks.learned import learn
from amr.tasks.models import load_model
from amr.tasks.networks import AUTO
from amr.tasks.search import ALONE, WHOLE, answers
from amr.tasks.standing import MOST_UNDER_WAY, standing

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
WORDS = ("a sheep bleats", "someone chops wood", "people are talking")
KEPT = AnswerOptions(merge=True)
TOP = 6


@pytest.fixture(scope="module")
def feats(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example recordings in twelve turns, each turned round, with indexes."""
    folder = tmp_path_factory.mktemp("standing")
    amr.extract(AUDIO, folder / "one.h5")
    with (
        FeatureFile(folder / "one.h5") as one,
        open_feature_output(folder / "feats.h5", identity_json=one.identity_json, store="float16") as writer,
    ):
        for turn, (number, vid) in product(range(12), enumerate(one.ids)):
            frames = np.roll(one.rows(*one.start[number : number + 2]), 7 * turn, axis=0)
            writer.add(f"{vid}-{turn}", frames, duration_s=float(one.durations_s[number]))
    with open_search(SearchInputs([str(folder / "feats.h5")], []), [], load_model(AUTO)) as search:
        make_indexes(search)
    return str(folder / "feats.h5")


@pytest.mark.parametrize("words", WORDS)
def test_it_answers_as_the_command_line(feats: str, words: str) -> None:
    query = Query(words)
    with open_search(SearchInputs([feats], []), [], load_model(AUTO)) as search:
        wanted = list(answers(search, [query], Ranking(TOP), KEPT, WHOLE, ALONE))
        with standing(search) as open_:
            assert open_.archive is not None
            assert open_.ask([query], top=TOP, kept=KEPT) == wanted


def test_a_quick_look_is_gone_on_with(feats: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames of no recording are read twice, unless the question means something else by then."""
    query, read = Query(WORDS[1]), []
    whole = exact.whole
    monkeypatch.setattr(exact, "whole", lambda part, number: read.append(number) or whole(part, number))
    with open_search(SearchInputs([feats], []), [], load_model(AUTO)) as search, standing(search) as open_:
        wanted = open_.ask([query], top=TOP, kept=KEPT)
        open_._under_way.clear()
        read.clear()
        quick = open_.ask([query], top=TOP, kept=KEPT, shortlist=TOP)
        assert len(read) == TOP
        assert open_.ask([query], top=TOP, kept=KEPT) == wanted
        assert len(read) == len(set(read)) == len(search.collection)
        assert open_.ask([query], top=TOP, kept=KEPT) == wanted
        assert len(read) == len(search.collection)
        learn(search, query.text, [(quick[0].vid, Span(0.0, 2.0))], [], name=query.text)
        assert open_.ask([query], top=TOP, kept=KEPT) != wanted
        assert len(read) > len(search.collection)
        for number in range(2 * MOST_UNDER_WAY):
            open_.ask([query], top=TOP + number, kept=KEPT, shortlist=TOP)
        assert len(open_._under_way) == MOST_UNDER_WAY


def test_of_some_recordings_the_best_of_them_are_found(feats: str) -> None:
    with open_search(SearchInputs([feats], []), [], load_model(AUTO)) as search, standing(search) as open_:
        whole = open_.ask([Query(WORDS[0])], top=50, kept=KEPT)
        among = {each.vid for each in whole[1::2]}
        found = open_.ask([Query(WORDS[0])], top=TOP, kept=KEPT, among=among)
        assert {each.vid for each in found} <= among
        scores = sorted((w[2] for each in whole if each.vid in among for w in each.windows), reverse=True)
        assert sorted((w[2] for each in found for w in each.windows), reverse=True) == scores[:TOP]
        assert open_.ask([Query(WORDS[0])], top=TOP, kept=KEPT, among=set()) == []
