"""Products of matrices for training on processors where torch's own leave half of the machine unused.

Torch multiplies float32 with Intel's MKL, which gives AVX-512 to Intel's processors and half of that to
others'. oneDNN, which torch brings for bfloat16 and for compiled networks, asks what the processor can do.
One thread of an AMD EPYC of family 26, 1,024 rows, 256 by 1,024: 98 and 224 GFLOP/s. Both add in float32.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PROCESSOR_FACTS = Path("/proc/cpuinfo")
INTEL = "GenuineIntel"
LEAST_ROWS = 64
"""With fewer rows both take the same time (measured: 10, 16, 160), and torch's own costs less around it."""


class Linear(nn.Linear):
    """``nn.Linear`` with the products of this module while it learns."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x (..., in)`` by ``weight (out, in)`` and ``bias (out,)``: ``(..., out)``."""
    is_faster_here = is_faster(x, x.shape[:-1].numel(), weight)
    if not is_faster_here or not torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return functional.linear(x, weight, bias)
    out: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]  # torch types it so
    return out


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x (rows, in)`` by ``weight (out, in)``, plus ``bias (out,)``; gives no gradient."""
    if is_faster(x, len(x), weight):
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return out
    return x @ weight.t() if bias is None else torch.addmm(bias, x, weight.t())


def is_faster(x: Tensor, rows: int, weight: Tensor) -> bool:
    """Whether oneDNN's product of ``x`` is faster than torch's own."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and min(rows, len(weight)) >= LEAST_ROWS
        and mkl_holds_back()
    )


def has_onednn() -> bool:
    """Whether torch brings oneDNN's product, under a private name that compiled networks call."""
    is_there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch types it so
    return is_there and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def mkl_holds_back() -> bool:
    """Whether torch's own products are MKL's on a processor with AVX-512 that is not Intel's.

    A fact of the processor, not a measurement: the result's last bits follow from it, and they must not
    depend on how busy the machine was.
    """
    has_mkl = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]  # torch types it so
    if not has_mkl or not has_onednn() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    return PROCESSOR_FACTS.exists() and INTEL not in PROCESSOR_FACTS.read_text(encoding="utf-8")


class _Linear(torch.autograd.Function):
    """The map and its three gradients, each one product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rows = x.flatten(0, -2)
        ctx.save_for_backward(rows, weight)
        return product(rows, weight, bias).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        flow = gradient.flatten(0, -2)
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        of_x = product(flow, weight.t()).view(*gradient.shape[:-1], -1) if wants_x else None
        of_weight = product(flow.t(), rows.t()) if wants_weight else None
        return of_x, of_weight, flow.sum(0) if wants_bias else None
