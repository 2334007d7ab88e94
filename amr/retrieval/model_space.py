"""The own space of a network whose gate compares frames with sentences (preset ``best``), for an index.

What the gate makes of a frame depends on its neighbours, not on the query. A recording is heard by itself and
whole, whatever block its frames are read in: each block comes with as many frames on either side as the
layers reach, and recordings within it lie so far apart that none reaches another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from amr.formats.features_rows import FeatureRows
from amr.models.frame_layers import ConvLayer, SpaceGate
from amr.models.frame_network import FrameNetwork
from amr.models.inputs import pad
from amr.retrieval.detr import MomentModel
from amr.retrieval.spaces import PROBE_FRAMES, Offsets, Rows, Vector

# Axes of an index, at most. Half as many leave 5 % of the cosine's standard deviation out, these 2 %.
AXES = 64
# Directions of the space that are reached less than this, compared with the first, are rounding.
LEAST_REACH = 1e-5
# What comes after the query, and does not count here.
BEHIND_THE_GATE = "convolution."


@dataclass(frozen=True)
class ModelSpace:
    """Where a network's gate compares frames with sentences, by their cosine.

    Args:
        model: its name, for the index's folder.
        network: a network with a gate, in evaluation mode.
    """

    model: str
    network: FrameNetwork

    @cached_property
    def gate(self) -> SpaceGate:
        assert self.network.gate is not None  # the caller has looked
        return self.network.gate

    @cached_property
    def layers(self) -> list[ConvLayer]:
        """The layers that look at neighbours, ahead of the gate."""
        return [
            module
            for name, module in self.network.named_modules()
            if isinstance(module, ConvLayer) and not name.startswith(BEHIND_THE_GATE)
        ]

    @cached_property
    def reach(self) -> int:
        """How many frames to either side a frame depends on."""
        return sum(layer_reach(layer) for layer in self.layers)

    @cached_property
    def gap(self) -> int:
        """Masked frames between two recordings that keep them apart; each layer masks them anew."""
        return max((layer_reach(layer) for layer in self.layers), default=0)

    def probe(self, dimension: int) -> Vector:
        frames = np.random.default_rng(0).random((PROBE_FRAMES, dimension), dtype=np.float32)
        return self.values(Rows(frames, slice(0, PROBE_FRAMES), np.array([0, PROBE_FRAMES])))

    def basis(self) -> Vector:
        """The ``AXES`` directions in which frames would go furthest, were the gate's normalised input white.

        They come from the weights, so that files that grow, and files beside each other, have the same. That
        input has no mean; with the bias, no more directions than it has numbers can be reached.
        """
        norm, linear = self.gate.audio_norm, self.gate.audio
        with torch.inference_mode():
            weight = linear.weight.double() * norm.weight.double()
            weight = weight - weight.mean(1, keepdim=True)
            bias = linear.weight.double() @ norm.bias.double() + linear.bias.double()
            reached, sizes, _ = torch.linalg.svd(torch.cat((weight, bias[:, None]), 1), full_matrices=False)
        kept = reached[:, sizes > LEAST_REACH * sizes[0]][:, :AXES]
        basis: Vector = kept.T.float().cpu().numpy()
        return basis

    def read(self, features: FeatureRows, first: int, stop: int) -> Rows:
        start = features.start
        begins = int(np.searchsorted(start, first, side="right")) - 1
        ends = int(np.searchsorted(start, stop - 1, side="right"))
        low = max(int(start[begins]), first - self.reach)
        high = min(int(start[ends]), stop + self.reach)
        borders = np.unique(np.clip(start[begins : ends + 1], low, high)) - low
        return Rows(features.rows(low, high), slice(first - low, stop - low), borders.astype(np.int64))

    def values(self, rows: Rows) -> Vector:
        place = places_apart(rows.borders, self.gap)
        frames = np.zeros((int(place[-1]) + 1, rows.frames.shape[1]), dtype=np.float32)
        mask = np.zeros(len(frames), dtype=np.bool_)
        frames[place], mask[place] = rows.frames, True
        device = self.gate.audio.weight.device
        with torch.inference_mode():
            heard = self.network.hear(
                torch.from_numpy(frames)[None].to(device), torch.from_numpy(mask)[None].to(device)
            )
            wanted = heard[0, torch.from_numpy(place[rows.wanted]).to(device)]
            mapped = self.gate.audio(self.gate.audio_norm(wanted)).float()
            values: Vector = functional.normalize(mapped, dim=-1).cpu().numpy()
        return values

    def meaning(self, tokens: npt.NDArray[np.floating]) -> Vector:
        """``(dimensions,)`` of a query's tokens ``(tokens, text_dim)``."""
        padded, _ = pad([tokens[: self.network.config.max_tokens]])
        with torch.inference_mode():
            meant = self.gate.meaning(padded.to(self.gate.audio.weight.device), None)
        vector: Vector = meant[0].cpu().numpy()
        return vector

    @contextmanager
    def working(self) -> Iterator[None]:
        """Each thread computes alone: torch's own would wait for each other by spinning."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def own_space(model: MomentModel) -> ModelSpace | None:
    """The space of its own in which a model compares frames with sentences; None where it has none."""
    network = model.network
    if not isinstance(network, FrameNetwork) or network.gate is None:
        return None
    return ModelSpace(model.name, network)


def layer_reach(layer: ConvLayer) -> int:
    """How many frames to either side one layer looks."""
    (kernel,), (dilation,) = layer.depthwise.kernel_size, layer.depthwise.dilation
    return kernel // 2 * dilation


def places_apart(borders: Offsets, gap: int) -> npt.NDArray[np.int64]:
    """Where each frame goes when ``gap`` frames are put between recordings.

    Args:
        borders: ``(recordings + 1,)`` from 0 on.
        gap: frames between two recordings.
    """
    owner = np.repeat(np.arange(len(borders) - 1), np.diff(borders))
    places: npt.NDArray[np.int64] = np.arange(int(borders[-1])) + gap * owner
    return places
