"""HTS-AT (Chen et al., ICASSP 2022, arXiv 2202.00874): the audio network of both CLAPs.

A Swin transformer (Liu et al., 2021) on a log-mel spectrogram that is stretched to 1024 steps, cut into four
pieces of 256 and stacked into a square of 256 x 256, so that a window of attention sees neighbouring times
and neighbouring frequencies.

Attention works in windows of 8 x 8 tokens. Here the tokens of a stage are kept in the order of its windows,
so that a block without shift copies nothing; a shifted block gathers them once and puts them back once.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from amr.encoders.clap.published import Tensors

NUM_STEPS = 1024  # the spectrogram's length as the network wants it
NUM_MELS = 64
NUM_PIECES = 4
PATCH = 4
GRID = NUM_PIECES * NUM_MELS // PATCH  # tokens along either side of the square, in the first stage
SIDE = 8  # of a window, in tokens
TOKENS = SIDE * SIDE  # in a window
NUM_STAGES = 4
NUM_CELLS = NUM_PIECES * SIDE  # steps of time that the last stage tells apart
MLP_RATIO = 4


def window_order(grid: int) -> torch.Tensor:
    """Row-major indices of a ``grid x grid`` map in the order of its windows, ``(grid * grid,)``."""
    rows = torch.arange(grid * grid, device="cpu").view(grid // SIDE, SIDE, grid // SIDE, SIDE)
    return rows.transpose(1, 2).flatten()


def inverse(order: torch.Tensor) -> torch.Tensor:
    """The order that undoes ``order``."""
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device="cpu")
    return back


def shifted_order(grid: int) -> torch.Tensor:
    """Where the tokens of windows shifted by half a side lie among those in window order."""
    rolled = (
        torch.arange(grid * grid, device="cpu")
        .view(grid, grid)
        .roll((-SIDE // 2, -SIDE // 2), (0, 1))
        .flatten()
    )
    return inverse(window_order(grid))[rolled[window_order(grid)]]


def merging_order(grid: int) -> torch.Tensor:
    """For each token of the next stage the four that it is made of, ``(4 * (grid / 2) ** 2,)``, in window
    order.

    The four are top left, bottom left, top right, bottom right, as the published weights expect.
    """
    tokens = torch.arange(grid * grid, device="cpu").view(grid // 2, 2, grid // 2, 2)  # (rows, 2, columns, 2)
    fours = tokens.permute(0, 2, 3, 1).reshape(-1, 4)[window_order(grid // 2)]
    return inverse(window_order(grid))[fours.flatten()]


def relative_positions() -> torch.Tensor:
    """Row of the bias table for each pair of tokens in a window, ``(64, 64)``."""
    row, column = torch.arange(TOKENS, device="cpu") // SIDE, torch.arange(TOKENS, device="cpu") % SIDE
    rows = row[:, None] - row[None, :] + SIDE - 1
    columns = column[:, None] - column[None, :] + SIDE - 1
    return rows * (2 * SIDE - 1) + columns


def shift_mask(grid: int) -> torch.Tensor:
    """Keeps apart what the shift brought together from opposite edges: 0 or -100, ``(windows, 64, 64)``."""
    zone = torch.zeros(grid, dtype=torch.int64, device="cpu")
    zone[grid - SIDE : grid - SIDE // 2] = 1
    zone[grid - SIDE // 2 :] = 2
    zones = (zone[:, None] * 3 + zone[None, :]).flatten()[window_order(grid)].view(-1, TOKENS)
    return (zones[:, :, None] != zones[:, None, :]).float() * -100.0


class HtsAtAttention(nn.Module):
    """Attention inside windows, with a learnt bias for each relative position."""

    def __init__(self, dim: int, heads: int, grid: int, *, shifted: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * SIDE - 1) ** 2, heads))
        self.register_buffer("mask", shift_mask(grid) if shifted else None, persistent=False)
        self.mask: torch.Tensor | None
        self.bias: torch.Tensor | None = None

    def bias_of_windows(self) -> torch.Tensor:
        """``(1 or windows, heads, 64, 64)``; put together once, because the weights do not change."""
        if self.bias is None:
            table = self.relative_position_bias_table
            bias = table[relative_positions().to(table.device)].permute(2, 0, 1)[None]
            self.bias = (bias if self.mask is None else bias + self.mask[:, None]).contiguous()
        return self.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, windows * 64, dim)`` to the same."""
        batch, length, dim = x.shape
        qkv = self.qkv(x).unflatten(1, (-1, TOKENS)).flatten(0, 1)  # (batch * windows, 64, 3 * dim)
        query, key, value = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.bias_of_windows().to(query.dtype)
        if len(bias) > 1 and batch > 1:
            bias = bias.repeat(batch, 1, 1, 1)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).flatten(2).view(batch, length, dim))
        return out


class HtsAtMlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, MLP_RATIO * dim)
        self.fc2 = nn.Linear(MLP_RATIO * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc2(gelu(self.fc1(x)))
        return out


class HtsAtBlock(nn.Module):
    """Attention and a small network for each token, each behind a layer norm and around a shortcut."""

    def __init__(self, dim: int, heads: int, grid: int, *, shifted: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = HtsAtAttention(dim, heads, grid, shifted=shifted)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = HtsAtMlp(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        out: torch.Tensor = x + self.mlp(self.norm2(x))
        return out


class HtsAtMerging(nn.Module):
    """Four neighbouring tokens into one of twice the size."""

    def __init__(self, dim: int, grid: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.register_buffer("order", merging_order(grid), persistent=False)
        self.order: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, grid ** 2, dim)`` to ``(batch, grid ** 2 / 4, 2 * dim)``."""
        fours = torch.unflatten(x.index_select(1, self.order), 1, (-1, 4)).flatten(2)
        out: torch.Tensor = self.reduction(self.norm(fours))
        return out


class HtsAtStage(nn.Module):
    """Blocks on one grid, every other one shifted, and the merging behind them (the last stage has none)."""

    def __init__(self, dim: int, heads: int, depth: int, grid: int, *, last: bool) -> None:
        super().__init__()
        shifts = grid > SIDE
        self.shifted = [shifts and number % 2 == 1 for number in range(depth)]
        self.blocks = nn.ModuleList(HtsAtBlock(dim, heads, grid, shifted=shifted) for shifted in self.shifted)
        self.downsample = None if last else HtsAtMerging(dim, grid)
        order = shifted_order(grid) if shifts else torch.arange(grid * grid, device="cpu")
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", inverse(order), persistent=False)
        self.order: torch.Tensor
        self.back: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block, shifted in zip(self.blocks, self.shifted, strict=True):
            if shifted:
                x = block(x.index_select(1, self.order)).index_select(1, self.back)
            else:
                x = block(x)
        return x if self.downsample is None else self.downsample(x)


class HtsAtPatches(nn.Module):
    """Patches of 4 mels x 4 steps into tokens, in window order."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(PATCH * PATCH, dim)
        self.norm = nn.LayerNorm(dim)
        self.register_buffer("order", window_order(GRID), persistent=False)
        self.order: torch.Tensor

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """``(batch, 1024 steps, 64 mels)`` to ``(batch, 4096, dim)``."""
        pieces = torch.unflatten(spectrogram, 1, (NUM_PIECES, -1, PATCH))
        steps = torch.unflatten(pieces, 4, (-1, PATCH))
        # (batch, pieces, steps / 4, 4, mels / 4, 4) to (batch, pieces, mels / 4, steps / 4, 4 mels, 4 steps)
        patches = steps.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(1, 3)
        out: torch.Tensor = self.norm(self.proj(patches.index_select(1, self.order)))
        return out


class HtsAt(nn.Module):
    """The network.

    Args:
        dim: size of a token in the first stage; it doubles from stage to stage.
        depths: blocks of each stage.
        heads: of attention, of each stage.
    """

    def __init__(self, *, dim: int, depths: tuple[int, ...], heads: tuple[int, ...]) -> None:
        super().__init__()
        self.dimension, self.depths = dim * 2 ** (NUM_STAGES - 1), depths
        self.patch_embed = HtsAtPatches(dim)
        self.layers = nn.ModuleList(
            HtsAtStage(dim * 2**n, heads[n], depths[n], GRID // 2**n, last=n == NUM_STAGES - 1)
            for n in range(NUM_STAGES)
        )
        self.norm = nn.LayerNorm(self.dimension)

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Spectrograms ``(batch, 1024, 64)``, normalised, to cells of time ``(batch, 32, dimension)``.

        The clip's embedding, as both CLAPs use it, is the mean of its cells.
        """
        x = self.patch_embed(spectrogram)
        for stage in self.layers:
            x = stage(x)
        x = self.norm(x)
        # (batch, pieces, frequencies, steps, dim): the last stage is a single window, so rows are in order.
        return torch.unflatten(x, 1, (NUM_PIECES, -1, SIDE)).mean(dim=2).flatten(1, 2)


def build_htsat(tensors: Tensors, device: torch.device) -> HtsAt:
    """The network with published weights, in float32, ready to be used.

    Args:
        tensors: the published names below ``audio_branch.`` (LAION) or ``audio_encoder.base.htsat.``
            (Microsoft); what is not part of the network (the front end, the heads for AudioSet) is passed
            over.
    """
    depths, heads = network_shape(tensors)
    with torch.device("meta"):
        net = HtsAt(dim=len(tensors["patch_embed.proj.weight"]), depths=depths, heads=heads)
    wanted = net.state_dict().keys()
    state = {name: torch.from_numpy(np.array(tensors[name], np.float32)) for name in wanted}
    state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].flatten(1)
    net.load_state_dict(state, assign=True)
    return net.eval().requires_grad_(False).to(device)


def network_shape(tensors: Tensors) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Blocks and heads of each stage, read off the names and shapes of the weights."""
    tables = "layers.{}.blocks.{}.attn.relative_position_bias_table"
    depths = tuple(sum(tables.format(n, b) in tensors for b in range(100)) for n in range(NUM_STAGES))
    heads = tuple(int(tensors[tables.format(n, 0)].shape[1]) for n in range(NUM_STAGES))
    return depths, heads


def count_operations(net: HtsAt) -> int:
    """Floating-point operations of one pass over one clip, two for each product in a matrix product."""
    dim: int = net.dimension // 2 ** (NUM_STAGES - 1)
    total = 2 * GRID**2 * PATCH**2 * dim
    for number, depth in enumerate(net.depths):
        tokens, size = (GRID // 2**number) ** 2, dim * 2**number
        linear = (4 + 2 * MLP_RATIO) * size**2  # queries, keys, values, what comes out, and the MLP
        attention = 2 * TOKENS * size
        total += 2 * depth * tokens * (linear + attention)
        if number < NUM_STAGES - 1:
            total += 2 * (tokens // 4) * 4 * size * 2 * size
    return total
