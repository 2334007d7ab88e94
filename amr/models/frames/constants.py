"""Numbers of the frame decoder that are not learned, for both of its ways to run."""

from __future__ import annotations

from amr.models.config import NetworkConfig

LAYER_NORM_EPSILON = 1e-5
LEAST_PEAK = 1e-3
"""Keeps a curve that never rises from being blown up."""

# Sentences are unit vectors and count by exp(-KERNEL |s - s'|^2). Chosen on the validation split
# (docs/measurements/0016-prototypes.md).
KERNEL = 3.0
# Of the curves that the network gets from prototypes, so that they are about as large as its other inputs.
LOGIT_SCALE, RISE_SCALE, LENGTH_SCALE = 1 / 3, 5.0, 2.0
PROTOTYPE_CURVES = 5

MOST_CERTAIN = -1e-7
"""Logarithm of the highest chance that has a finite logit."""

SAME_IOU = 0.5
"""Proposals that overlap by this much are taken to mean the same moment."""
VOTING_IOU, VOTING_POWER = 0.6, 4.0
"""Proposals that overlap the best one by this much vote on its ends, with their scores to this power."""
RULED_OUT = -30.0
"""Logit of an answer that does not exist; its sigmoid is 1e-13."""


def peaks_of(config: NetworkConfig) -> int:
    """Curves that the network adds to the similarities: the last as a part of its peak, and that peak."""
    return 2 if config.audio and config.similarity_channels else 0


def curves_of(config: NetworkConfig) -> int:
    """Curves a frame that reach the network's layers, of similarities and of prototypes."""
    return config.similarity_channels + peaks_of(config) + (PROTOTYPE_CURVES if config.prototypes else 0)
