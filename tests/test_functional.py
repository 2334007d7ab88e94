"""Layers in numpy against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, exp, log1p

import numpy as np
import pytest

from amr.arrays import Float32Array
from amr.functional import gelu, layer_norm, sigmoid, softmax, softplus, unit

X = np.concatenate((np.linspace(-12, 12, 2_001), [-1e18, -100.0, -0.0, 100.0, 1e18])).astype(np.float32)


def exact_sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x > -700 else 0.0


def exact_softplus(x: float) -> float:
    return x + log1p(exp(-x)) if x > 0 else log1p(exp(x))


@pytest.mark.parametrize(
    ("layer", "exact"),
    [
        (gelu, lambda x: 0.5 * x * (1 + erf(x * 0.5**0.5))),
        (sigmoid, exact_sigmoid),
        (softplus, exact_softplus),
    ],
    ids=["gelu", "sigmoid", "softplus"],
)
def test_each_number_is_right(
    layer: Callable[[Float32Array], Float32Array], exact: Callable[[float], float]
) -> None:
    found = layer(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [exact(float(x)) for x in X], atol=5e-7, rtol=1e-6)


def test_inputs_are_left_as_they_are() -> None:
    x = X.reshape(2, -1).copy()
    for layer in (gelu, sigmoid, softplus, softmax, unit, lambda x: layer_norm(x, 1e-5)):
        layer(x)
        assert np.array_equal(x, X.reshape(2, -1))


def test_rows_get_mean_0_variance_1_and_length_1() -> None:
    rows = np.random.default_rng(0).normal(3, 2, size=(4, 5, 60)).astype(np.float32)
    normed = layer_norm(rows, 1e-5)
    assert np.allclose(normed.mean(-1), 0, atol=1e-6)
    assert np.allclose(normed.std(-1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(unit(rows), axis=-1), 1, atol=1e-6)
    assert np.allclose(softmax(rows).sum(-1), 1, atol=1e-6)
    assert not layer_norm(np.ones((2, 3), np.float32), 1e-5).any()
    assert not unit(np.zeros((2, 3), np.float32)).any()
