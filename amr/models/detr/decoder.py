"""The decoder: learned anchors ask the frames and are refined layer by layer (AM-DETR paper, eq. 5).

Each query has a content vector, which starts at zero, and an anchor (centre, width). Attention to the frames
has two halves a head: content against content, and the anchor's sines against the frames' sines (Conditional
DETR and DAB-DETR, in one dimension, as QD-DETR uses them).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from amr.models.detr.attention import attend, join_heads, key_mask, split_heads
from amr.models.detr.blocks import MLP, FeedForward
from amr.models.detr.positions import anchor_positions
from amr.models.dropout import Dropout
from amr.models.products import Linear
from amr.models.spans import logit


class QueryAttention(nn.Module):
    """Self-attention of the queries, with maps of their own for content and position."""

    def __init__(self, dim: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query_content = Linear(dim, dim)
        self.query_position = Linear(dim, dim)
        self.key_content = Linear(dim, dim)
        self.key_position = Linear(dim, dim)
        self.value = Linear(dim, dim)
        self.output = Linear(dim, dim)
        self.dropout = Dropout(dropout)
        nn.init.zeros_(self.output.bias)

    def forward(self, content: Tensor, position: Tensor) -> Tensor:
        """``(batch, queries, dim)`` to the same."""
        query = self.query_content(content) + self.query_position(position)
        key = self.key_content(content) + self.key_position(position)
        heads = [split_heads(x, self.heads) for x in (query, key, self.value(content))]
        out: Tensor = self.output(join_heads(attend(heads[0], heads[1], heads[2], None, self.dropout)))
        return out


class FrameAttention(nn.Module):
    """Attention of the queries to the frames: content and sine halves side by side in each head.

    In the first layer the query's position is added to its content, and the frames' positions to theirs.
    """

    def __init__(self, dim: int, *, heads: int, dropout: float, first: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query_content = Linear(dim, dim)
        self.query_position = Linear(dim, dim) if first else None
        self.query_sine = Linear(dim, dim)
        self.key_content = Linear(dim, dim)
        self.key_position = Linear(dim, dim)
        self.value = Linear(dim, dim)
        self.output = Linear(dim, dim)
        self.dropout = Dropout(dropout)
        nn.init.zeros_(self.output.bias)

    def project_queries(self, content: Tensor, position: Tensor, sine: Tensor) -> Tensor:
        """Queries for attention, ``(batch, heads, queries, 2 * dim / heads)``.

        Each argument is ``(batch, queries, dim)``; see :meth:`DecoderLayer.prepare`.
        """
        query = self.query_content(content)
        if self.query_position is not None:
            query = query + self.query_position(position)
        return torch.cat([split_heads(x, self.heads) for x in (query, self.query_sine(sine))], dim=-1)

    def forward(
        self, attention_query: Tensor, frames: Tensor, frame_position: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Attended frames ``(batch, queries, dim)``; see :class:`DecoderLayer` for the arguments."""
        key = self.key_content(frames)
        key_position = self.key_position(frame_position)
        if self.query_position is not None:
            key = key + key_position
        halves = (key, key_position.expand_as(key))
        k = torch.cat([split_heads(x, self.heads) for x in halves], dim=-1)
        v = split_heads(self.value(frames), self.heads)
        out: Tensor = self.output(join_heads(attend(attention_query, k, v, mask, self.dropout)))
        return out


class LayerQueries(NamedTuple):
    """A decoder layer up to where its queries meet the frames.

    Args:
        content: ``(batch, queries, dim)``, after the queries' self-attention.
        attention_query: ``(batch, heads, queries, 2 * dim / heads)``, what they seek among the frames.
    """

    content: Tensor
    attention_query: Tensor


class DecoderLayer(nn.Module):
    """Queries among themselves, queries to frames, feed-forward; normalised after each residual."""

    def __init__(
        self, dim: int, *, heads: int, feedforward: int, dropout: float, activation: str, first: bool
    ) -> None:
        super().__init__()
        self.query_attention = QueryAttention(dim, heads=heads, dropout=dropout)
        self.frame_attention = FrameAttention(dim, heads=heads, dropout=dropout, first=first)
        self.feedforward = FeedForward(dim, feedforward, dropout, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)

    def prepare(self, content: Tensor, position: Tensor, sine: Tensor) -> LayerQueries:
        """Self-attention, and the attention query for the frames.

        Args:
            content: ``(batch, queries, dim)``.
            position: ``(batch, queries, dim)``, made from the anchors.
            sine: ``(batch, queries, dim)``, the anchors' sines, scaled by the content.
        """
        x = self.norm1(content + self.dropout1(self.query_attention(content, position)))
        return LayerQueries(
            content=x, attention_query=self.frame_attention.project_queries(x, position, sine)
        )

    def forward(
        self, queries: LayerQueries, frames: Tensor, frame_position: Tensor, mask: Tensor | None
    ) -> Tensor:
        """New content ``(batch, queries, dim)``.

        Args:
            queries: of :meth:`prepare`; its batch may be 1, for every item alike.
            frames: ``(batch, frames, dim)``.
            frame_position: ``(batch, frames, dim)``; its batch may be 1.
            mask: ``(batch, 1, 1, frames)``, true where a frame is real, or ``None``.
        """
        attended = self.frame_attention(queries.attention_query, frames, frame_position, mask)
        x = self.norm2(queries.content + self.dropout2(attended))
        out: Tensor = self.norm3(x + self.dropout3(self.feedforward(x)))
        return out


class DetrDecoder(nn.Module):
    """A stack of :class:`DecoderLayer` with iterative refinement of the anchors.

    One MLP, whose last map starts at zero, moves the anchors after every layer in the logit's space. The
    moved anchors go on without gradient to the next layer, and with gradient to the span head.
    """

    def __init__(
        self,
        dim: int,
        *,
        layers: int,
        heads: int,
        feedforward: int,
        dropout: float,
        activation: str = "prelu",
    ) -> None:
        super().__init__()
        self.dim = dim
        sizes = partial(DecoderLayer, dim, heads=heads, feedforward=feedforward, dropout=dropout)
        self.layers = nn.ModuleList(sizes(activation=activation, first=i == 0) for i in range(layers))
        self.position = MLP(dim, dim, dim)
        self.sine_scale = MLP(dim, dim, dim)
        self.width_scale = MLP(dim, dim, 1)
        self.refine = MLP(dim, dim, dim, 2)
        self.norm = nn.LayerNorm(dim)

    def reset_refinement(self) -> None:
        """Anchors start unmoved: the last map of the refinement becomes zero."""
        for parameter in self.refine.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def sine_query(self, anchors: Tensor, content: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """The anchors' sines ``(batch, queries, dim)``, plain and scaled by content and width."""
        plain = anchor_positions(anchors, self.dim)
        scaled = plain if layer == 0 else plain * self.sine_scale(content)
        width = self.width_scale(content).float().sigmoid() / anchors[..., 1:]
        return plain, scaled * width

    def prepare(self, number: int, content: Tensor, reference: Tensor) -> LayerQueries:
        """Layer ``number`` up to its attention query, from content and anchors ``(batch, queries, ...)``."""
        plain, sine = self.sine_query(reference, content, number)
        layer = self.layers[number]
        if not isinstance(layer, DecoderLayer):
            raise TypeError("the decoder's layers are DecoderLayer")
        return layer.prepare(content, self.position(plain), sine)

    def first_queries(self, anchors: Tensor, batch: int = 1) -> LayerQueries:
        """The first layer's queries, which depends on nothing but the weights (and on dropout)."""
        reference = anchors.float().sigmoid().expand(batch, -1, -1)
        return self.prepare(0, reference.new_zeros(batch, anchors.shape[0], self.dim), reference)

    def forward(
        self,
        anchors: Tensor,
        frames: Tensor,
        frame_position: Tensor,
        mask: Tensor | None,
        first: LayerQueries | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode.

        Args:
            anchors: ``(queries, 2)``, logits of centre and width.
            frames: ``(batch, frames, dim)``.
            frame_position: ``(batch, frames, dim)``; its batch may be 1.
            mask: ``(batch, frames)``, true where a frame is real, or ``None``.
            first: of :meth:`first_queries`, where it is kept from call to call.

        Returns:
            content ``(layers, batch, queries, dim)`` and the anchors that each layer started from, as
            fractions, ``(layers, batch, queries, 2)``.
        """
        batch = frames.shape[0]
        # Without dropout the first query is the same in every item.
        queries = self.first_queries(anchors, batch if self.training else 1) if first is None else first
        reference = anchors.float().sigmoid().expand(batch, -1, -1)
        contents: list[Tensor] = []
        references = [reference]
        for number, layer in enumerate(self.layers):
            if number > 0:
                queries = self.prepare(number, contents[-1], reference)
            contents.append(layer(queries, frames, frame_position, key_mask(mask)))
            moved = (self.refine(contents[-1]).float() + logit(reference)).sigmoid()
            references.append(moved)
            reference = moved.detach()
        return self.norm(torch.stack(contents)), torch.stack(references[: len(self.layers)])
