"""Prototypes in numpy: what a sentence sounds like, and how near frames come to it.

The definition is :mod:`amr.models.frames.prototypes`. Archives rank by these before any network runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float32Array, FloatingArray
from amr.functional import layer_norm, unit
from amr.models.frames.constants import (
    KERNEL,
    LAYER_NORM_EPSILON,
    LEAST_PEAK,
    LENGTH_SCALE,
    LOGIT_SCALE,
    RISE_SCALE,
)

Array = Float32Array
Weights = Mapping[str, Array]


@dataclass(frozen=True)
class NumpyPrototypes:
    """See :class:`amr.models.frames.prototypes.Prototypes`.

    Args:
        weights: the network's.
        max_tokens: of a sentence; those behind are not looked at.
    """

    weights: Weights
    max_tokens: int

    def directions(self, frames: FloatingArray) -> Array:
        """Frames ``(..., audio_dim)`` as they are stored as directions, ``(..., axes)``."""
        return self.whitened(layer_norm(compressed(frames), LAYER_NORM_EPSILON))

    def whitened(self, even: Array) -> Array:
        """Frames ``(..., audio_dim)`` of mean 0 and variance 1 as directions, ``(..., axes)``."""
        mean, axes = self.weights["prototypes.whitening.mean"], self.weights["prototypes.whitening.axes"]
        centred: Array = even - mean
        white: Array = centred @ axes
        return unit(white)

    def meaning(self, tokens: FloatingArray) -> Array:
        """``(axes,)``: what a sentence ``(tokens, text_dim)`` sounds like; the shorter, the less is known."""
        pooled: Array = tokens[: self.max_tokens].astype(np.float32).mean(axis=0)
        sentence = unit(pooled)
        near = np.exp(-2 * KERNEL * np.maximum(1 - self.weights["prototypes.support"] @ sentence, 0))
        meant: Array = near @ self.weights["prototypes.duals"]
        return meant

    def known(self) -> Array:
        """``(sentences, axes)``: what those of training sound like, unit vectors."""
        support = self.weights["prototypes.support"]
        known = support[np.abs(support).sum(axis=1) > 0]
        near = np.exp(-2 * KERNEL * np.maximum(1 - known @ support.T, 0))
        sounds: Array = near @ self.weights["prototypes.duals"]
        return unit(sounds)

    def curves(self, cosine: Array, meant: Array) -> tuple[Array, Array]:
        """The logit ``(frames,)``, and all curves ``(frames, 5)``, of ``PrototypeCurves``."""
        scale, shift, least_peak = (
            self.weights[f"prototypes.{name}"] for name in ("scale", "shift", "least_peak")
        )
        rise = cosine - cosine.mean()
        peak = np.maximum(rise.max(), 0)
        logit = scale * cosine + shift
        part = rise / (peak + np.abs(least_peak) + LEAST_PEAK)
        certainty = LENGTH_SCALE * np.linalg.norm(meant)
        curves = (LOGIT_SCALE * logit, RISE_SCALE * rise, part, RISE_SCALE * peak, certainty)
        return logit, np.stack([np.broadcast_to(each, cosine.shape) for each in curves], axis=1)


def compressed(frames: FloatingArray) -> Array:
    """Frames ``(..., audio_dim)`` by the logarithm of their size, float32."""
    frames = frames.astype(np.float32, copy=False)
    size = np.abs(frames)
    size += 1
    np.log(size, out=size)
    return np.copysign(size, frames, out=size)
