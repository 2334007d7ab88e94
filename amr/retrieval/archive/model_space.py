"""The space of a network with prototypes (preset ``best``), for an index: whitened frames, by direction.

What becomes of a frame there depends on nothing but the frame; what a sentence becomes is the direction of
what it sounds like.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from amr.arrays import FloatingArray
from amr.formats.features.base import StoredFrames
from amr.functional import unit
from amr.models.frames.numpy_prototypes import NumpyPrototypes
from amr.models.threads import operation_threads
from amr.retrieval.archive.spaces import PROBE_FRAMES, Vector
from amr.retrieval.trained.model import MomentModel

# Axes of an index, at most (docs/measurements/0012-archive-search.md).
AXES = 128


@dataclass(frozen=True)
class ModelSpace:
    """Where a network compares frames with what sentences sound like, by their cosine.

    Args:
        model: its name, for the index's folder.
        prototypes: the network's.
    """

    model: str
    prototypes: NumpyPrototypes

    def probe(self, dimension: int) -> Vector:
        frames = np.random.default_rng(0).random((PROBE_FRAMES, dimension), dtype=np.float32)
        return self.values(frames)

    def basis(self) -> Vector:
        """The ``AXES`` directions that tell most of what training's sentences sound like.

        They come from the model, so that files that grow, and files beside each other, have the same.
        """
        sounds = self.prototypes.known().astype(np.float64)
        _, _, directions = np.linalg.svd(sounds, full_matrices=len(sounds) < sounds.shape[1])
        basis: Vector = directions[:AXES].astype(np.float32)
        return basis

    def values(self, frames: StoredFrames) -> Vector:
        return self.prototypes.directions(frames)

    def meaning(self, tokens: FloatingArray) -> Vector:
        """``(dimensions,)`` of a query's tokens ``(tokens, text_dim)``, a unit vector."""
        return unit(self.sound(tokens))

    def sound(self, tokens: FloatingArray) -> Vector:
        """The same at its own length: the longer, the more is known of what it sounds like."""
        return self.prototypes.meaning(tokens)

    def working(self) -> AbstractContextManager[None]:
        """Each thread computes alone: numpy's own would wait for each other by spinning."""
        return operation_threads(1)


def model_space_of(model: MomentModel) -> ModelSpace | None:
    """The space of its own in which a model compares frames with sentences; None where it has none."""
    prototypes = model.prototypes
    return None if prototypes is None else ModelSpace(model.name, prototypes)
