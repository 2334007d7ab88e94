"""What of a query is not understood is said, and of ordinary queries nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from amr.encoders.english import is_english, may_be_of_anything
from amr.encoders.registry import load_encoder
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.retrieval.understanding import not_understood, said_in_vain, sentence_of
from amr.retrieval.window import default_options
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.limits import NOT_UNDERSTOOD, marked

TABLE = Path(__file__).parents[2] / "examples" / "understanding.csv"


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("no dog", ["negation"]),
        ("Rain WITHOUT thunder", ["negation"]),
        ("the dog doesn’t bark", ["negation"]),
        ("a knock not far away", []),
        ("two knocks", ["number"]),
        ("7 beeps", ["number"]),
        ("a dog barks several times", ["number"]),
        ("at times a dog barks", []),
        ("once the dog barks people run", ["order"]),
        ("a dog barks once", ["number"]),
        ("a dog barks and then a door slams", ["order"]),
        ("a mill next to a river", []),
        ("no dog barks twice after that", ["negation", "number", "order"]),
        ("someone coughs", []),
    ],
)
def test_words_that_no_model_understands(query: str, kinds: list[str]) -> None:
    assert said_in_vain(query) == kinds
    assert list(not_understood([query], object(), None)) == [kinds]  # type: ignore[arg-type]
    assert bool(sentence_of(kinds)) == bool(kinds)


@pytest.mark.parametrize(
    "foreign",
    [
        "wer hat gehustet",
        "un chien aboie",
        "el perro ladra",
        "собака лает",
        "狗在叫",
        "कुत्ता भौंक रहा है",
        "kot śpi",
    ],
)
def test_other_languages(foreign: str) -> None:
    assert not is_english(foreign)


@pytest.mark.parametrize(
    "english", ["a dog barks", "dog", "", "3", "a café full of chatter", "la la la sings a girl", "y"]
)
def test_english(english: str) -> None:
    assert is_english(english)


def test_questions_requests_and_what_nobody_hears() -> None:
    assert may_be_of_anything("what is the weather like")
    assert may_be_of_anything("Please summarise this")
    assert may_be_of_anything("the price of gold")
    assert not may_be_of_anything("a whatsit")


def test_the_encoder_says_what_it_knows_nothing_near() -> None:
    """At most one in a hundred of ordinary queries, and most of what it cannot know; see docs/encoders.md."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for row in rows if row["kind"] in ("sound", "language", "topic")][::3]
    encoder = load_encoder("yamnet")
    finder = WindowFinder(encoder, default_options("yamnet"))
    found = list(not_understood([row["query"] for row in chosen], finder, encoder))
    flagged = {
        kind: np.mean([bool(kinds) for row, kinds in zip(chosen, found, strict=True) if row["kind"] == kind])
        for kind in ("sound", "language", "topic")
    }
    assert flagged["sound"] == 0.0
    assert flagged["language"] > 0.9
    assert flagged["topic"] > 0.6
    examples = ["what is the weather like", "ein Hund bellt", "someone chops wood", "where does the dog bark"]
    assert list(not_understood(examples, finder, encoder)) == [["words"], ["language"], [], []]


def test_answers_carry_it() -> None:
    queries = [
        Query("no dog", extra={"note": 1}),
        Query("@no_2"),
        Query("dog", extra={NOT_UNDERSTOOD: ["order"]}),
    ]
    found = marked(queries, object(), None)  # type: ignore[arg-type]
    assert [query.extra for query in found] == [{"note": 1, NOT_UNDERSTOOD: ["negation"]}, {}, {}]
    answer = Prediction(1, "no dog", "x", windows=[], extra=found[0].extra)
    assert answer.record()[NOT_UNDERSTOOD] == ["negation"]
