"""All parameters of a network in one tensor, so that a step of the optimiser is a handful of operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FlatParameters:
    """The parameters of a network laid end to end; the network's own become views into them.

    Args:
        network: on its device, all of its parameters float32. Its buffers do not move.
    """

    def __init__(self, network: nn.Module) -> None:
        self.parameters = list(network.parameters())
        self.buffers = dict(network.named_buffers())
        self.kept_buffers = sorted(self.buffers.keys() & network.state_dict().keys())
        self.names = [name for name, _ in network.named_parameters()]
        self.values = torch.cat([parameter.detach().flatten() for parameter in self.parameters])
        for parameter, view in zip(self.parameters, self.views(self.values), strict=True):
            parameter.data = view

    def __len__(self) -> int:
        return self.values.numel()

    def views(self, flat: Tensor) -> list[Tensor]:
        """A flat tensor cut into the parameters' shapes, without a copy."""
        sizes = [parameter.numel() for parameter in self.parameters]
        parts = torch.split(flat[: sum(sizes)], sizes)
        return [part.view(each.shape) for part, each in zip(parts, self.parameters, strict=True)]

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """Copies of a flat tensor's parts on the CPU by the parameters' names, and of a model's buffers."""
        copy = flat.detach().to("cpu", copy=True)
        buffers = {name: self.buffers[name].to("cpu", copy=True) for name in self.kept_buffers}
        return dict(zip(self.names, self.views(copy), strict=True)) | buffers

    def load(self, weights: dict[str, Tensor]) -> None:
        """Set the parameters."""
        for name, view in zip(self.names, self.views(self.values), strict=True):
            view.copy_(weights[name])
