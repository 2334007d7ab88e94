"""Sentences of several sounds are taken apart, and what is found for the parts is joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

import amr
from amr.encoders.registry import load_encoder
from amr.formats.queries import Query
from amr.moments import Moment
from amr.retrieval.finders import Answer
from amr.retrieval.joining import JoiningFinder, joined
from amr.retrieval.parts import AT_ONCE, BOTH, IN_ORDER, Part, Together, taken_apart
from amr.retrieval.recordings import RecordingFrames, length_only
from amr.retrieval.understanding import not_understood


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a dog barks while a car passes", Together(AT_ONCE, ("a dog barks", "a car passes"))),
        ("While a dog  barks , rain falls.", Together(AT_ONCE, ("a dog barks", "rain falls"))),
        ("someone coughs as the bell rings", Together(AT_ONCE, ("someone coughs", "the bell rings"))),
        ("a man talking while cutting wood", Together(AT_ONCE, ("a man talking", "cutting wood"))),
        ("a door slams and someone laughs", Together(BOTH, ("a door slams", "someone laughs"))),
        ("a bang followed by a scream", Together(IN_ORDER, ("a bang", "a scream"))),
        ("a dog barks, and then a door slams", Together(IN_ORDER, ("a dog barks", "a door slams"))),
        (
            "dogs bark and people shout while music plays",
            Together(AT_ONCE, (Together(BOTH, ("dogs bark", "people shout")), "music plays")),
        ),
    ],
)
def test_several_sounds(text: str, parts: Part) -> None:
    assert taken_apart(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "a dog",
        "a man and a woman talking",
        "a cat and a dog fight",
        "thunder and rain",
        "a man hits pots and pans",
        "a man talks and laughs loudly",
        "a dog barks again and again",
        "a gate creaks and falls shut.",
        "a dog barks twice and then stops",
        "an engine idles and then is turned off",
        "pedalling and chain noise",
        "bells as well as whistles",
        "as loud as a train",
        "a bird sings as if it were spring",
        "a dog barks while a car passes while a bell rings while rain falls while people talk",
        "while a dog barks, " * 500 + "rain falls",
        "and",
        "while",
        "",
    ],
)
def test_one_sound_stays_whole(text: str) -> None:
    assert taken_apart(text) == text


A = [Moment(0, 10, 0.9), Moment(30, 34, 0.4)]
B = [Moment(6, 12, 0.4), Moment(33, 40, 0.9), Moment(50, 51, 0.1)]


@pytest.mark.parametrize(
    ("how", "first", "second", "spans"),
    [
        (AT_ONCE, A, B, [(6, 10), (33, 34)]),
        (BOTH, A, B, [(0, 12), (30, 40)]),
        (BOTH, [Moment(13, 14, 0.9)], [Moment(6, 10, 0.4)], [(6, 14)]),
        (BOTH, [Moment(13.5, 14, 0.9)], [Moment(6, 10, 0.4)], []),
        (IN_ORDER, [Moment(13, 14, 0.9)], [Moment(6, 10, 0.4)], []),
        (IN_ORDER, [Moment(6, 10, 0.9)], [Moment(13, 14, 0.4)], [(6, 14)]),
        (AT_ONCE, [Moment(0, 5, 0.9)], [Moment(4.6, 9, 0.4)], []),
    ],
)
def test_moments_are_joined(
    how: str, first: list[Moment], second: list[Moment], spans: list[tuple[float, float]]
) -> None:
    found = joined(how, first, second)
    assert [(each.start_s, each.end_s) for each in found] == spans
    assert all(each.score == pytest.approx(0.6) for each in found)


@dataclass
class Known:
    """A finder that has its answers from a table."""

    answers: dict[str, list[Moment]]
    needs_frames: bool = False
    asked: list[str] = field(default_factory=list)

    def find(self, requests: Iterable[tuple[RecordingFrames, Sequence[Query]]]) -> Iterator[list[Answer]]:
        for _, queries in list(requests):  # ahead of its answers, as a network that works in batches
            self.asked += [query.text for query in queries]
            yield [
                Answer(self.answers.get(query.text, []), np.array([len(query.text)], np.float32))
                for query in queries
            ]


def test_answers_come_from_the_parts_or_else_the_whole() -> None:
    whole = [Moment(1, 2, 0.5)]
    texts = [
        "a dog",
        "dogs bark while rain falls",
        "dogs bark while wind blows",
        "a dog like:bark.wav and so on",
    ]
    finder = Known(dict.fromkeys(texts, whole) | {"dogs bark": A, "rain falls": B})
    recordings = [length_only("one", 60.0), length_only("two", 60.0)]
    queries = [Query(text) for text in texts]
    answers = list(JoiningFinder(finder).find((each, queries) for each in recordings))
    assert len(answers) == 2
    for of_one in answers:
        assert [each.moments for each in of_one] == [whole, joined(AT_ONCE, A, B), whole, whole]
        curves = [each.saliency for each in of_one]
        assert [int(curve[0]) for curve in curves if curve is not None] == [len(text) for text in texts]
    assert finder.asked[:4] == ["a dog", "dogs bark while rain falls", "dogs bark", "rain falls"]


def test_an_order_is_understood_where_it_is_looked_for() -> None:
    finder = JoiningFinder(Known({}))
    texts = ["a dog barks, then a door slams", "two dogs bark, then a door slams", "first a dog"]
    assert list(not_understood(texts, finder, None)) == [[], ["number"], ["order"]]
    assert list(not_understood(texts[:1], Known({}), None)) == [["order"]]


def test_only_what_was_measured_takes_sentences_apart() -> None:
    yamnet, finder = load_encoder(), Known({})
    assert isinstance(amr.load_model("best").joining(finder, yamnet), JoiningFinder)
    assert isinstance(amr.load_model("window").joining(finder, yamnet), JoiningFinder)
    assert amr.load_model("window").joining(finder, None) is finder
    own = amr.load_model(amr.tasks.networks.shipped_path())
    assert own.joining(finder, yamnet) is finder


def test_the_model_that_comes_with_it_joins() -> None:
    """Two bursts of noise that overlap: the sentence's answer is joined of those to its parts."""
    noise = np.random.default_rng(0).standard_normal(16_000 * 8).astype(np.float32) * 0.1
    model = amr.load_model("best")
    recording = model.encode((noise, 16_000))
    both, one, other = model.find(["rain falls while wind blows", "rain falls", "wind blows"], recording)
    expected = joined(AT_ONCE, [Moment(*each) for each in one], [Moment(*each) for each in other])
    assert expected
    assert both[0].score == pytest.approx(expected[0].score, abs=1e-3)
