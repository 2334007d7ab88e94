"""The own space of a network with prototypes (preset ``best``), for an index: whitened frames, by direction.

What becomes of a frame there depends on nothing but the frame; what a sentence becomes is the direction of
what it sounds like.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from amr.formats.features import StoredFrames
from amr.models.frame_network import FrameNetwork, compressed
from amr.models.inputs import pad
from amr.models.prototypes import Prototypes, kernel
from amr.retrieval.detr import MomentModel
from amr.retrieval.spaces import PROBE_FRAMES, Vector

# Axes of an index, at most (docs/decisions/0012-archive-search.md).
AXES = 128


@dataclass(frozen=True)
class ModelSpace:
    """Where a network compares frames with what sentences sound like, by their cosine.

    Args:
        model: its name, for the index's folder.
        network: in evaluation mode.
        prototypes: the network's.
    """

    model: str
    network: FrameNetwork
    prototypes: Prototypes

    def probe(self, dimension: int) -> Vector:
        frames = np.random.default_rng(0).random((PROBE_FRAMES, dimension), dtype=np.float32)
        return self.values(frames)

    def basis(self) -> Vector:
        """The ``AXES`` directions that tell most of what training's sentences sound like.

        They come from the model, so that files that grow, and files beside each other, have the same.
        """
        with torch.inference_mode():
            known = self.prototypes.support[self.prototypes.support.abs().sum(1) > 0]
            sounds = functional.normalize(
                kernel(known, self.prototypes.support) @ self.prototypes.duals, dim=-1
            )
            _, _, directions = torch.linalg.svd(sounds.double(), full_matrices=True)
        basis: Vector = directions[:AXES].float().cpu().numpy()
        return basis

    def values(self, frames: StoredFrames) -> Vector:
        audio = torch.from_numpy(frames.astype(np.float32)).to(self.prototypes.duals.device)
        with torch.inference_mode():
            values: Vector = self.prototypes.heard(compressed(audio)).cpu().numpy()
        return values

    def meaning(self, tokens: npt.NDArray[np.floating]) -> Vector:
        """``(dimensions,)`` of a query's tokens ``(tokens, text_dim)``, a unit vector."""
        padded, _ = pad([tokens[: self.network.config.max_tokens]])
        with torch.inference_mode():
            meant = self.prototypes.meaning(padded.to(self.prototypes.duals.device), None)
            vector: Vector = functional.normalize(meant, dim=-1)[0].cpu().numpy()
        return vector

    @contextmanager
    def working(self) -> Iterator[None]:
        """Each thread computes alone: torch's own would wait for each other by spinning."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def own_space(model: MomentModel) -> ModelSpace | None:
    """The space of its own in which a model compares frames with sentences; None where it has none."""
    network = model.network
    if not isinstance(network, FrameNetwork) or network.prototypes is None:
        return None
    return ModelSpace(model.name, network, network.prototypes)
