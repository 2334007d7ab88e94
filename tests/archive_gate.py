"""A small network with a gate, and what it hears in a recording: the obvious way."""

from __future__ import annotations

from dataclasses import replace

import torch
from archive_world import DIMENSION, TEXT_DIMENSION, Floats

from amr.models.frame_layers import ConvLayer
from amr.models.frame_network import FrameNetwork
from amr.models.presets import PRESETS, sized
from amr.retrieval.model_space import ModelSpace

HIDDEN = 16


def toy_space(seed: int = 0, dilation: int = 1) -> ModelSpace:
    """A network with a gate, of random weights, and the space in which it compares.

    Args:
        seed: another number is another network.
        dilation: of the layer ahead of the gate.
    """
    torch.manual_seed(seed)
    config = replace(
        sized(PRESETS["best"], audio_dim=DIMENSION, text_dim=TEXT_DIMENSION).network,
        hidden_dim=HIDDEN,
        feedforward_dim=32,
        space_dim=24,
        encoder_layers=2,
    )
    network = FrameNetwork(config)
    network.stem = ConvLayer(HIDDEN, kernel=5, feedforward=32, dropout=0.0, dilation=dilation)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return ModelSpace("toy", network.eval())


def heard_alone(own: ModelSpace, frames: Floats) -> Floats:
    """What the gate compares with sentences, of one whole recording."""
    gate = own.network.gate
    assert gate is not None
    with torch.inference_mode():
        heard = own.network.hear(torch.from_numpy(frames)[None], None)
        mapped = gate.audio(gate.audio_norm(heard))[0]
        return (mapped / mapped.norm(dim=-1, keepdim=True)).numpy()
