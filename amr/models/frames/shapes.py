"""The shapes of a similarity curve, for the preset ``curves``: what is the same whichever encoder drew it.

Encoders differ in what their similarities mean, but a sound rises above its surroundings in all of them, and
frames of one sound are near one another. So nothing here has a unit: heights are parts of the recording's
peak, and frames are compared with each other in the encoder's joint space as they lie about their mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amr.arrays import Float32Array, FloatingArray
from amr.functional import unit

WIDTHS = (3, 9, 27)
"""Frames over which a curve is averaged."""
BEST_FRAMES = 5
REACH = 4
"""Frames on either side that are compared for novelty."""
SAME = 0.05
"""A change of direction so small is none."""
MOST_PROMINENCE = 6.0
TINY = 1e-9

SHAPES = (
    "height",
    *(f"mean of {width}" for width in WIDTHS),
    "rank",
    "nearness to the best",
    f"nearness to the {BEST_FRAMES} best",
    "novelty",
    "prominence",
)


class CurveScale(NamedTuple):
    """What a recording's curve is measured by.

    Args:
        base: its median.
        peak: how far its highest point, averaged over the shortest width, lies above that.
        spread: median distance from the median.
    """

    base: float
    peak: float
    spread: float


def scale_of(similarity: FloatingArray) -> CurveScale:
    """Of a recording's whole curve ``(frames,)``."""
    base = float(np.median(similarity))
    peak = float(averaged(similarity, WIDTHS[0]).max()) - base
    return CurveScale(base, max(peak, 0.0), float(np.median(np.abs(similarity - base))))


def curve_shapes(similarity: FloatingArray, scale: CurveScale, joint: FloatingArray) -> Float32Array:
    """``(frames, len(SHAPES))`` of a window of a recording.

    Args:
        similarity: ``(frames,)`` of each frame to the query.
        scale: of the whole recording's curve.
        joint: ``(frames, joint_dimension)``, the frames in the encoder's joint space.
    """
    height = (similarity - scale.base) / (scale.peak + TINY)
    means = [averaged(height, width) for width in WIDTHS]
    directions = unit((joint - joint.mean(axis=0)).astype(np.float32, copy=False))
    best = np.argsort(-means[0], kind="stable")[:BEST_FRAMES]
    prominence = np.log((scale.peak + TINY) / (scale.spread + TINY))
    shapes = (
        np.clip(height, -3, 3),
        *(np.clip(mean, -3, 3) for mean in means),
        ranks(similarity),
        directions @ directions[best[0]],
        directions @ unit(directions[best].mean(axis=0)),
        novelty(directions),
        np.full(len(height), np.clip(prominence, -1, MOST_PROMINENCE) / 3),
    )
    return np.stack(shapes, axis=1).astype(np.float32)


def averaged(curve: FloatingArray, width: int) -> FloatingArray:
    """The mean of ``width`` frames about each; at the ends, of those that are there."""
    total = np.concatenate((np.zeros((1, *curve.shape[1:])), np.cumsum(curve, axis=0, dtype=np.float64)))
    index = np.arange(len(curve))
    first, stop = np.maximum(index - width // 2, 0), np.minimum(index + width // 2 + 1, len(curve))
    count = (stop - first).reshape(-1, *[1] * (curve.ndim - 1))
    mean: FloatingArray = (total[stop] - total[first]) / count
    return mean


def ranks(curve: FloatingArray) -> FloatingArray:
    """``(frames,)`` in [0, 1]: the part of the frames that lie below, and half of those that are level."""
    ordered = np.sort(curve)
    below, up_to = np.searchsorted(ordered, curve, "left"), np.searchsorted(ordered, curve, "right")
    rank: FloatingArray = (below + up_to) / (2 * len(curve))
    return rank


def novelty(directions: Float32Array) -> FloatingArray:
    """``(frames,)`` in [0, 1]: how much what comes differs from what was, as a part of the window's most.

    Args:
        directions: ``(frames, dim)`` unit vectors.
    """
    total = np.concatenate((np.zeros_like(directions[:1]), np.cumsum(directions, axis=0)))
    index = np.arange(len(directions))
    before = total[index] - total[np.maximum(index - REACH, 0)]
    after = total[np.minimum(index + REACH, len(index))] - total[index]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    change = (1 - np.einsum("td,td->t", before, after) / np.maximum(lengths, TINY)) / 2
    change[:1] = 0  # nothing was before
    found: FloatingArray = change / (change.max() + SAME)
    return found
