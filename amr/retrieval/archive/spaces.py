"""Spaces that frames are indexed in: what becomes of a frame there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from amr.arrays import Float32Array, Int64Array
from amr.encoders.base import Encoder
from amr.formats.features.base import StoredFrames

Vector = Float32Array
Offsets = Int64Array

PROBE_FRAMES = 4


class Space(Protocol):
    """Where frames and queries are compared by inner products."""

    @property
    def model(self) -> str:
        """Whose space it is, by name; empty: the encoder's joint space."""
        ...

    def probe(self, dimension: int) -> Vector:
        """``(frames, dimensions)``: what a few fixed frames become, by which the space is recognised."""
        ...

    def basis(self) -> Vector | None:
        """``(axes, dimensions)``, orthonormal: the directions that an index keeps; None: the dimensions."""
        ...

    def values(self, frames: StoredFrames) -> Vector:
        """What frames ``(count, dimension)`` as stored become, each by itself: ``(count, dimensions)``.

        Called from several threads.
        """
        ...

    def working(self) -> AbstractContextManager[None]:
        """Around calls of :meth:`values` from as many threads as there are processors."""
        ...


@dataclass(frozen=True)
class JointSpace:
    """The space in which an encoder compares frames with sentences."""

    encoder: Encoder
    model: str = ""

    def probe(self, dimension: int) -> Vector:
        frames = np.random.default_rng(0).random((PROBE_FRAMES, dimension), dtype=np.float32)
        return self.encoder.joint_audio(frames)

    def basis(self) -> Vector | None:
        return None

    def values(self, frames: StoredFrames) -> Vector:
        return self.encoder.joint_audio(frames.astype(np.float32))

    def working(self) -> AbstractContextManager[None]:
        return nullcontext()
