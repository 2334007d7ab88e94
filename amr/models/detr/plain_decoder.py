"""Moment-DETR's decoder: learned queries without anchors, as in DETR (Carion et al. 2020).

A query is an embedding that stands for its position; content starts at zero. Nothing is refined from layer to
layer: the span head makes a span of what comes out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from amr.models.detr.attention import MultiHeadAttention, key_mask
from amr.models.detr.blocks import FeedForward
from amr.models.dropout import Dropout


class PlainDecoderLayer(nn.Module):
    """Queries among themselves, queries to memory, feed-forward; normalised after each residual."""

    def __init__(self, dim: int, *, heads: int, feedforward: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.query_attention = MultiHeadAttention(dim, heads, dropout)
        self.memory_attention = MultiHeadAttention(dim, heads, dropout)
        self.feedforward = FeedForward(dim, feedforward, dropout, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)

    def forward(
        self, content: Tensor, queries: Tensor, memory: Tensor, placed: Tensor, mask: Tensor | None
    ) -> Tensor:
        """New content ``(batch, queries, dim)``.

        Args:
            content: ``(batch, queries, dim)``.
            queries: ``(batch, queries, dim)``, their embeddings.
            memory, placed: ``(batch, length, dim)``, without and with positions.
            mask: ``(batch, 1, 1, length)``, true where memory is real, or ``None``.
        """
        asking = content + queries
        x = self.norm1(content + self.dropout1(self.query_attention(asking, asking, content, None)))
        attended = self.memory_attention(x + queries, placed, memory, mask)
        x = self.norm2(x + self.dropout2(attended))
        out: Tensor = self.norm3(x + self.dropout3(self.feedforward(x)))
        return out


class PlainDecoder(nn.Module):
    """A stack of :class:`PlainDecoderLayer`; every layer's content is an answer, normalised by one map."""

    def __init__(
        self, dim: int, *, layers: int, heads: int, feedforward: int, dropout: float, activation: str
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            PlainDecoderLayer(
                dim, heads=heads, feedforward=feedforward, dropout=dropout, activation=activation
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, queries: Tensor, memory: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """Content of each layer ``(layers, batch, queries, dim)``.

        Args:
            queries: ``(queries, dim)``.
            memory: ``(batch, length, dim)``.
            positions: ``(batch, length, dim)``; its batch may be 1.
            mask: ``(batch, length)``, true where memory is real, or ``None``.
        """
        queries = queries.expand(memory.shape[0], -1, -1)
        placed, content = memory + positions, torch.zeros_like(queries)
        contents: list[Tensor] = []
        for layer in self.layers:
            content = layer(content, queries, memory, placed, key_mask(mask))
            contents.append(content)
        out: Tensor = self.norm(torch.stack(contents))
        return out
