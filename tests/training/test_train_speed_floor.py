"""The floor of the training benchmark counts every product, whoever makes it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from amr.models import products
from amr.models.products import Linear

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from train_speed_floor import count_operations, matrix_rate

ROWS, IN, OUT = 70, 80, 90


@pytest.mark.parametrize("by_onednn", [False, products.has_onednn()])
def test_forward_and_backward_are_three_products(monkeypatch: pytest.MonkeyPatch, by_onednn: bool) -> None:
    monkeypatch.setattr(products, "mkl_holds_back", lambda: by_onednn)
    layer, x = Linear(IN, OUT), torch.randn(ROWS, IN, requires_grad=True)
    assert count_operations(lambda: layer(x).sum().backward()) == 3 * 2 * ROWS * IN * OUT


def test_a_rate_is_measured_of_both() -> None:
    assert matrix_rate("cpu", "float32") > 0
    assert matrix_rate("cpu", "float32", ours=True) > 0
