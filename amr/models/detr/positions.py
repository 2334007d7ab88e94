"""Where a frame or an anchor lies, as numbers a network can use: sines, and the two endpoint fractions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Carion et al., "End-to-end object detection with transformers": the longest wave is 10000 times the
# shortest.
TEMPERATURE = 10_000.0
# Keeps the last valid frame just below a full turn, as published.
TURN_EPSILON = 1e-6


def sines(angle: Tensor, dim: int) -> Tensor:
    """``angle (...)`` in radians to ``(..., dim)``: sine and cosine in turn, of falling frequency."""
    frequency_of = torch.arange(dim // 2, dtype=torch.float32, device=angle.device)
    waves = angle.unsqueeze(-1) / TEMPERATURE ** (2 * frequency_of / dim)
    return torch.stack((waves.sin(), waves.cos()), dim=-1).flatten(-2)


def frame_positions(mask: Tensor, dim: int) -> Tensor:
    """Sine positions of the frames of each item, over one turn of ``2 pi`` an item.

    Args:
        mask: ``(batch, frames)``, true where a frame is real; padding stands at the end.

    Returns:
        ``(batch, frames, dim)`` float32; an item's positions do not depend on its padding.
    """
    count = mask.cumsum(1, dtype=torch.float32)
    return sines(count / (count[:, -1:] + TURN_EPSILON) * (2 * math.pi), dim)


def anchor_positions(anchors: Tensor, dim: int) -> Tensor:
    """Sine positions of anchors ``(..., 2)``, centre and width in [0, 1]: half of ``dim`` for each."""
    return sines(anchors.float() * (2 * math.pi), dim // 2).flatten(-2)


def endpoint_features(mask: Tensor) -> Tensor:
    """TEF: ``(batch, frames, 2)``, start and end of each frame as fractions of the item's own frames.

    Padding gets 0.
    """
    index = torch.arange(mask.shape[1], dtype=torch.float32, device=mask.device)
    frames = mask.sum(1, keepdim=True, dtype=torch.float32).clamp(min=1)
    ends = torch.stack((index / frames, (index + 1) / frames), dim=-1)
    return ends * mask.unsqueeze(-1)
