"""Scaled dot-product attention: heads, masks that stay inside an item, dropout that is cheap on a CPU.

Masks are true where a key may be seen. ``None`` says that every key of every item is real, which lets torch
choose its fastest kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr.models.dropout import Dropout
from amr.models.products import Linear, linear


def split_heads(x: Tensor, heads: int) -> Tensor:
    """``(batch, length, heads * size)`` to ``(batch, heads, length, size)``."""
    batch, length, size = x.shape
    return x.view(batch, length, heads, size // heads).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """``(batch, heads, length, size)`` to ``(batch, length, heads * size)``."""
    return x.transpose(1, 2).flatten(-2)


def key_mask(mask: Tensor | None) -> Tensor | None:
    """``(batch, keys)`` to a mask ``(batch, 1, 1, keys)`` for every head and query."""
    return None if mask is None else mask[:, None, None, :]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: Dropout) -> Tensor:
    """Attention of heads ``(batch, heads, length, size)``; the mask broadcasts to ``(batch, heads, q, k)``.

    Torch's kernels keep no attention weights, but on a CPU they cannot drop any, nor take values of another
    size
    than the keys: there the weights are made here, and dropped cheaply.
    """
    drops = dropout.training and dropout.rate > 0.0
    if query.device.type == "cpu" and (drops or query.shape[-1] != value.shape[-1]):
        return explicit_attention(query, key, value, mask, dropout)
    if not drops:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout.rate)


def explicit_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: Dropout
) -> Tensor:
    """:func:`attend` with the attention weights written out."""
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    if mask is not None:
        # Added, not filled in: filling takes ten times as long, and as long again in the backward pass.
        hidden = torch.zeros(mask.shape, dtype=logits.dtype, device=mask.device)
        logits = logits + hidden.masked_fill_(~mask, -torch.inf)
    weights: Tensor = dropout(logits.softmax(-1).to(value.dtype))
    return weights @ value


class MultiHeadAttention(nn.Module):
    """Multi-head attention with one size throughout: query, key, value and output of ``dim``.

    The three input maps are one matrix ``(3 * dim, dim)``, as published, so that initialisation and imported
    weights agree.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.input = Linear(dim, 3 * dim)
        self.output = Linear(dim, dim)
        self.dropout = Dropout(dropout)
        nn.init.zeros_(self.input.bias)
        nn.init.zeros_(self.output.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        *,
        row_gate: Tensor | None = None,
    ) -> Tensor:
        """Attended values ``(batch, queries, dim)``.

        Args:
            query: ``(batch, queries, dim)``; the same tensor as ``key`` for self-attention.
            key: ``(batch, keys, dim)``.
            value: ``(batch, keys, dim)``.
            mask: broadcasts to ``(batch, heads, queries, keys)``, or ``None``.
            row_gate: ``(batch, queries)``, scales each query's row of attention weights.
        """
        dim = self.output.in_features
        # One split each: its gradient is one concatenation, where every slice would fill a whole matrix.
        sizes = [2 * dim, dim] if query is key else [dim, dim, dim]
        weights, biases = torch.split(self.input.weight, sizes), torch.split(self.input.bias, sizes)
        if query is key:
            q, k = linear(query, weights[0], biases[0]).chunk(2, -1)
        else:
            q = linear(query, weights[0], biases[0])
            k = linear(key, weights[1], biases[1])
        v = linear(value, weights[-1], biases[-1])
        heads = [split_heads(x, self.heads) for x in (q, k, v)]
        attended = join_heads(attend(heads[0], heads[1], heads[2], mask, self.dropout))
        if row_gate is not None:
            attended = attended * row_gate.unsqueeze(-1)
        out: Tensor = self.output(attended)
        return out


def lighthouse_cross_mask(audio: Tensor, text: Tensor, heads: int) -> Tensor:
    """The mask that Lighthouse up to d095eaa gives its cross-attention: heads read other items' masks.

    Head ``h`` of item ``b`` hides the pairs of padded frame and padded token of item
    ``(b * heads + h) % batch`` besides its own padded tokens, so a result depends on the batch. Kept to
    repeat published numbers only.

    Args:
        audio: ``(batch, frames)``, true where real.
        text: ``(batch, tokens)``, true where real.

    Returns:
        ``(batch, heads, frames, tokens)``, true where a token may be seen.
    """
    batch = audio.shape[0]
    head = torch.arange(batch * heads, device=audio.device)
    mate = head.remainder(batch).view(batch, heads)
    hidden = ~audio[mate].unsqueeze(-1) & ~text[mate].unsqueeze(-2)
    return text[:, None, None, :] & ~hidden
