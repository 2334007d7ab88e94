"""Sentences of one length are computed together, and none is ever padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from amr.arrays import Float32Array, Int64Array
from amr.encoders.base import TextFeatures

MAX_BATCH_TOKENS = 2048  # bounds the memory of a batch of long texts

TextNetwork = Callable[[Int64Array], tuple[Float32Array, Float32Array]]


def encode_by_length(texts: Sequence[Sequence[int]], network: TextNetwork) -> list[TextFeatures]:
    """Features of tokenised texts, in their order; each distinct text goes through the network once.

    Args:
        network: ``(batch, tokens)`` to ``(batch, tokens, dim)`` states and ``(batch, dim)`` sentences.
    """
    features: dict[tuple[int, ...], TextFeatures] = {}
    distinct = list(dict.fromkeys(map(tuple, texts)))
    for length in sorted({len(text) for text in distinct}):
        members = [text for text in distinct if len(text) == length]
        step = max(1, MAX_BATCH_TOKENS // max(1, length))
        for batch in (members[start : start + step] for start in range(0, len(members), step)):
            states, pooled = network(np.array(batch, dtype=np.int64))
            features.update(zip(batch, map(TextFeatures, states, pooled), strict=True))
    return [features[tuple(text)] for text in texts]
