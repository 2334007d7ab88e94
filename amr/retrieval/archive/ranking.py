"""What a shortlist goes by: the joint space, and beside it the space of a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from amr.encoders.base import Encoder
from amr.formats.features.read import FeatureFile
from amr.models.frames.level import COSINE_LEVEL, HALF_FOOT, SIMILARITY_LEVEL
from amr.processors import free_processors
from amr.retrieval.archive.curves import for_recordings
from amr.retrieval.archive.index import FrameIndex
from amr.retrieval.archive.spaces import JointSpace, Offsets, Space, Vector
from amr.retrieval.window import WindowOptions

if TYPE_CHECKING:
    from amr.retrieval.archive.model_space import ModelSpace

BLOCK_ROWS = 8192

# What a cosine of the model's space counts for, and a similarity of the joint space, in steps of the window's
# score (``WindowOptions.score_scale``). The highest point of this curve decides a factor of a calibrated
# network's scores (``amr.models.frames.level``): what it prefers is listed; docs/archive.md says how often.
COSINE_WEIGHT = 10.0
SIMILARITY_WEIGHT = 0.8
# What may be left unread of the model's index, and of the joint one beside it, for the sum: it needs neither
# as exactly as a search by similarity alone.
MODEL_LEFT_OUT = 0.2
JOINT_LEFT_OUT = 0.1


def model_options(hop_s: float) -> WindowOptions:
    """How the sum is cut. Its scores rank and mean nothing else: no level is certain, or as good as one."""
    return WindowOptions(certain=None, score_centre=5.0, score_scale=2.0, smooth_s=HALF_FOOT * hop_s)


@dataclass(frozen=True)
class ArchivePart:
    """One feature file of an archive, and its indexes where it has them.

    Args:
        features: the file.
        index: in the encoder's joint space.
        model_index: in the space of the network that answers.
        names: what its recordings are called among those of all files; None: as in the file.
    """

    features: FeatureFile
    index: FrameIndex | None
    model_index: FrameIndex | None = None
    names: Sequence[str] | None = None

    @property
    def ids(self) -> Sequence[str]:
        """What its recordings are called."""
        return self.features.ids if self.names is None else self.names

    @property
    def lengths(self) -> Offsets:
        """``(recordings,)`` frames of each."""
        lengths: Offsets = np.diff(self.features.start)
        return lengths

    def similarity(self, encoder: Encoder, vector: Vector, left_out: float) -> Vector:
        """``(frames,)``: every frame of the file against a query of the joint space."""
        if self.index is not None:
            return self.index.similarity(vector, left_out)
        return products_of_rows(self.features, JointSpace(encoder), vector)

    def cosine(self, space: ModelSpace, meaning: Vector) -> Vector:
        """``(frames,)``: every frame of the file against a query of a network's space."""
        if self.model_index is not None:
            return self.model_index.similarity(meaning, MODEL_LEFT_OUT)
        return products_of_rows(self.features, space, meaning)


def products_of_rows(features: FeatureFile, space: Space, vector: Vector) -> Vector:
    """``(frames,)``, exact, straight from the stored frames, a block at a time.

    Raises:
        InputError: the frames of a recording are not those that were written.
    """
    out = np.empty(features.total_frames, dtype=np.float32)
    seen = features.row_sums()

    def block(first: int) -> None:
        rows = features.rows(first, min(first + BLOCK_ROWS, len(out)))
        seen.add(first, rows)
        out[first : first + len(rows)] = space.values(rows) @ vector

    with space.working(), ThreadPoolExecutor(free_processors()) as pool:
        list(pool.map(block, range(0, len(out), BLOCK_ROWS)))
    features.require_sums(seen)
    return out


def together(similarity: Vector, cosine: Vector, start: Offsets, step: float) -> Vector:
    """``(frames,)``: both, weighted, above their recording's level.

    Args:
        similarity: ``(frames,)``, of all recordings.
        cosine: ``(frames,)``.
        start: ``(recordings + 1,)``, where each recording begins.
        step: of the window's score, in similarity.
    """
    out = np.empty_like(cosine)

    def block(some: range) -> None:
        bounds = start[some.start : some.stop + 1]
        rows, inner = slice(bounds[0], bounds[-1]), bounds - bounds[0]
        out[rows] = above_level(cosine[rows], inner, COSINE_WEIGHT, COSINE_LEVEL)
        out[rows] += above_level(similarity[rows], inner, SIMILARITY_WEIGHT / step, SIMILARITY_LEVEL)

    for_recordings(start, block)
    return out


def above_level(curve: Vector, start: Offsets, weight: float, level: float) -> Vector:
    """``(frames,)``: ``weight`` times a curve less the part ``level`` of its recording's mean."""
    lengths = np.diff(start)
    filled = np.flatnonzero(lengths > 0)
    found: Vector = curve * np.float32(weight)
    if len(filled):
        means = np.add.reduceat(found, start[filled]) / lengths[filled].astype(np.float32)
        found -= np.repeat(np.float32(level) * means, lengths[filled])
    return found
