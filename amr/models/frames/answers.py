"""From a proposal a frame to a few answers: the best first, their ends agreed on by those that mean the same.

Proposals that overlap a better one are taken for the same moment and dropped; before that, the ones that
overlap it well vote on where it begins and ends.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from amr.models.frames.constants import RULED_OUT, SAME_IOU, VOTING_IOU, VOTING_POWER
from amr.models.inputs import NetworkOutputs
from amr.models.spans import iou


def choose(outputs: NetworkOutputs, frame_mask: Tensor, count: int) -> NetworkOutputs:
    """Greedy suppression, for a whole batch at once and without asking the device for anything.

    Args:
        outputs: a proposal a frame.
        frame_mask: ``(batch, frames)`` bool.
        count: answers an item. Where fewer proposals are left, the rest are empty spans with a logit of -30.

    Returns:
        the same with ``(1, batch, count, ...)`` spans and logits, best first.
    """
    spans = outputs.spans[-1]
    scores = outputs.score_logits[-1].masked_fill(~frame_mask, -torch.inf)
    kept, kept_scores = [], []
    for _ in range(count):
        best, place = scores.max(dim=1, keepdim=True)
        chosen = spans.gather(1, place.unsqueeze(-1).expand(-1, -1, 2))
        is_left = best != -torch.inf  # what is no number is seen by who reads the answers
        alike = iou(spans, chosen)
        voted = agreed(spans, outputs.score_logits[-1], (alike >= VOTING_IOU) & frame_mask, chosen)
        kept.append(torch.where(is_left.unsqueeze(-1), voted, 0.0))
        kept_scores.append(torch.where(is_left, best, RULED_OUT))
        # The proposal itself goes too: an empty one overlaps nothing, itself included.
        scores = scores.masked_fill(alike >= SAME_IOU, -torch.inf).scatter(1, place, -torch.inf)
    logits = torch.cat(kept_scores, dim=1)
    return replace(
        outputs,
        spans=torch.cat(kept, dim=1).unsqueeze(0),
        logits=torch.stack((logits, torch.zeros_like(logits)), dim=-1).unsqueeze(0),
    )


def agreed(spans: Tensor, logits: Tensor, voters: Tensor, chosen: Tensor) -> Tensor:
    """The weighted mean of the voters' spans, ``(batch, 1, 2)``; the chosen span where nobody votes.

    Args:
        spans: ``(batch, frames, 2)``.
        logits: ``(batch, frames)``.
        voters: ``(batch, frames)`` bool.
        chosen: ``(batch, 1, 2)``, an empty one overlaps not even itself.
    """
    weight = torch.where(voters, logits.sigmoid() ** VOTING_POWER, 0.0)
    total = weight.sum(1, keepdim=True)
    share = weight / total.clamp(min=torch.finfo(weight.dtype).tiny)
    mean = (spans * share.unsqueeze(-1)).sum(1, keepdim=True)
    return torch.where((total > 0).unsqueeze(-1), mean, chosen)
