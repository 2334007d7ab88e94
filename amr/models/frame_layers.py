"""The layers of the network whose frames propose: convolution along time, and a gate that compares frames
with sentences in a space of its own."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr.models.dropout import Dropout
from amr.models.gate import MeanPooling


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
        self.up = nn.Linear(dim, feedforward)
        self.down = nn.Linear(feedforward, dim)
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
        self.out = nn.Linear(hidden, dim)

    def forward(self, curves: Tensor, mask: Tensor | None) -> Tensor:
        if mask is not None:
            curves = curves * mask.unsqueeze(-1)
        out: Tensor = self.out(functional.gelu(self.wide(curves.transpose(1, 2)).transpose(1, 2)))
        return out


class GateLogits(NamedTuple):
    """What the gate says of frames.

    Args:
        own: ``(batch, frames)`` float32, each item's frames under its own sentence.
        pairs: ``(batch, frames, texts)`` float32, under every sentence; None where nobody asked.
    """

    own: Tensor
    pairs: Tensor | None


class SpaceGate(nn.Module):
    """The logit of LCS-DETR's saliency gate, ``beta * cos(a, t) + alpha`` (report, eq. 2), in a space that
    frames and sentences are mapped into for it alone.

    The report compares inside the network, where one sentence a recording teaches the space. Here every frame
    meets every sentence of the batch, so that it is taught by as many pairs as there are texts.

    Args:
        dim: size of the frames that come in.
        text_dim: size of a text token's feature.
        space_dim: size of the space.
        dropout: inside the sentence's map.
    """

    def __init__(self, dim: int, text_dim: int, space_dim: int, dropout: float) -> None:
        super().__init__()
        self.pooling = MeanPooling()
        self.audio_norm = nn.LayerNorm(dim)
        self.audio = nn.Linear(dim, space_dim)
        self.text_in = nn.Linear(text_dim, 2 * space_dim)
        self.text_dropout = Dropout(dropout)
        self.text_out = nn.Linear(2 * space_dim, space_dim)
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.shift = nn.Parameter(torch.tensor(-4.0))

    def forward(
        self, frames: Tensor, text: Tensor, text_mask: Tensor | None, *, with_pairs: bool
    ) -> GateLogits:
        """Compare.

        Args:
            frames: ``(batch, frames, dim)``.
            text: ``(texts, tokens, text_dim)``; the first ``batch`` are the items' own.
            text_mask: ``(texts, tokens)`` bool, or None.
            with_pairs: also compare each frame with every text.
        """
        batch = frames.shape[0]
        heard = functional.normalize(self.audio(self.audio_norm(frames)).float(), dim=-1)
        meant = self.meaning(text, text_mask)
        own = torch.einsum("btd,bd->bt", heard, meant[:batch])
        pairs = torch.einsum("btd,nd->btn", heard, meant) if with_pairs else None
        return GateLogits(self._logit(own), None if pairs is None else self._logit(pairs))

    def meaning(self, text: Tensor, text_mask: Tensor | None) -> Tensor:
        """``(texts, tokens, text_dim)`` to unit vectors ``(texts, space_dim)`` float32."""
        sentence = functional.normalize(self.pooling(text.float(), text_mask), dim=-1)
        hidden = self.text_dropout(functional.gelu(self.text_in(sentence)))
        return functional.normalize(self.text_out(hidden).float(), dim=-1)

    def _logit(self, cosine: Tensor) -> Tensor:
        return self.scale.float() * cosine + self.shift.float()
