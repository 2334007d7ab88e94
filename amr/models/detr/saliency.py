"""The three losses on frame saliency that QD-DETR's code has; neither paper states them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from amr.models.inputs import NetworkOutputs
from amr.models.targets import Targets

# The published loop runs over 11 ranks of annotators' scores and divides by 12; labels of one annotator fill
# one.
PUBLISHED_RANKS = 12
# Takes a frame out of a softmax and stays finite when multiplied by 0.
OUT_OF_SIGHT = -1e4


def ranking_loss(saliency: Tensor, targets: Targets, margin: float) -> Tensor:
    """Hinge: sampled relevant frames shall lie ``margin`` above irrelevant ones.

    Items without frames of both kinds count 0; the sum over pairs is doubled as published.
    """
    above = saliency.gather(1, targets.positive)
    below = saliency.gather(1, targets.negative)
    hinge = (margin + below - above).clamp(min=0) * targets.rankable.unsqueeze(1)
    return 2 * hinge.mean()


def contrast_loss(
    outputs: NetworkOutputs, relevance: Tensor, frame_mask: Tensor, temperature: float
) -> Tensor:
    """Softmax over all frames of an item, those of its negative pair included: relevant ones shall win.

    Args:
        outputs: saliency and, where there, negative saliency ``(batch, frames)``.
        relevance: ``(batch, frames)`` bool.
        frame_mask: ``(batch, frames)`` bool.
        temperature: the softmax's.
    """
    scores, seen = outputs.saliency, frame_mask
    if outputs.negative_saliency is not None and outputs.negative_valid is not None:
        scores = torch.cat((scores, outputs.negative_saliency), dim=1)
        seen = torch.cat((seen, frame_mask & outputs.negative_valid.unsqueeze(1)), dim=1)
    log_share = (scores / temperature).masked_fill(~seen, OUT_OF_SIGHT).log_softmax(1)
    log_share = log_share[:, : relevance.shape[1]]
    count = relevance.sum(1)
    mean = torch.where(relevance, log_share, 0.0).sum(1) / count.clamp(min=1)
    return -mean.mean() / PUBLISHED_RANKS


def negative_pair_loss(outputs: NetworkOutputs, present: Tensor, frame_mask: Tensor) -> Tensor:
    """``-log(1 - sigmoid(s))`` summed over the frames of a stretch under a text that it does not answer.

    That is its negative pair, unless that text turned out to be its own, and its own text where no target is
    ``present (batch,)``. The published data have a target in every item.
    """
    own = (functional.softplus(outputs.saliency) * frame_mask).sum(1)
    loss = torch.where(present, 0.0, own)
    if outputs.negative_saliency is not None and outputs.negative_valid is not None:
        other = (functional.softplus(outputs.negative_saliency) * frame_mask).sum(1)
        loss = loss + torch.where(outputs.negative_valid, other, 0.0)
    return loss.mean()
