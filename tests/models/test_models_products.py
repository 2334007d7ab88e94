"""Products by oneDNN are torch's products to rounding, and are taken where torch's leave speed unused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from amr.models import products
from amr.models.products import LEAST_ROWS, Linear, has_onednn, linear, product

needs_onednn = pytest.mark.skipif(not has_onednn(), reason="torch was built without oneDNN")
WIDE = 2 * LEAST_ROWS
Choose = Callable[[bool], None]


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Take oneDNN's products, or torch's, whatever this processor is."""

    def chosen(onednn: bool) -> None:
        monkeypatch.setattr(products, "mkl_holds_back", lambda: onednn)

    return chosen


def calls_of_onednn(work: Callable[[], object]) -> int:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        work()
    return sum(e.count for e in profiler.key_averages() if e.key == "mkldnn::_linear_pointwise")


def distance(found: Tensor, exact: Tensor) -> float:
    found, exact = found.detach(), exact.detach()
    return float((found - exact).abs().max() / exact.abs().max())


@needs_onednn
@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize("shape", [(3, 70, 96), (1, LEAST_ROWS, WIDE), (260, 80)])
def test_values_and_gradients_are_the_exact_ones_to_rounding(
    choose: Choose, shape: tuple[int, ...], is_turned: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(*shape, generator=generator)
    x = wide.transpose(0, -2).contiguous().transpose(0, -2) if is_turned else wide
    weight, bias = (torch.randn(*size, generator=generator) for size in ((WIDE, shape[-1]), (WIDE,)))
    pull = torch.randn(*shape[:-1], WIDE, generator=generator)
    choose(True)
    found = []
    for dtype in (torch.float32, torch.float64):
        leaves = [each.to(dtype).requires_grad_() for each in (x, weight, bias)]
        out = linear(*leaves)
        found.append([out, *torch.autograd.grad((out * pull.to(dtype)).sum(), leaves)])
    for mine, exact in zip(*found, strict=True):
        assert mine.dtype == torch.float32
        assert mine.shape == exact.shape
        assert distance(mine, exact) < 2e-6


@needs_onednn
def test_only_gradients_that_are_asked_for_are_made(choose: Choose) -> None:
    choose(True)
    layer = Linear(WIDE, WIDE)
    x = torch.randn(WIDE, WIDE)
    assert calls_of_onednn(lambda: layer(x).sum().backward()) == 2
    assert calls_of_onednn(lambda: layer(x.requires_grad_()).sum().backward()) == 3


@needs_onednn
def test_few_rows_narrow_maps_other_numbers_and_answers_take_torchs(choose: Choose) -> None:
    choose(True)

    def calls(rows: int, width: int, dtype: torch.dtype = torch.float32) -> int:
        layer, x = Linear(WIDE, width).to(dtype), torch.randn(rows, WIDE, dtype=dtype)
        return calls_of_onednn(lambda: layer(x))

    assert calls(WIDE, WIDE) == 1
    assert calls(LEAST_ROWS - 1, WIDE) == 0
    assert calls(WIDE, LEAST_ROWS - 1) == 0
    assert calls(WIDE, WIDE, torch.float64) == 0
    with torch.no_grad():
        assert calls(WIDE, WIDE) == 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Linear(WIDE, WIDE)(torch.randn(WIDE, WIDE)).dtype == torch.bfloat16


def test_elsewhere_every_bit_is_torchs(choose: Choose) -> None:
    choose(False)
    layer, x = Linear(WIDE, WIDE), torch.randn(3, WIDE, WIDE)
    assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))
    assert torch.equal(product(x[0], layer.weight), x[0] @ layer.weight.t())
    assert torch.equal(
        product(x[0], layer.weight, layer.bias), torch.addmm(layer.bias, x[0], layer.weight.t())
    )


@pytest.mark.parametrize(
    ("vendor", "capability", "holds_back"),
    [
        ("AuthenticAMD", "AVX512", has_onednn() and torch.backends.mkl.is_available()),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
        (None, "AVX512", False),
    ],
)
def test_which_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vendor: str | None, capability: str, holds_back: bool
) -> None:
    facts = tmp_path / "cpuinfo"
    if vendor is not None:
        facts.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n", encoding="utf-8")
    monkeypatch.setattr(products, "PROCESSOR_FACTS", facts)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert products.mkl_holds_back.__wrapped__() is holds_back
