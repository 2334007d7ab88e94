"""Layers of networks in numpy, for those that answer before torch would have been imported."""

from __future__ import annotations

import numpy as np

from amr.arrays import Float32Array

# Abramowitz & Stegun 7.1.26, 1 - erf(x) = exp(-x^2) times this polynomial of 1 / (1 + ERF_SLOPE x) to 1.5e-7:
# without scipy, whose import costs more than a query.
ERF_SLOPE = 0.3275911
ERF_COEFFICIENTS = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
LEAST_LENGTH = 1e-12
"""Keeps 0 / 0 out of what becomes of a zero vector, as torch has it."""


def gelu(x: Float32Array) -> Float32Array:
    """The exact form, (x + |x| erf(|x| / sqrt 2)) / 2, not the tanh approximation."""
    size = np.abs(x)
    t = size * np.float32(ERF_SLOPE * np.sqrt(0.5))
    t += 1
    np.divide(np.float32(1), t, out=t)
    tail = t * np.float32(ERF_COEFFICIENTS[0])
    for coefficient in ERF_COEFFICIENTS[1:]:
        tail += np.float32(coefficient)
        tail *= t
    np.multiply(size, size, out=t)
    t *= np.float32(-0.5)
    tail *= np.exp(t, out=t)
    tail *= size
    size += x
    size -= tail
    size *= np.float32(0.5)
    result: Float32Array = size
    return result


def sigmoid(x: Float32Array) -> Float32Array:
    """Of any finite number, without overflow."""
    small: Float32Array = np.exp(-np.abs(x))
    result: Float32Array = np.where(x >= 0, np.float32(1), small) / (np.float32(1) + small)
    return result


def softplus(x: Float32Array) -> Float32Array:
    """log(1 + exp(x))."""
    result: Float32Array = np.logaddexp(np.float32(0), x)
    return result


def softmax(x: Float32Array) -> Float32Array:
    """Over the last axis."""
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Float32Array = weights / weights.sum(axis=-1, keepdims=True)
    return result


def layer_norm(x: Float32Array, epsilon: float) -> Float32Array:
    """Mean 0 and variance 1 along the last axis; the learned scale and shift are for the caller."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", centred, centred)[..., None] / np.float32(x.shape[-1])
    centred /= np.sqrt(variance + np.float32(epsilon))
    normed: Float32Array = centred
    return normed


def unit(x: Float32Array) -> Float32Array:
    """Vectors along the last axis at length 1; a zero vector stays one."""
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    scaled: Float32Array = x / np.maximum(length, LEAST_LENGTH)
    return scaled
