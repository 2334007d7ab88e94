"""The feed-forward as one operation is the feed-forward, in values and in every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from amr.models.detr.blocks import FeedForward
from amr.models.detr.hidden import LEAST_SLOPE, FeedForwardWeights, hidden_layer

DIM, HIDDEN = 6, 10


def made_maps(dtype: torch.dtype, slope: float = 0.25) -> FeedForwardWeights:
    generator = torch.Generator().manual_seed(1)

    def values(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()

    learned = torch.tensor([slope], dtype=dtype, requires_grad=True)
    return FeedForwardWeights(values(HIDDEN, DIM), values(HIDDEN), learned, values(DIM, HIDDEN), values(DIM))


def apart(x: Tensor, maps: FeedForwardWeights, mask: Tensor | None) -> Tensor:
    """The same in torch's own operations."""
    hidden = nn.functional.prelu(nn.functional.linear(x, maps.up, maps.up_bias), maps.slope)
    hidden = hidden if mask is None else hidden * mask
    return nn.functional.linear(hidden, maps.down, maps.down_bias)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("slope", [0.25, 1.0, 1.7, LEAST_SLOPE])
def test_values_and_gradients_are_torchs(slope: float, masked: bool) -> None:
    maps = made_maps(torch.float64, slope)
    x = torch.randn(3, 4, DIM, dtype=torch.float64, requires_grad=True)
    mask = torch.bernoulli(torch.full((3, 4, HIDDEN), 0.7, dtype=torch.float64)) / 0.7 if masked else None
    weight = torch.randn(3, 4, DIM, dtype=torch.float64)
    found = []
    for out in (hidden_layer(x, maps, mask, torch.float64), apart(x, maps, mask)):
        found.append([out, *torch.autograd.grad((out * weight).sum(), [x, *maps])])
    for mine, theirs in zip(*found, strict=True):
        assert mine.shape == theirs.shape
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-10)


def test_products_in_bfloat16_give_nearly_the_same_in_float32() -> None:
    maps = made_maps(torch.float32)
    x = torch.randn(40, 8, DIM, requires_grad=True)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        out = hidden_layer(x, maps, None, dtype)
        found.append([out.detach(), *torch.autograd.grad(out.square().sum(), [x, *maps])])
    for full, half in zip(*found, strict=True):
        assert half.dtype == torch.float32
        assert float((full - half).norm() / full.norm()) < 0.02
        assert not torch.equal(full, half)


@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.25])
def test_a_slope_that_hides_the_sign_takes_the_long_way(slope: float) -> None:
    layer = FeedForward(DIM, HIDDEN, 0.0)
    with torch.no_grad():
        layer.activation.weight.fill_(slope)
    x = torch.randn(5, DIM, requires_grad=True)
    out = layer(x)
    maps = FeedForwardWeights(
        layer.up.weight, layer.up.bias, layer.activation.weight, layer.down.weight, layer.down.bias
    )
    expected = apart(x, maps, None)
    assert torch.allclose(out, expected, atol=1e-6)
    mine = torch.autograd.grad(out.sum(), [x, *maps])
    theirs = torch.autograd.grad(expected.sum(), [x, *maps])
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
