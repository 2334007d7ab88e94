"""RoBERTa (Liu et al., 2019) as LAION-CLAP uses it: a sentence into one vector a token and one for the whole.

Sentences of one length are computed together and none is ever padded, so that a sentence's vectors depend on
that sentence alone.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from amr.encoders.clap.published import Tensors

HEAD_DIM = 64
FIRST_POSITION = 2  # positions 0 and 1 belong to padding
EPSILON = 1e-5


class RobertaAttention(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Every token looks at every token; there is no padding to hide."""
        heads = (
            part(x).unflatten(2, (-1, HEAD_DIM)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        return scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


class RobertaOutput(nn.Module):
    """A linear layer, the shortcut, and a layer norm behind both."""

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, dim)
        self.LayerNorm = nn.LayerNorm(dim, eps=EPSILON)

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.LayerNorm(self.dense(x) + shortcut)
        return out


class RobertaLayer(nn.Module):
    """Names as published: ``attention.self``, ``attention.output``, ``intermediate.dense``, ``output``."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": RobertaAttention(dim), "output": RobertaOutput(dim, dim)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(dim, inner)})
        self.output = RobertaOutput(inner, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attention["output"](self.attention["self"](x), x)
        out: torch.Tensor = self.output(gelu(self.intermediate["dense"](x)), x)
        return out


class RobertaLayers(nn.Module):
    def __init__(self, dim: int, inner: int, depth: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(RobertaLayer(dim, inner) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layer:
            x = layer(x)
        return x


class RobertaEmbeddings(nn.Module):
    def __init__(self, words: int, positions: int, dim: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(words, dim)
        self.position_embeddings = nn.Embedding(positions, dim)
        self.token_type_embeddings = nn.Embedding(1, dim)
        self.LayerNorm = nn.LayerNorm(dim, eps=EPSILON)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(numbers.shape[1], device=numbers.device) + FIRST_POSITION
        x = self.word_embeddings(numbers) + self.position_embeddings(positions)
        out: torch.Tensor = self.LayerNorm(x + self.token_type_embeddings.weight[0])
        return out


class Roberta(nn.Module):
    """The network."""

    def __init__(self, *, words: int, positions: int, dim: int, inner: int, depth: int) -> None:
        super().__init__()
        self.embeddings = RobertaEmbeddings(words, positions, dim)
        self.encoder = RobertaLayers(dim, inner, depth)
        self.pooler = nn.ModuleDict({"dense": nn.Linear(dim, dim)})

    def forward(self, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``(batch, tokens)`` to the states ``(batch, tokens, dim)`` and the sentences ``(batch, dim)``."""
        x = self.encoder(self.embeddings(numbers))
        return x, torch.tanh(self.pooler["dense"](x[:, 0]))


def build_roberta(tensors: Tensors, device: torch.device) -> Roberta:
    """The network with published weights (names below ``text_branch.``), in float32, ready to be used."""
    words, dim = tensors["embeddings.word_embeddings.weight"].shape
    with torch.device("meta"):
        net = Roberta(
            words=words,
            positions=len(tensors["embeddings.position_embeddings.weight"]),
            dim=dim,
            inner=len(tensors["encoder.layer.0.intermediate.dense.weight"]),
            depth=sum(f"encoder.layer.{n}.output.dense.weight" in tensors for n in range(100)),
        )
    state = {name: torch.from_numpy(np.array(tensors[name], np.float32)) for name in net.state_dict()}
    net.load_state_dict(state, assign=True)
    return net.eval().requires_grad_(False).to(device)
