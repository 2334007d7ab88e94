"""The 521 sounds, and how a sentence is understood as a mixture of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from amr.encoders.base import FloatFrames
from amr.encoders.weightfiles import Tensors, dequantise_rows

# Chosen on the open training clips: see docs/decisions/0002-embedded-encoder.md.
SHARPNESS = 30.0


@dataclass(frozen=True)
class SoundClass:
    """One of AudioSet's classes: its display name, and sentences that describe it."""

    name: str
    prompts: tuple[str, ...]


def read_classes(path: Path) -> list[SoundClass]:
    """The classes of a ``classes.tsv``: number, name, then prompts between ``|``; in the network's order."""
    classes: list[SoundClass] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        number, name, prompts = line.split("\t")
        if int(number) != len(classes):
            raise ValueError(f"{path}: class {number} stands in row {len(classes)}")
        classes.append(SoundClass(name, tuple(prompts.split("|"))))
    return classes


class PromptBank:
    """Compares sentence vectors with every class's prompts.

    Args:
        tensors: ``embedding`` (prompts, 384) as int8 rows, and ``class`` (prompts,), rising.
    """

    def __init__(self, tensors: Tensors) -> None:
        embedding = dequantise_rows(tensors, "embedding")
        self.embedding = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
        self.first_prompt: npt.NDArray[np.intp] = np.unique(tensors["class"], return_index=True)[1]

    def mixture(self, pooled: FloatFrames) -> FloatFrames:
        """``(queries, 384)`` unit vectors to ``(queries, classes)`` weights that sum to one.

        t = softmax(tau * cosine of the query and the class's nearest prompt).
        """
        cosine = pooled @ self.embedding.T
        nearest = np.maximum.reduceat(cosine, self.first_prompt, axis=1)
        weights = np.exp(SHARPNESS * (nearest - nearest.max(axis=1, keepdims=True)))
        result: FloatFrames = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        return result
