"""The parts that the network stacks: projections, feed-forward, and the two kinds of encoder layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr.models.detr.attention import MultiHeadAttention
from amr.models.detr.hidden import LEAST_SLOPE, FeedForwardWeights, hidden_layer, product_dtype
from amr.models.detr.prelu import OneSlopePReLU
from amr.models.dropout import Dropout
from amr.models.products import Linear


class MLP(nn.Module):
    """Linear maps with ReLU between them: ``sizes[0] -> sizes[1] -> ... -> sizes[-1]``."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class ProjectionLayer(nn.Module):
    """LayerNorm, dropout, linear."""

    def __init__(self, size_in: int, size_out: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size_in)
        self.dropout = Dropout(dropout)
        self.linear = Linear(size_in, size_out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(self.dropout(self.norm(x)))
        return out


class Projection(nn.Module):
    """Encoder features to the network's size: ``layers`` layers with ReLU after all but the last."""

    def __init__(self, size_in: int, size_out: int, *, layers: int, dropout: float) -> None:
        super().__init__()
        sizes = [size_in] + [size_out] * layers
        self.layers = nn.ModuleList(ProjectionLayer(a, b, dropout) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class FeedForward(nn.Module):
    """``dim -> hidden -> dim`` with a PReLU whose one slope is learned (QD-DETR), or a ReLU (Moment-DETR)."""

    def __init__(self, dim: int, hidden: int, dropout: float, activation: str = "prelu") -> None:
        super().__init__()
        self.up = Linear(dim, hidden)
        self.activation = OneSlopePReLU() if activation == "prelu" else nn.ReLU()
        self.dropout = Dropout(dropout)
        self.down = Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        slope = self.activation.weight if isinstance(self.activation, OneSlopePReLU) else None
        if slope is not None and self._trains_on_processor(x, slope):
            maps = FeedForwardWeights(self.up.weight, self.up.bias, slope, self.down.weight, self.down.bias)
            dtype = product_dtype(x)
            mask = self.dropout.mask(torch.Size([*x.shape[:-1], self.up.out_features]), dtype)
            return hidden_layer(x, maps, mask, dtype)
        out: Tensor = self.down(self.dropout(self.activation(self.up(x))))
        return out

    @staticmethod
    def _trains_on_processor(x: Tensor, slope: Tensor) -> bool:
        if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        return float(slope.detach()) >= LEAST_SLOPE


class AttentionLayer(nn.Module):
    """The parts of a layer: attention and feed-forward, each with a norm and dropout."""

    def __init__(
        self, dim: int, *, heads: int, feedforward: int, dropout: float, activation: str = "prelu"
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(dim, heads, dropout)
        self.feedforward = FeedForward(dim, feedforward, dropout, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)


class CrossLayer(AttentionLayer):
    """Text-to-audio cross-attention (AM-DETR paper, eq. 3): frames ask, tokens answer.

    The frames that come out of attention are not normalised before the residual that skips the feed-forward:
    ``x = a + attn``, ``out = norm2(x + ffn(norm1(x)))``.
    """

    def forward(
        self,
        audio: Tensor,
        positions: Tensor,
        text: Tensor,
        mask: Tensor | None,
        row_gate: Tensor | None = None,
    ) -> Tensor:
        """``(batch, frames, dim)`` to the same; ``text (batch, tokens, dim)`` carries no position."""
        attended = self.attention(audio + positions, text, text, mask, row_gate=row_gate)
        x = audio + self.dropout1(attended)
        out: Tensor = self.norm2(x + self.dropout2(self.feedforward(self.norm1(x))))
        return out


class EncoderLayer(AttentionLayer):
    """Self-attention over frames (AM-DETR paper, eq. 4), normalised after each residual."""

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch, length, dim)`` to the same."""
        placed = x + positions
        x = self.norm1(x + self.dropout1(self.attention(placed, placed, x, mask)))
        out: Tensor = self.norm2(x + self.dropout2(self.feedforward(x)))
        return out


def xavier_matrices(modules: Sequence[nn.Module]) -> None:
    """Xavier-uniform values for every matrix of ``modules``, as published for the transformer's parts."""
    for module in modules:
        for parameter in module.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)


def unit_rows(x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Each vector divided by its L2 norm plus ``epsilon``, as Lighthouse's data loader does."""
    x = x.float()
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / (length + epsilon)
