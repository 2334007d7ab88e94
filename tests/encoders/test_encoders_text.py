"""Sentences: token ids, vectors, and the classes that they are understood as."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.encoders.yamnet.encoder import YamnetEncoder
from amr.encoders.yamnet.minilm import MAX_TOKENS
from amr.encoders.yamnet.prompts import MEAN_SHARE, SHARPNESS
from amr.encoders.yamnet.wordpiece import wordpiece

DATA = Path(__file__).parents[1] / "data"
sys.path.insert(0, str(DATA))
from minilm_golden import TEXTS  # noqa: E402  (the texts live beside the golden file)

IDS: list[tuple[str, list[int]]] = json.loads((DATA / "wordpiece_golden.json").read_text())["ids"]
GOLDEN = np.load(DATA / "minilm_golden.npz")


@pytest.fixture(scope="module")
def encoder() -> YamnetEncoder:
    return YamnetEncoder()


@pytest.mark.parametrize(("text", "ids"), IDS)
def test_ids_equal_the_tokenizers_library(encoder: YamnetEncoder, text: str, ids: list[int]) -> None:
    assert encoder.tokenizer(text) == ids


@given(st.text(max_size=40))
@settings(max_examples=200)
def test_any_text_has_ids(text: str) -> None:
    tokenize = wordpiece(b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\n!\n")
    ids = tokenize(text)
    assert (ids[0], ids[-1]) == (2, 3)
    assert all(0 <= number < 8 for number in ids)


def test_pieces_are_the_longest_from_the_left() -> None:
    tokenize = wordpiece(b"[UNK]\n[CLS]\n[SEP]\nun\nunder\n##stand\n##s\n##der\n")
    assert tokenize("understands") == [1, 4, 5, 6, 2]
    assert tokenize("unx") == [1, 0, 2]


def test_half_characters_are_left_out(encoder: YamnetEncoder) -> None:
    """An argument of the command line in another encoding has them."""
    assert encoder.tokenizer("a dog\udcff barks") == encoder.tokenizer("a dog barks")


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_sentences_equal_transformers(encoder: YamnetEncoder, number: int) -> None:
    [features] = encoder.encode_text([TEXTS[number]])
    np.testing.assert_allclose(features.pooled, GOLDEN[f"shipped.{number}.pooled"], atol=2e-6, rtol=0)
    cosine = features.pooled @ GOLDEN[f"original.{number}.pooled"]
    assert cosine > (0.999 if TEXTS[number] else 0.995)  # what eight bits cost; most for the empty sentence


def test_tokens_equal_transformers_and_average_to_the_sentence(encoder: YamnetEncoder) -> None:
    [features] = encoder.encode_text([TEXTS[0]])
    np.testing.assert_allclose(features.tokens, GOLDEN["shipped.0.tokens"], atol=2e-5, rtol=0)
    mean = features.tokens.mean(axis=0)
    np.testing.assert_allclose(features.pooled, mean / np.linalg.norm(mean), atol=1e-6, rtol=0)


def test_a_sentence_does_not_depend_on_its_neighbours(encoder: YamnetEncoder) -> None:
    together = encoder.encode_text([*TEXTS, *TEXTS, "a cat barking"])
    for text, features in zip([*TEXTS, *TEXTS], together, strict=False):
        [alone] = encoder.encode_text([text])
        assert features.tokens.shape == alone.tokens.shape
        np.testing.assert_allclose(features.tokens, alone.tokens, atol=2e-5, rtol=0)
    assert encoder.encode_text([]) == []


def test_very_long_texts_end_at_the_models_limit(encoder: YamnetEncoder) -> None:
    long, longer = encoder.encode_text(["dog " * 400, "dog " * 254 + "cat " * 100])
    assert long.tokens.shape == (MAX_TOKENS, 384)
    np.testing.assert_allclose(long.pooled, longer.pooled, atol=1e-6, rtol=0)


def test_mixture_is_the_softmax_it_says(encoder: YamnetEncoder) -> None:
    pooled = np.stack([features.pooled for features in encoder.encode_text(["a dog barking", "rain"])])
    bank = encoder.prompt_bank
    ends = [*bank.first_prompt[1:], len(bank.embedding)]
    for vector, weights in zip(pooled, encoder.joint_text(pooled), strict=True):
        likeness = []
        for start, end in zip(bank.first_prompt, ends, strict=True):
            cosines = [float(vector @ prompt) for prompt in bank.embedding[start:end]]
            likeness.append((1 - MEAN_SHARE) * max(cosines) + MEAN_SHARE * sum(cosines) / len(cosines))
        slow = np.exp(SHARPNESS * np.array(likeness))
        np.testing.assert_allclose(weights, slow / slow.sum(), atol=1e-5, rtol=0)
        assert weights.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a dog barking", "Bark"),
        ("someone hoovering the carpet", "Vacuum cleaner"),
        ("an infant wailing", "Baby cry, infant cry"),
        ("rain drumming on a tin roof", "Rain on surface"),
        ("police car racing past with its siren on", "Police car (siren)"),
        ("keys being typed on a laptop", "Computer keyboard"),
        ("a person strums an acoustic guitar", "Acoustic guitar"),
    ],
)
def test_a_query_is_understood(encoder: YamnetEncoder, query: str, expected: str) -> None:
    named = encoder.explain(query, 3)
    assert expected in [name for name, _ in named]
    assert [weight for _, weight in named] == sorted((weight for _, weight in named), reverse=True)
