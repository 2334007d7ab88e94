"""Which network a configuration means."""

from __future__ import annotations

from amr.models.config import NetworkConfig
from amr.models.frame_network import FrameNetwork
from amr.models.network import MomentNetwork

Network = MomentNetwork | FrameNetwork


def build_network(config: NetworkConfig) -> Network:
    """A network with random weights, in training mode."""
    return FrameNetwork(config) if config.proposing == "frames" else MomentNetwork(config)
