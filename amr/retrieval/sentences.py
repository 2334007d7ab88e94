"""Queries as vectors: encoded on the way, or stored beside the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from amr.arrays import Float32Array
from amr.encoders.base import Encoder, TextFeatures
from amr.formats.features.base import FeatureReader
from amr.formats.queries import Query

ROOM_BYTES = 64 * 2**20
"""Some five thousand sentences. As queries come in the same order for each recording, the first ones stay."""
POOLED_ROOM_BYTES = 128 * 2**20
"""Of sentence vectors alone some ninety thousand: what needs no token vectors encodes each sentence once."""


class Sentences(Protocol):
    """Where the token vectors of queries come from."""

    def tokens(self, queries: Sequence[Query]) -> list[Float32Array]:
        """``(tokens, text_dim)`` of each query."""
        ...


@dataclass
class EncodedSentences:
    """Queries encoded when they first come up, each distinct text once, as long as there is room for them."""

    encoder: Encoder
    _known: dict[str, TextFeatures] = field(default_factory=dict)
    _room_bytes: int = ROOM_BYTES
    _pooled: dict[str, Float32Array] = field(default_factory=dict)
    _pooled_room_bytes: int = POOLED_ROOM_BYTES

    def tokens(self, queries: Sequence[Query]) -> list[Float32Array]:
        return [features.tokens for features in self.features([query.text for query in queries])]

    def features(self, texts: Sequence[str]) -> list[TextFeatures]:
        """Token vectors and pooled vector of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        encoded = dict(zip(new, self.encoder.encode_text(new), strict=True)) if new else {}
        for text, features in encoded.items():
            self._room_bytes -= features.tokens.nbytes + features.pooled.nbytes
            if self._room_bytes > 0:
                self._known[text] = features
            if text not in self._pooled and self._pooled_room_bytes > 0:
                self._pooled_room_bytes -= features.pooled.nbytes
                self._pooled[text] = features.pooled.copy()
        return [encoded[text] if text in encoded else self._known[text] for text in texts]

    def pooled(self, texts: Sequence[str]) -> Float32Array:
        """``(texts, text_dim)``, the pooled vector of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._pooled]
        encoded = {text: each.pooled for text, each in zip(new, self.features(new), strict=True)}
        return np.stack([encoded[text] if text in encoded else self._pooled[text] for text in texts])


@dataclass(frozen=True)
class StoredSentences:
    """Queries whose vectors lie beside the features, for features of an encoder that is not here."""

    reader: FeatureReader

    def tokens(self, queries: Sequence[Query]) -> list[Float32Array]:
        return [self.reader.text(query.text, qid=query.qid).tokens for query in queries]
