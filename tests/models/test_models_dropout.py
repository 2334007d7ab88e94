"""Dropout that draws few random numbers drops as many values, as independently, as any."""

from __future__ import annotations

import pytest
import torch

from amr.models.dropout import Dropout, drop, random_words


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_rate_scale_and_independence(rate: float) -> None:
    generator = torch.Generator().manual_seed(0)
    out = drop(torch.ones(400, 500), rate, generator)
    dropped = out == 0
    deviation = (rate * (1 - rate) / out.numel()) ** 0.5
    assert abs(float(dropped.float().mean()) - rate) < 5 * deviation + 1e-5
    kept = out[~dropped]
    assert float(kept.max() - kept.min()) == 0.0
    assert float(kept[0]) == pytest.approx(1 / (1 - rate), rel=2e-4)
    for shift in (1, 2, 4, 8):
        both = (dropped.flatten()[shift:] & dropped.flatten()[:-shift]).float().mean()
        assert abs(float(both) - rate**2) < 6 * (rate**2 * (1 - rate**2) / out.numel()) ** 0.5 + 1e-4


@pytest.mark.parametrize("word", [torch.int8, torch.int16])
def test_words_are_uniform_over_their_whole_range(word: torch.dtype) -> None:
    words = random_words(1 << 18, word, torch.Generator().manual_seed(1)).double()
    info = torch.iinfo(word)
    assert len(words) >= 1 << 18
    spread = (info.max - info.min + 1) / 12**0.5
    assert abs(float(words.mean()) + 0.5) < 5 * spread / len(words) ** 0.5
    assert abs(float(words.std()) / spread - 1) < 0.01


def test_gradient_passes_where_values_do() -> None:
    x = torch.ones(1000, requires_grad=True)
    out = drop(x, 0.3, torch.Generator().manual_seed(2))
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())


def test_same_seed_same_draws_and_none_outside_training() -> None:
    layer = Dropout(0.5)
    x = torch.randn(40)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(first, layer(x))
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
