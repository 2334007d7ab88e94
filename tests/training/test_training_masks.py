"""Dropout from a pool of masks drops as many values, as independently, as torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from amr.models.detr.prelu import OneSlopePReLU
from amr.models.dropout import Dropout, drawn_mask
from amr.training.masks import POOL_SIZE, POOL_STEPS, MaskPools, PooledDropout


def served(rate: float, seed: int = 0) -> tuple[nn.Module, MaskPools]:
    module = Dropout(rate)
    pools = MaskPools(nn.Sequential(module), seed)
    pools.draw(0)
    return module, pools


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_rate_scale_and_independence(rate: float) -> None:
    module, pools = served(rate)
    pools.use(5)
    out = torch.stack([module(torch.ones(50_000)) for _ in range(20)])
    dropped = out == 0
    assert abs(float(dropped.float().mean()) - rate) < 0.005
    assert float(out[~dropped][0]) == pytest.approx(1 / (1 - rate), rel=2e-4)
    both = (dropped[1:] & dropped[:-1]).float().mean()
    assert abs(float(both) - rate**2) < 0.005
    neighbours = (dropped[:, 1:] & dropped[:, :-1]).float().mean()
    assert abs(float(neighbours) - rate**2) < 0.005


def test_bfloat16_masks_keep_the_expectation() -> None:
    """Their scale is a number that bfloat16 has, and the rate is the one that goes with it."""
    for rate in (0.1, 0.3, 0.5):
        mask = drawn_mask(torch.Size([400_000]), rate, torch.bfloat16, torch.Generator().manual_seed(3))
        scale = float(mask.max())
        dropped = float((mask == 0).double().mean())
        assert scale * (1 - dropped) == pytest.approx(1, abs=5 * (rate / (1 - rate) / 400_000) ** 0.5)
        assert 1 - 1 / scale == pytest.approx(rate, abs=0.002)
    module = Dropout(0.1)
    pools = MaskPools(nn.Sequential(module), 0, [torch.float32, torch.bfloat16])
    pools.draw(0)
    pools.use(7)
    assert module(torch.ones(1000, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_key_decides_every_mask_and_steps_change_the_pool() -> None:
    module, pools = served(0.5)

    def masks(key: int) -> torch.Tensor:
        pools.use(key)
        return torch.stack([module(torch.ones(1000)) for _ in range(3)])

    first = masks(1)
    assert torch.equal(masks(1), first)
    assert not torch.equal(masks(2), first)
    assert not torch.equal(first[0], first[1])
    pools.draw(POOL_STEPS - 1)
    assert torch.equal(masks(1), first)
    pools.draw(POOL_STEPS)
    assert not torch.equal(masks(1), first)


def test_tensors_larger_than_the_pool_are_dropped_too() -> None:
    module, pools = served(0.25)
    pools.use(1)
    out = module(torch.ones(POOL_SIZE))
    assert abs(float((out == 0).float().mean()) - 0.25) < 0.002


def test_evaluation_drops_nothing() -> None:
    module, _ = served(0.5)
    assert isinstance(module, PooledDropout)
    x = torch.randn(100)
    assert module.eval()(x) is x


def test_a_slope_and_its_gradients_are_torchs() -> None:
    ours, theirs = OneSlopePReLU(), nn.PReLU()
    x = torch.randn(7, 5, 3)
    results = []
    for module in (ours, theirs):
        mine = x.clone().requires_grad_()
        out = module(mine)
        (out * torch.arange(105.0).view_as(out)).sum().backward()
        assert module.weight.grad is not None
        results.append((out.detach(), mine.grad, module.weight.grad))
    for mine, other in zip(*results, strict=True):
        assert torch.allclose(mine, other, rtol=1e-5)
    assert list(ours.state_dict()) == ["weight"]
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
