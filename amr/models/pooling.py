"""A sentence as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MeanPooling(nn.Module):
    """The mean of an item's real tokens: the report's reading of the sentence vector."""

    def forward(self, text: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch, tokens, dim)`` to ``(batch, dim)``."""
        if mask is None:
            return text.mean(1)
        weights = mask.to(text.dtype).unsqueeze(-1)
        return (text * weights).sum(1) / weights.sum(1).clamp(min=1)


class AttentionPooling(nn.Module):
    """A learned weighted mean of the tokens: the code's reading."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Linear(dim, 1)

    def forward(self, text: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch, tokens, dim)`` to ``(batch, dim)``."""
        logits = self.weight(text).squeeze(-1).float()
        if mask is not None:
            logits = logits.masked_fill(~mask, -torch.inf)
        return torch.einsum("bt,btd->bd", logits.softmax(-1), text.float())
