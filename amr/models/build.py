"""Which network a configuration means, and what its training minimises."""

from __future__ import annotations

from torch import Tensor

from amr.errors import InputError
from amr.models.architectures import OwnNetwork, find_architecture
from amr.models.config import NetworkConfig
from amr.models.detr.losses import detr_losses, sum_of
from amr.models.detr.network import DetrNetwork
from amr.models.frames.losses import frame_losses
from amr.models.frames.network import FrameNetwork
from amr.models.inputs import NetworkOutputs
from amr.models.loss_config import LossConfig
from amr.models.targets import Targets

Network = DetrNetwork | FrameNetwork | OwnNetwork


def build_network(config: NetworkConfig) -> Network:
    """A network with random weights, in training mode.

    Raises:
        MissingError: it is of an architecture that no package here brings.
        InputError: its architecture cannot build it.
    """
    if config.architecture:
        try:
            return find_architecture(config.architecture).build(config)
        except ValueError as error:
            raise InputError(f"network {config.architecture!r} cannot be built: {error}") from error
    return FrameNetwork(config) if config.proposing == "frames" else DetrNetwork(config)


def total_loss(
    outputs: NetworkOutputs,
    targets: Targets,
    frame_mask: Tensor,
    config: LossConfig,
    *,
    num_targets: Tensor | None = None,
) -> dict[str, Tensor]:
    """Every part of the loss by name, unweighted scalars on the device, and their weighted sum ``total``.

    Args:
        outputs: of a network in training mode, with negatives where ``config.negatives`` is set.
        targets: labels of the same batch.
        frame_mask: ``(batch, frames)`` bool.
        config: weights and forms.
        num_targets: for batches that are computed in parts: the whole's number of matched pairs, or of frames
            in moments where every frame proposes.
    """
    losses = detr_losses if outputs.middles is None else frame_losses
    parts = losses(outputs, targets, frame_mask, config, num_targets)
    added = outputs.added_losses(targets, frame_mask)
    if not added:
        return parts
    parts["added"] = sum_of(list(added.values()))
    return parts | added | {"total": parts["total"] + parts["added"]}
