"""LCS-DETR's own parts: the saliency gate, the local continuity convolution, the saliency amplifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr.models.detr.attention import MultiHeadAttention, key_mask
from amr.models.dropout import Dropout
from amr.models.pooling import AttentionPooling, MeanPooling
from amr.models.products import Linear


class Continuity(nn.Module):
    """``Conv1x1(GELU(DWConv(A))) + A`` along time (LCS-DETR report, eq. 3).

    The kernel counts frames: 5 frames are 5 s only where a frame is 1 s. Padding is zeroed first, so that an
    item's last frames see the same silence in any batch.
    """

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.pointwise = Linear(dim, dim)

    def forward(self, audio: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch, frames, dim)`` to the same."""
        if mask is not None:
            audio = audio * mask.unsqueeze(-1)
        smoothed = self.depthwise(audio.transpose(1, 2)).transpose(1, 2)
        out: Tensor = self.pointwise(functional.gelu(smoothed)) + audio
        return out


class SaliencyGate(nn.Module):
    """``s = sigmoid(beta * cos(a, t) + alpha)`` for each frame (LCS-DETR report, eq. 2).

    Args:
        dim: size of frames and tokens.
        pooling: ``mean`` or ``attention``: how tokens become the sentence ``t``.
        scale: initial beta; shift: initial alpha.
        smooth_kernel: width of a continuity convolution over the frames that are compared, 0 for none.
    """

    def __init__(self, dim: int, *, pooling: str, scale: float, shift: float, smooth_kernel: int) -> None:
        super().__init__()
        self.pooling = AttentionPooling(dim) if pooling == "attention" else MeanPooling()
        self.smooth = Continuity(dim, smooth_kernel) if smooth_kernel else None
        self.scale = nn.Parameter(torch.tensor(float(scale)))
        self.shift = nn.Parameter(torch.tensor(float(shift)))

    def forward(
        self, audio: Tensor, audio_mask: Tensor | None, text: Tensor, text_mask: Tensor | None
    ) -> Tensor:
        """The logit of each frame's gate, ``(batch, frames)`` float32."""
        if self.smooth is not None:
            audio = self.smooth(audio, audio_mask)
        sentence = self.pooling(text, text_mask)
        cosine = functional.cosine_similarity(audio.float(), sentence.float().unsqueeze(1), dim=-1)
        return self.scale.float() * cosine + self.shift.float()


class Amplifier(nn.Module):
    """``m + s * m + attention(m)`` over encoded frames: a block of LCS-DETR's code that its report lacks.

    The code's attention also sees padding, which would let batch mates into a result; here it does not.
    """

    def __init__(self, dim: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(dim, heads, dropout)
        self.dropout = Dropout(dropout)

    def forward(self, frames: Tensor, gate: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch, frames, dim)`` to the same; ``gate (batch, frames)`` in [0, 1]."""
        attended = self.attention(frames, frames, frames, key_mask(mask))
        out: Tensor = frames + frames * gate.unsqueeze(-1) + self.dropout(attended)
        return out
