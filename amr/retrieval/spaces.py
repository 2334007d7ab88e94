"""Spaces that frames are indexed in: what is read of a feature file for it, and what becomes of that."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from amr.encoders.base import Encoder
from amr.formats.features import StoredFrames
from amr.formats.features_rows import FeatureRows

Vector = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]

PROBE_FRAMES = 4


@dataclass(frozen=True)
class Rows:
    """Frames of a feature file, which alone decide what they become in a space.

    Args:
        frames: ``(count, dimension)`` as stored.
    """

    frames: StoredFrames

    def digest(self) -> bytes:
        """Equal for equal rows."""
        return hashlib.sha256(self.frames.data).digest()


class Space(Protocol):
    """Where frames and queries are compared by inner products."""

    @property
    def model(self) -> str:
        """Whose own space it is; empty: the encoder's joint space."""
        ...

    def probe(self, dimension: int) -> Vector:
        """``(frames, dimensions)``: what a few fixed frames become, by which the space is recognised."""
        ...

    def basis(self) -> Vector | None:
        """``(axes, dimensions)``, orthonormal: the directions that an index keeps; None: the dimensions."""
        ...

    def read(self, features: FeatureRows, first: int, stop: int) -> Rows:
        """What decides the values of the rows ``first..stop - 1``."""
        ...

    def values(self, rows: Rows) -> Vector:
        """``(wanted, dimensions)``. Called from several threads."""
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

    def read(self, features: FeatureRows, first: int, stop: int) -> Rows:
        return Rows(features.rows(first, stop))

    def values(self, rows: Rows) -> Vector:
        return self.encoder.joint_audio(rows.frames.astype(np.float32))

    def working(self) -> AbstractContextManager[None]:
        return nullcontext()
