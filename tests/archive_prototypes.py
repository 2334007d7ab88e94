"""A small network with prototypes, and where it hears frames: the obvious way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from archive_world import DIMENSION, TEXT_DIMENSION, Floats, text_features, wandering

from amr.models.frames.constants import LAYER_NORM_EPSILON
from amr.models.frames.network import FrameNetwork, compressed
from amr.models.frames.numpy_prototypes import NumpyPrototypes
from amr.models.frames.prototypes import even
from amr.models.presets import PRESETS, sized
from amr.retrieval.archive.model_space import ModelSpace

AXES = 6
WORDS = ("a dog barks", "rain", "someone chops wood", "wind", "a bell", "steps", "a train", "birds", "speech")


def toy_network(seed: int = 0) -> FrameNetwork:
    """A network of random weights that was measured on random frames.

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
    return network.eval()


def toy_space(seed: int = 0) -> ModelSpace:
    """The space in which the toy network compares."""
    return space_of(toy_network(seed))


def space_of(network: FrameNetwork) -> ModelSpace:
    weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
    return ModelSpace("toy", NumpyPrototypes(weights, network.config.max_tokens))


def heard_alone(own: ModelSpace, frames: Floats) -> Floats:
    """What prototypes are compared with, frame by frame."""
    mean = own.prototypes.weights["prototypes.whitening.mean"]
    axes = own.prototypes.weights["prototypes.whitening.axes"]
    heard = []
    for each in np.sign(frames) * np.log(1 + np.abs(frames)):
        even = (each - each.mean()) / np.sqrt(each.var() + LAYER_NORM_EPSILON)
        white = (even - mean) @ axes
        heard.append(white / np.linalg.norm(white))
    return np.stack(heard).astype(np.float32)
