"""Sentences of a long list are encoded once where there is room for what is needed of them."""

from __future__ import annotations

import numpy as np
from archive_world import ToyEncoder

from amr.encoders.base import TextFeatures
from amr.formats.queries import Query
from amr.retrieval.sentences import EncodedSentences

TEXTS = ["rain", "a dog barks", "a train", "rain"]


class CountingEncoder(ToyEncoder):
    """Counts the sentences that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        self.count += len(queries)
        return super().encode_text(queries)


def test_sentence_vectors_are_kept_where_tokens_have_no_room() -> None:
    encoder = CountingEncoder()
    sentences = EncodedSentences(encoder, _room_bytes=0)
    first = sentences.pooled(TEXTS)
    assert np.array_equal(first, np.stack([each.pooled for each in ToyEncoder().encode_text(TEXTS)]))
    assert encoder.count == 3
    assert np.array_equal(sentences.pooled(TEXTS[:2]), first[:2])
    assert encoder.count == 3
    sentences.tokens([Query("rain")])
    assert encoder.count == 4


def test_room_for_sentence_vectors_is_bounded() -> None:
    encoder = CountingEncoder()
    sentences = EncodedSentences(encoder, _room_bytes=0, _pooled_room_bytes=1)
    for _ in range(2):
        sentences.pooled(TEXTS)
    assert encoder.count == 3 + 2


def test_tokens_that_are_asked_for_again_take_no_room_of_others() -> None:
    encoder = CountingEncoder()
    size = ToyEncoder().encode_text(["rain"])[0].pooled.nbytes
    sentences = EncodedSentences(encoder, _room_bytes=0, _pooled_room_bytes=2 * size)
    for _ in range(3):
        sentences.tokens([Query("rain")])
    sentences.pooled(["a dog barks"])
    before = encoder.count
    sentences.pooled(["rain", "a dog barks"])
    assert encoder.count == before
