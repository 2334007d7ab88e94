"""GPT-2 (Radford et al., 2019) as Microsoft CLAP 2023 uses it: the states of a sentence's tokens.

Attention looks back only, so a sentence's states do not depend on what follows it; sentences of one length
are computed together and none is padded.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from amr.encoders.clap.published import Tensors

HEAD_DIM = 64
EPSILON = 1e-5
# The published names, each with its linear layer's here; the published matrices are transposed.
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


class Gpt2Attention(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.c_attn = nn.Linear(dim, 3 * dim)
        self.c_proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.c_attn(x).unflatten(2, (3, -1, HEAD_DIM)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(heads[0], heads[1], heads[2], is_causal=True)
        out: torch.Tensor = self.c_proj(mixed.transpose(1, 2).flatten(2))
        return out


class Gpt2Layer(nn.Module):
    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(dim, eps=EPSILON), nn.LayerNorm(dim, eps=EPSILON)
        self.attn = Gpt2Attention(dim)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(dim, inner), "c_proj": nn.Linear(inner, dim)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        out: torch.Tensor = x + self.mlp["c_proj"](gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))
        return out


class Gpt2(nn.Module):
    """The network, without the head that predicts words."""

    def __init__(self, *, words: int, positions: int, dim: int, inner: int, depth: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(words, dim), nn.Embedding(positions, dim)
        self.h = nn.ModuleList(Gpt2Layer(dim, inner) for _ in range(depth))
        self.ln_f = nn.LayerNorm(dim, eps=EPSILON)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """``(batch, tokens)`` to ``(batch, tokens, dim)``."""
        x = self.wte(numbers) + self.wpe(torch.arange(numbers.shape[1], device=numbers.device))
        for layer in self.h:
            x = layer(x)
        out: torch.Tensor = self.ln_f(x)
        return out


def build_gpt2(tensors: Tensors, device: torch.device) -> Gpt2:
    """The network with published weights (names below ``caption_encoder.base.``), in float32."""
    words, dim = tensors["wte.weight"].shape
    with torch.device("meta"):
        net = Gpt2(
            words=words,
            positions=len(tensors["wpe.weight"]),
            dim=dim,
            inner=tensors["h.0.mlp.c_fc.weight"].shape[1],
            depth=sum(f"h.{n}.ln_1.weight" in tensors for n in range(100)),
        )
    state = {}
    for name in net.state_dict():
        values = torch.from_numpy(np.array(tensors[name], np.float32))
        state[name] = values.T.contiguous() if name.endswith(TRANSPOSED) else values
    net.load_state_dict(state, assign=True)
    return net.eval().requires_grad_(False).to(device)
