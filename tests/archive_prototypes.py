"""A small network with prototypes, and where it hears frames: the obvious way."""

from __future__ import annotations

from dataclasses import replace

import torch
from archive_world import DIMENSION, TEXT_DIMENSION, Floats, text_features, wandering

from amr.models.frame_network import FrameNetwork, compressed
from amr.models.presets import PRESETS, sized
from amr.models.prototypes import even
from amr.retrieval.model_space import ModelSpace

AXES = 6
WORDS = ("a dog barks", "rain", "someone chops wood", "wind", "a bell", "steps", "a train", "birds", "speech")


def toy_space(seed: int = 0) -> ModelSpace:
    """A network of random weights that was measured on random frames, and the space in which it compares.

    Args:
        seed: another number is another network.
    """
    torch.manual_seed(seed)
    config = replace(
        sized(PRESETS["best"], audio_dim=DIMENSION, text_dim=TEXT_DIMENSION).network,
        hidden_dim=16,
        feedforward_dim=32,
        prototypes=len(WORDS) + 3,
        prototype_axes=AXES,
        encoder_layers=2,
    )
    network = FrameNetwork(config)
    assert network.prototypes is not None
    with torch.no_grad():
        frames = compressed(torch.from_numpy(wandering(400, 100 + seed)))
        network.prototypes.whitening.fit(even(frames))
        sentences = [torch.from_numpy(text_features(words).tokens).float() for words in WORDS]
        network.prototypes.fit(
            torch.cat([network.prototypes.sentences(each[None], None) for each in sentences]),
            torch.arange(len(WORDS)),
            torch.nn.functional.normalize(torch.randn(len(WORDS), AXES), dim=-1),
        )
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return ModelSpace("toy", network.eval(), network.prototypes)


def heard_alone(own: ModelSpace, frames: Floats) -> Floats:
    """What prototypes are compared with, frame by frame."""
    white = own.prototypes.whitening
    with torch.inference_mode():
        heard = [white(even(compressed(torch.from_numpy(each)))) for each in frames]
        return torch.stack([each / each.norm() for each in heard]).numpy()
