"""Small networks with random weights, as checkpoints."""

from __future__ import annotations

from dataclasses import replace

import torch

from amr.encoders.base import EncoderIdentity
from amr.models.build import build_network
from amr.models.checkpoint import Checkpoint
from amr.models.presets import PRESETS, sized


def random_checkpoint(
    encoder: EncoderIdentity, preset: str = "am-detr", *, window_frames: int, channels: int = 0
) -> Checkpoint:
    """A network of five queries for an encoder's features, far from its initial weights."""
    torch.manual_seed(2)
    config = replace(
        sized(PRESETS[preset], audio_dim=encoder.dimension, text_dim=encoder.text_dimension).network,
        hidden_dim=16,
        heads=2,
        feedforward_dim=32,
        queries=5,
        window_frames=window_frames,
        max_tokens=4,
        similarity_channels=channels,
    )
    network = build_network(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return Checkpoint(config=config, weights=network.state_dict(), encoder=encoder, preset=preset)
