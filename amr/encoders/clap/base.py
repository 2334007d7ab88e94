"""What the encoders over LAION's and Microsoft's CLAP have in common: a projection from either side to the
joint space, and networks that are made when they are first needed.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from amr.arrays import Float32Array, Int64Array
from amr.encoders.base import TextFeatures
from amr.encoders.clap.weights import ClapWeights
from amr.encoders.english import is_english
from amr.encoders.running.textbatches import encode_by_length
from amr.errors import UsageError

if TYPE_CHECKING:
    import torch

    from amr.encoders.clap.htsat_runner import HtsAtRunner

LONGEST_HOP_S = 60


class ClapBase(ABC):
    """The part of :class:`amr.encoders.base.Encoder` that both have.

    Args:
        weights: found and opened when first needed.
        device: where the networks run, as torch names it.
        precision: ``float32``, ``bfloat16`` or ``float16``, of the audio network's products.
    """

    audio_projection: ClassVar[str]
    """Prefix of the projection's tensors."""
    text_projection: ClassVar[str]

    def __init__(self, weights: ClapWeights, device: str, precision: str) -> None:
        self.weights = weights
        self.device_name = device
        self.precision = precision
        self._building = threading.Lock()

    @abstractmethod
    def project(self, layers: dict[str, Float32Array], vectors: Float32Array) -> Float32Array:
        """Through the layers of a projection."""

    @abstractmethod
    def build_audio_network(self) -> HtsAtRunner:
        """The audio network on its device."""

    @abstractmethod
    def run_text(self, numbers: Int64Array) -> tuple[Float32Array, Float32Array]:
        """``(batch, tokens)`` to states ``(batch, tokens, 768)`` and sentences ``(batch, 768)``."""

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        """The language model's states ``(tokens, 768)``, marks included, and a vector ``(768,)`` for all."""
        return encode_by_length([self.weights.tokenise(query) for query in queries], self.run_text)

    def joint_audio(self, frames: Float32Array) -> Float32Array:
        """``(frames, 768)`` to unit vectors ``(frames, joint_dimension)``."""
        return self.joint(self.audio_projection, frames)

    def joint_text(self, pooled: Float32Array) -> Float32Array:
        """``(queries, 768)`` to unit vectors ``(queries, joint_dimension)``."""
        return self.joint(self.text_projection, pooled)

    def joint(self, projection: str, vectors: Float32Array) -> Float32Array:
        """Vectors in the joint space, each divided by its length."""
        layers = {name: np.asarray(v, np.float32) for name, v in self.weights.below(projection).items()}
        joint = self.project(layers, vectors.astype(np.float32))
        length = np.linalg.norm(joint, axis=-1, keepdims=True)
        unit: Float32Array = (joint / np.maximum(length, 1e-12)).astype(np.float32)
        return unit

    def not_understood(self, queries: list[str], pooled: Float32Array) -> list[list[str]]:  # noqa: ARG002
        """``language`` of queries that are not in English; of nearness nothing is known."""
        return [[] if is_english(query) else ["language"] for query in queries]

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:  # noqa: ARG002  # the protocol's
        """Nothing: the joint space has no axes with names."""
        return []

    @cached_property
    def device(self) -> torch.device:
        import torch

        return torch.device(self.device_name)

    @property
    def audio_network(self) -> HtsAtRunner:
        with self._building:  # frames are wanted from several threads
            return self._audio_network

    @cached_property
    def _audio_network(self) -> HtsAtRunner:
        return self.build_audio_network()


def whole_samples(name: str, hop_s: float, sample_rate_hz: int) -> int:
    """A hop of the encoder ``name`` in samples.

    Raises:
        UsageError: it is not positive, longer than a minute, or no whole number of samples.
    """
    samples = hop_s * sample_rate_hz
    if 0 < hop_s <= LONGEST_HOP_S and abs(samples - round(samples)) < 1e-6 * samples:
        return round(samples)
    hint = f"a hop is a whole number of samples at {sample_rate_hz} Hz, up to {LONGEST_HOP_S} s"
    raise UsageError(f"{name} has no frames every {hop_s:g} s", where="--hop", hint=hint)
