"""A feed-forward's two maps and what lies between them as one operation, for training on a processor.

Its hidden layer is the largest tensor of the network. Apart, the maps, PReLU and dropout write three tensors
of that size in the forward pass and four in the backward pass; here each pass writes one and changes it in
place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from amr.models.products import product

LEAST_SLOPE = 1e-3
"""Below this the hidden layer after PReLU no longer tells what it was before."""


class FeedForwardWeights(NamedTuple):
    """Parameters of ``dim -> hidden -> dim``: matrices as in ``nn.Linear``, ``slope (1,)``."""

    up: Tensor
    up_bias: Tensor
    slope: Tensor
    down: Tensor
    down_bias: Tensor


def product_dtype(x: Tensor) -> torch.dtype:
    """In which numbers products of ``x`` are made on a processor: autocast's, where it is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def hidden_layer(x: Tensor, maps: FeedForwardWeights, mask: Tensor | None, dtype: torch.dtype) -> Tensor:
    """``down(mask * prelu(up(x)))``.

    Args:
        x: ``(..., dim)``.
        maps: the slope at least ``LEAST_SLOPE``.
        mask: of dropout, ``(..., hidden)``, or ``None``.
        dtype: of products and of the hidden layer; the result has that of ``x``.
    """
    out: Tensor = _HiddenLayer.apply(x, *maps, mask, dtype)  # type: ignore[no-untyped-call]  # torch types it so
    return out


class _HiddenLayer(torch.autograd.Function):
    """The sign of a value behind PReLU is that before it, so only what lies behind is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Any) -> Tensor:
        up, up_bias, slope, down, down_bias, mask, dtype = parameters
        up, up_bias, down, down_bias = (each.to(dtype) for each in (up, up_bias, down, down_bias))
        rows = x.flatten(0, -2).to(dtype)
        ctx.slope = float(slope)  # on a processor nobody waits for this
        hidden = product(rows, up, up_bias)
        torch.nn.functional.leaky_relu_(hidden, ctx.slope)
        if mask is not None:
            mask = mask.view(hidden.shape)
            hidden.mul_(mask)
        ctx.save_for_backward(rows, hidden, mask, up, down)
        return product(hidden, down, down_bias).to(x.dtype).view(x.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, hidden, mask, up, down = ctx.saved_tensors
        shape, wanted = gradient.shape, gradient.dtype
        gradient = gradient.flatten(0, -2).to(hidden.dtype)
        of_down, of_down_bias = product(gradient.t(), hidden.t()), gradient.sum(0)
        flow = product(gradient, down.t())
        of_slope = negative_product(hidden, flow) / ctx.slope
        if mask is not None:
            flow.mul_(mask)
        torch.ops.aten.leaky_relu_backward.grad_input(flow, hidden, ctx.slope, True, grad_input=flow)
        found = (
            product(flow, up.t()).view(shape),
            product(flow.t(), rows.t()),
            flow.sum(0),
            of_slope,
            of_down,
            of_down_bias,
        )
        return (*(each.to(wanted) for each in found), None, None)


def negative_product(x: Tensor, y: Tensor) -> Tensor:
    """``(1,)`` the sum of ``x * y`` where ``x`` is negative."""
    negative = x.clamp(max=0)
    if x.dtype == torch.bfloat16:  # torch's own inner product of these takes thirty times as long
        return negative.mul_(y).sum(0).float().sum().view(1)
    return torch.dot(negative.flatten(), y.flatten()).view(1)
