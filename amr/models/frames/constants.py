"""Numbers of the frame decoder that are not learned, for both of its ways to run."""

from __future__ import annotations

import math

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
ENDS = 2
"""Numbers a frame beside its own score: what it is worth as a moment's first frame, and as its last."""
SEGMENT_WEIGHTS = ("ends.weight", "ends.bias", "by_length", "quality.weight", "quality.bias")
LENGTH_CLASSES = 10
"""Moments of 1, 2, 3 to 4, 5 to 8 ... frames have a score each for their length."""
CANDIDATES = 256
"""The likeliest moments of a stretch, of which the answers are made."""
GONE = -math.inf
"""Logit of a moment that is taken, or is none."""
LEAST_CHANCE, MOST_CHANCE = 1e-12, 1 - 1e-6
"""Moments that are less likely are no answers; likelier ones have this chance's logit."""
ALIKE_IOU, SAME_MOMENT_IOU = 0.699, 0.499
"""Moments that overlap by the first say the same: their marginals add up, and their ends are averaged. Those
that overlap an answer by the second are none of their own. Whole frames overlap by 7/10 and 1/2, which
rounding should not decide. Chosen on the validation split (docs/measurements/0025-segments.md)."""
QUALITY_SHARE, NO_FIT = 0.75, -12.0
"""What the best proposal that agrees with a segment counts for in its order, beside its marginal (as logits),
and what counts where none agrees. Chosen on the validation split (docs/measurements/0025-segments.md)."""
RULED_OUT = -30.0
"""Logit of an answer that does not exist; its sigmoid is 1e-13."""


def peaks_of(config: NetworkConfig) -> int:
    """Curves that the network adds to the similarities: the last as a part of its peak, and that peak."""
    return 2 if config.audio and config.similarity_channels else 0


def curves_of(config: NetworkConfig) -> int:
    """Curves a frame that reach the network's layers, of similarities and of prototypes."""
    return config.similarity_channels + peaks_of(config) + (PROTOTYPE_CURVES if config.prototypes else 0)
