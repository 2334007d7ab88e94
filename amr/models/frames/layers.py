"""The layers of the network whose frames propose: convolution along time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr.models.dropout import Dropout
from amr.models.products import Linear


class ConvLayer(nn.Module):
    """``x + down(GELU(up(DWConv(norm(x)))))``: each frame sees ``kernel`` frames, ``dilation`` apart.

    Padding is zeroed before the convolution, so that an item's last frames see the same in any batch.
    """

    def __init__(self, dim: int, *, kernel: int, feedforward: int, dropout: float, dilation: int = 1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.depthwise = nn.Conv1d(
            dim, dim, kernel, padding=kernel // 2 * dilation, groups=dim, dilation=dilation
        )
        self.up = Linear(dim, feedforward)
        self.down = Linear(feedforward, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch, frames, dim)`` to the same; ``mask (batch, frames)`` is true where a frame is real."""
        seen = self.norm(x)
        if mask is not None:
            seen = seen * mask.unsqueeze(-1)
        seen = along_time(self.depthwise, seen)
        out: Tensor = x + self.dropout(self.down(functional.gelu(self.up(seen))))
        return out


def along_time(depthwise: nn.Conv1d, x: Tensor) -> Tensor:
    """A depthwise convolution that keeps the length, of ``(batch, frames, dim)``, to the same.

    On a processor, where nothing is learned, as one multiplication a tap: about three times as fast as
    torch's own, which puts time last and back.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu" or depthwise.bias is None:
        own: Tensor = depthwise(x.transpose(1, 2)).transpose(1, 2)
        return own
    taps = depthwise.weight[:, 0].T.contiguous().to(x.dtype)
    middle, frames = len(taps) // 2, x.shape[1]
    out = torch.addcmul(depthwise.bias.to(x.dtype), x, taps[middle])
    for number, tap in enumerate(taps):
        ahead = (number - middle) * depthwise.dilation[0]
        if 0 < ahead < frames:
            out[:, : frames - ahead].addcmul_(x[:, ahead:], tap)
        elif -frames < ahead < 0:
            out[:, -ahead:].addcmul_(x[:, :ahead], tap)
    return out


class CurveLayers(nn.Module):
    """Curves over time ``(batch, frames, channels)`` to features ``(batch, frames, dim)``."""

    def __init__(self, channels: int, dim: int, *, kernel: int, hidden: int = 64) -> None:
        super().__init__()
        self.wide = nn.Conv1d(channels, hidden, kernel, padding=kernel // 2)
        self.out = Linear(hidden, dim)

    def forward(self, curves: Tensor, mask: Tensor | None) -> Tensor:
        if mask is not None:
            curves = curves * mask.unsqueeze(-1)
        out: Tensor = self.out(functional.gelu(self.wide(curves.transpose(1, 2)).transpose(1, 2)))
        return out
