"""Queries as vectors: encoded on the way, or stored beside the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from amr.encoders.base import Encoder, TextFeatures
from amr.formats.features import FeatureReader
from amr.formats.queries import Query

FloatArray = npt.NDArray[np.float32]


class Sentences(Protocol):
    """Where the token vectors of queries come from."""

    def tokens(self, queries: Sequence[Query]) -> list[FloatArray]:
        """``(tokens, text_dim)`` of each query."""
        ...


@dataclass
class EncodedSentences:
    """Queries encoded when they are first asked, each distinct text once."""

    encoder: Encoder
    _known: dict[str, TextFeatures] = field(default_factory=dict)

    def tokens(self, queries: Sequence[Query]) -> list[FloatArray]:
        return [features.tokens for features in self.features([query.text for query in queries])]

    def features(self, texts: Sequence[str]) -> list[TextFeatures]:
        """Token vectors and pooled vector of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self.encoder.encode_text(new), strict=True))
        return [self._known[text] for text in texts]


@dataclass(frozen=True)
class StoredSentences:
    """Queries whose vectors lie beside the features, for features of an encoder that is not here."""

    reader: FeatureReader

    def tokens(self, queries: Sequence[Query]) -> list[FloatArray]:
        return [self.reader.text(query.text, qid=query.qid).tokens for query in queries]
