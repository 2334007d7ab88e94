"""The 521 sounds, and how a sentence is understood as a mixture of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amr.arrays import Float32Array, IntpArray
from amr.encoders.yamnet.weightfiles import Tensors, dequantise_rows

# Chosen on the open training clips: see docs/measurements/0002-embedded-encoder.md.
SHARPNESS = 20.0  # tau of the softmax over classes
# Chosen on examples/understanding.csv and captions of the field, by examples/understanding.py.
LEAST_NEARNESS = 0.42  # of a caption to the nearest prompt
LEAST_IN_DOUBT = 0.60  # of a question, and of what speaks of colours, prices and the like
MEAN_SHARE = 0.25  # of the mean over a class's prompts; the rest is the nearest prompt's


@dataclass(frozen=True)
class SoundClass:
    """One of AudioSet's classes.

    Args:
        name: its display name.
        usual: its log probability in ordinary sound: the mean of log(p + 1e-4) over the open training
            clips (one vote a label) and backgrounds, half and half. What the network finds everywhere means
            little: classes are compared by how far they rise above this. The command
            ``tests/benchmarks/zero_shot.py --usual`` prints it.
        prompts: sentences that describe it.
    """

    name: str
    usual: float
    prompts: tuple[str, ...]


def read_classes(path: Path) -> list[SoundClass]:
    """The classes of a ``classes.tsv``, in the network's order.

    A line holds number, name, usual level and prompts, with tabs between them and ``|`` between prompts.
    """
    classes: list[SoundClass] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        number, name, usual, prompts = line.split("\t")
        if int(number) != len(classes):
            raise ValueError(f"{path}: class {number} stands in row {len(classes)}")
        classes.append(SoundClass(name, float(usual), tuple(prompts.split("|"))))
    return classes


class PromptBank:
    """Compares sentence vectors with every class's prompts.

    Args:
        tensors: ``embedding`` (prompts, 384) as int8 rows, and ``class`` (prompts,), rising.
    """

    def __init__(self, tensors: Tensors) -> None:
        embedding = dequantise_rows(tensors, "embedding")
        self.embedding = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
        first, count = np.unique(tensors["class"], return_index=True, return_counts=True)[1:]
        self.first_prompt: IntpArray = first
        self.num_prompts: IntpArray = count

    def nearness(self, pooled: Float32Array) -> Float32Array:
        """``(queries, 384)`` unit vectors to ``(queries,)``, the cosine to the nearest of all prompts."""
        nearest: Float32Array = (pooled @ self.embedding.T).max(axis=1)
        return nearest

    def mixture(self, pooled: Float32Array) -> Float32Array:
        """``(queries, 384)`` unit vectors to ``(queries, classes)`` weights that sum to one.

        t = softmax(tau * s), where s is the query's cosine to the class's nearest prompt, drawn a little
        towards the mean over all of its prompts.
        """
        cosine = pooled @ self.embedding.T
        nearest = np.maximum.reduceat(cosine, self.first_prompt, axis=1)
        mean = np.add.reduceat(cosine, self.first_prompt, axis=1) / self.num_prompts
        likeness = (1.0 - MEAN_SHARE) * nearest + MEAN_SHARE * mean
        weights = np.exp(SHARPNESS * (likeness - likeness.max(axis=1, keepdims=True)))
        result: Float32Array = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        return result
