"""all-MiniLM-L6-v2: a sentence into one vector a token and one for the whole.

A BERT encoder of six layers (Reimers & Gurevych 2019 for the training; Wang et al. 2020, MiniLM, for the
network). It runs in numpy: a query takes some 15 ms, and a command that reads stored features need not wait
two seconds for torch. Sentences of one length are computed together and none is ever padded, so that a
sentence's vectors depend on that sentence alone.
"""

from __future__ import annotations

import numpy as np

from amr.arrays import Float32Array, Int64Array
from amr.encoders.base import TextFeatures
from amr.encoders.yamnet.weightfiles import Tensors, dequantise_rows
from amr.functional import gelu, layer_norm, softmax

NUM_LAYERS = 6
NUM_HEADS = 12
DIMENSION = 384
MAX_TOKENS = 256  # the published model's own limit; the tokens behind it are not looked at
LAYER_NORM_EPSILON = 1e-12
MAX_BATCH_TOKENS = 4096  # bounds the memory of a batch of long texts


class MiniLM:
    """The network.

    Args:
        tensors: the published names; matrices as int8 rows with ``NAME.scale``, vectors as float32.
    """

    def __init__(self, tensors: Tensors) -> None:
        words = "embeddings.word_embeddings.weight"
        # Most of the model is the table of words: it stays int8, only the rows of a text are opened.
        self.word_rows = tensors[words]
        self.word_scale: Float32Array = tensors[f"{words}.scale"].astype(np.float32)
        self.weights: dict[str, Float32Array] = {
            name: dequantise_rows(tensors, name) if f"{name}.scale" in tensors else tensor.astype(np.float32)
            for name, tensor in tensors.items()
            if not name.endswith(".scale") and name != words
        }

    def encode(self, texts: list[list[int]]) -> list[TextFeatures]:
        """Features of tokenised texts, each of which ends in [SEP].

        ``tokens`` are the last layer's states, [CLS] and [SEP] among them; ``pooled`` is their mean, unit
        length.
        """
        texts = [ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]] for ids in texts]
        features: dict[int, TextFeatures] = {}
        for length in sorted({len(ids) for ids in texts}):
            members = [number for number, ids in enumerate(texts) if len(ids) == length]
            step = max(1, MAX_BATCH_TOKENS // length)
            for batch in (members[start : start + step] for start in range(0, len(members), step)):
                states = self.states(np.array([texts[number] for number in batch]))
                pooled = states.mean(axis=1)
                pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
                features.update(zip(batch, map(TextFeatures, states, pooled), strict=True))
        return [features[number] for number in range(len(texts))]

    def states(self, ids: Int64Array) -> Float32Array:
        """``(batch, tokens)`` ids to ``(batch, tokens, 384)`` last hidden states."""
        words: Float32Array = self.word_rows[ids].astype(np.float32) * self.word_scale[ids][..., None]
        positions = self.weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = words + positions + self.weights["embeddings.token_type_embeddings.weight"][0]
        x = self.layer_norm(x, "embeddings.LayerNorm")
        for layer in range(NUM_LAYERS):
            prefix = f"encoder.layer.{layer}"
            attended = self.linear(
                self.attention(x, f"{prefix}.attention.self"), f"{prefix}.attention.output.dense"
            )
            x = self.layer_norm(x + attended, f"{prefix}.attention.output.LayerNorm")
            inner = gelu(self.linear(x, f"{prefix}.intermediate.dense"))
            x = self.layer_norm(
                x + self.linear(inner, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm"
            )
        return x

    def attention(self, x: Float32Array, prefix: str) -> Float32Array:
        """Every token looks at every token; there is no padding to hide."""
        batch, tokens, _ = x.shape

        def heads(name: str) -> Float32Array:  # (batch, heads, tokens, head_dim)
            projected = self.linear(x, f"{prefix}.{name}")
            split: Float32Array = projected.reshape(batch, tokens, NUM_HEADS, -1).transpose(0, 2, 1, 3)
            return split

        query, key, value = heads("query"), heads("key"), heads("value")
        weights = softmax(query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(DIMENSION / NUM_HEADS)))
        mixed: Float32Array = (weights @ value).transpose(0, 2, 1, 3).reshape(batch, tokens, DIMENSION)
        return mixed

    def linear(self, x: Float32Array, name: str) -> Float32Array:
        product: Float32Array = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return product

    def layer_norm(self, x: Float32Array, name: str) -> Float32Array:
        normed = layer_norm(x, LAYER_NORM_EPSILON)
        return normed * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
