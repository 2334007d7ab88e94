"""What of a query is not understood: negation, number and order by no model here; the rest the encoder knows.

``examples/understanding.py`` measures how often this is said of what; ``docs/encoders.md`` has the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from amr.encoders.base import KnowsItsLimits
from amr.retrieval.finders import Finder
from amr.retrieval.joining import JoiningFinder, parts_of
from amr.retrieval.parts import clauses
from amr.retrieval.sentences import EncodedSentences

NEGATION, NUMBER, ORDER, LANGUAGE, WORDS = "negation", "number", "order", "language", "words"

PATTERNS = {
    NEGATION: r"""
        \b(no|none|nobody|nothing|never|neither|nor|without|except|excluding|lacking|absent|cannot|non)\b
        | \bnot\b(?!\ (far|very|too|only|quite|long)\b) | n['’]t\b
        | \b(apart\ from|(other|rather)\ than)\b""",
    NUMBER: r"""
        \d | \b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty
        |\w+ty-\w+|hundreds?|thousands?|dozens?|once(?!\ (the|an?|it|they|he|she|\w+ed)\b)|twice|thrice
        |both|single|double|triple|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth
        |(pair|couple)\ of|(only|exactly|just)\ one)\b
        | (?<!\bat\ )\btimes\b""",
    ORDER: r"""
        \b(then|thence|thereafter|thereupon|after|afterwards?|before|beforehand|until|till|later
        |next(?!\ to\b)|subsequent(ly)?|succeeded\ by|followed\ by|follow(s|ing)?|prior\ to|preced(es|ed|ing)
        |since|first|last|finally|eventually|as\ soon\ as|once\ (the|an?|it|they|he|she|\w+ed)|in\ between
        |(begin|start|end|stop)s?\ when)\b""",
}
EXPRESSIONS = {kind: re.compile(pattern, re.IGNORECASE | re.VERBOSE) for kind, pattern in PATTERNS.items()}

SENTENCES = {
    NEGATION: "a negation is not understood: what is named is looked for",
    NUMBER: "a number is not understood: one sounds like many",
    ORDER: "an order in time is not understood: nothing is known of what comes before or after",
    LANGUAGE: "the encoder knows English only",
    WORDS: "the encoder knows no sound near these words",
}
"""What is said of each kind."""

ENCODED_AT_ONCE = 64


def said_in_vain(text: str) -> list[str]:
    """Which of negation, number and order a query speaks of."""
    return [kind for kind, expression in EXPRESSIONS.items() if expression.search(text)]


def not_understood(texts: Sequence[str], finder: Finder, encoder: object) -> Iterator[list[str]]:
    """What of each query is not understood, as kinds; an empty list where nothing is known to be wrong.

    Args:
        texts: the queries.
        finder: whose sentences are encoded once and remembered.
        encoder: of the search; None: only its words are looked at.
    """
    sentences = getattr(finder, "sentences", None)
    for start in range(0, len(texts), ENCODED_AT_ONCE):
        block = list(texts[start : start + ENCODED_AT_ONCE])
        limits: list[list[str]] = [[] for _ in block]
        if isinstance(encoder, KnowsItsLimits) and isinstance(sentences, EncodedSentences):
            limits = encoder.not_understood(block, sentences.pooled(block))
        for text, known in zip(block, limits, strict=True):
            parts = clauses(parts_of(text)) if isinstance(finder, JoiningFinder) else [text]
            in_vain = dict.fromkeys(kind for part in parts for kind in said_in_vain(part))
            yield [*known, *(in_vain if LANGUAGE not in known else [])]


def sentence_of(kinds: Sequence[str]) -> str:
    """What is said of a query."""
    return "; ".join(SENTENCES[kind] for kind in kinds)
