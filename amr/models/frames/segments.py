"""Moments as the segments of a semi-Markov random field (Sarawagi and Cohen, 2004), decoded exactly.

A segmentation of a stretch is a set of moments that share no frame. Its probability is exp(sum of its
moments' scores) over the sum of that for all segmentations; frames outside of moments count 0. The sum over
all, and every moment's marginal, come from one pass forward and one back over the frames (Sarawagi and
Cohen, eq. 4). Frames are whole here; where in its first and last frame a moment begins and ends, the
proposals of these frames say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from amr.models.config import NetworkConfig
from amr.models.frames.constants import (
    ALIKE_IOU,
    CANDIDATES,
    GONE,
    LEAST_CHANCE,
    LENGTH_CLASSES,
    MOST_CHANCE,
    NO_FIT,
    QUALITY_SHARE,
    RULED_OUT,
    SAME_MOMENT_IOU,
    VOTING_IOU,
)
from amr.models.inputs import NetworkOutputs
from amr.models.spans import iou, to_ends
from amr.models.targets import Targets


def segment_scores(inside: Tensor, ends: Tensor, by_length: Tensor, mask: Tensor) -> Tensor:
    """The score of each moment by its first and last frame, ``(batch, frames, frames)``.

    It is -inf where none can be.

    Args:
        inside: ``(batch, frames)``, what each frame of a moment adds.
        ends: ``(batch, frames, 2)``, what its first frame adds, and its last.
        by_length: ``(LENGTH_CLASSES,)``.
        mask: ``(batch, frames)`` bool, real frames first.
    """
    first, last = ends.to(inside.dtype).unbind(-1)
    so_far = inside.cumsum(1)
    number = torch.arange(inside.shape[1], device=inside.device)
    length = number - number.unsqueeze(1) + 1
    length_class = length.clamp(min=1).float().log2().ceil().long().clamp(max=LENGTH_CLASSES - 1)
    scores = (so_far + last).unsqueeze(1) + (first + inside - so_far).unsqueeze(2) + by_length[length_class]
    possible = (length > 0) & mask.unsqueeze(1) & mask.unsqueeze(2)
    return scores.masked_fill(~possible, -torch.inf)


class _LogPartition(torch.autograd.Function):
    """Logarithm of the sum over all segmentations; its gradient is the marginals."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        total, chances = forward_backward(scores)
        ctx.save_for_backward(chances)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (chances,) = ctx.saved_tensors
        gradient: Tensor = gradients[0][:, None, None] * chances
        return gradient


def log_partition(scores: Tensor) -> Tensor:
    """``(batch,)`` from :func:`segment_scores`: log of the sum of exp(score) over all segmentations."""
    total: Tensor = _LogPartition.apply(scores)  # type: ignore[no-untyped-call]
    return total


def forward_backward(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The log-partition ``(batch,)`` and the marginals: each moment's chance, ``(batch, frames, frames)``.

    Args:
        scores: of :func:`segment_scores`.
    """
    batch, frames, _ = scores.shape
    with torch.no_grad():
        # Back is forward over the frames in reverse, so that both go side by side. By end, item and start.
        by_end = torch.cat((scores.mT, scores.flip(1, 2))).transpose(0, 1).contiguous()
        # ahead[t]: all segmentations of the first t frames.
        ahead = scores.new_zeros(2 * batch, frames + 1)
        for end in range(frames):
            ending = ahead[:, : end + 1] + by_end[end, :, : end + 1]
            ahead[:, end + 1] = torch.logaddexp(ahead[:, end], ending.logsumexp(1))
        before, behind = ahead[:batch], ahead[batch:]
        total = before[:, -1:]
        chances = scores + (before[:, :-1] - total).unsqueeze(2) + behind[:, :-1].flip(1).unsqueeze(1)
        return total.squeeze(1), chances.exp_()


def segmentation_loss(scores: Tensor, targets: Targets, holds: Tensor) -> Tensor:
    """Minus the logarithm of the probability of the labelled segmentation, ``(batch,)``.

    Args:
        scores: of :func:`segment_scores`.
        targets: labels.
        holds: ``(batch, targets, frames)`` bool, the frames of each moment. Of moments that share frames the
            shortest counts.
    """
    frames = holds.shape[-1]
    number = torch.arange(frames, device=holds.device)
    first = number.masked_fill(~holds, frames).amin(-1)
    last = number.masked_fill(~holds, -1).amax(-1)
    length = (last - first).masked_fill(~(targets.span_mask & holds.any(-1)), frames)
    taken = torch.zeros_like(holds[:, 0])
    labelled = scores.new_zeros(len(scores))
    for place in length.argsort(dim=1).unsqueeze(-1).unbind(1):
        own = holds.gather(1, place.unsqueeze(-1).expand(-1, -1, frames)).squeeze(1)
        free = (length.gather(1, place).squeeze(1) < frames) & ~(own & taken).any(1)
        cell = (first.gather(1, place) * frames + last.gather(1, place)).clamp(0, frames * frames - 1)
        score = scores.flatten(1).gather(1, cell).squeeze(1)
        labelled = labelled + torch.where(free, score.masked_fill(~free, 0.0), 0.0)
        taken = taken | (own & free.unsqueeze(1))
    return log_partition(scores) - labelled


def choose_segments(
    outputs: NetworkOutputs, scores: Tensor, frame_mask: Tensor, config: NetworkConfig
) -> NetworkOutputs:
    """The likeliest moments, best first, each with the chance that it or one much like it is there.

    Where proposals know their quality, that of the best one that agrees counts as well.

    Args:
        outputs: a proposal a frame, which says where in its frame a moment begins or ends.
        scores: of :func:`segment_scores`.
        frame_mask: ``(batch, frames)`` bool.
        config: how many answers an item: where fewer are left, the rest are empty spans with a logit of -30;
            and what calibration makes of chances.

    Returns:
        the same with ``(1, batch, answers, ...)`` spans and logits.
    """
    frames = scores.shape[-1]
    _, chances = forward_backward(scores)
    chances = chances.to(outputs.spans.dtype)
    chance, cell = chances.flatten(1).topk(min(CANDIDATES, frames * frames), dim=1)
    spans = fine_spans(outputs, cell // frames, cell % frames, frame_mask)
    alike = iou(spans.unsqueeze(2), spans.unsqueeze(1))
    voters = (alike >= ALIKE_IOU) | torch.eye(cell.shape[1], dtype=torch.bool, device=cell.device)
    weight = voters * chance.unsqueeze(1)
    together = weight.sum(-1)
    spans = weight @ spans / together.clamp(min=torch.finfo(weight.dtype).tiny).unsqueeze(-1)
    likely = torch.logit(together.clamp(LEAST_CHANCE, MOST_CHANCE))
    if config.quality:
        agrees = iou(spans.unsqueeze(2), outputs.spans[-1].unsqueeze(1)) >= VOTING_IOU
        fit = torch.where(agrees & frame_mask.unsqueeze(1), outputs.score_logits[-1].unsqueeze(1), NO_FIT)
        likely = QUALITY_SHARE * fit.amax(-1) + (1 - QUALITY_SHARE) * likely
    left = likely.masked_fill(chance <= LEAST_CHANCE, GONE)
    kept, kept_logits = [], []
    for _ in range(config.queries):
        best, place = left.max(dim=1, keepdim=True)
        chosen = spans.gather(1, place.unsqueeze(-1).expand(-1, -1, 2))
        # Not "> GONE": what is no number is seen by who reads the answers.
        kept.append(torch.where((best != GONE).unsqueeze(-1), chosen, 0.0))
        kept_logits.append(best)
        left = left.masked_fill(iou(spans, chosen) >= SAME_MOMENT_IOU, GONE).scatter(1, place, GONE)
    likely = torch.cat(kept_logits, dim=1)
    logits = config.moment_slope * likely + config.moment_shift if config.moment_slope else likely
    logits = torch.where(likely != GONE, logits, RULED_OUT)
    return replace(
        outputs,
        spans=torch.cat(kept, dim=1).unsqueeze(0),
        logits=torch.stack((logits, torch.zeros_like(logits)), dim=-1).unsqueeze(0),
    )


def fine_spans(outputs: NetworkOutputs, first: Tensor, last: Tensor, frame_mask: Tensor) -> Tensor:
    """(centre, width) of moments from frame ``first`` to frame ``last``, ``(batch, moments, 2)``.

    They begin where the first frame proposes, within a frame of its own beginning, and end likewise.

    Args:
        outputs: a proposal a frame.
        first, last: ``(batch, moments)`` int64.
        frame_mask: ``(batch, frames)`` bool.
    """
    assert outputs.middles is not None
    frame = 1.0 / frame_mask.sum(1, keepdim=True).clamp(min=1)
    proposed_start, proposed_end = to_ends(outputs.spans[-1]).unbind(-1)
    grid_start, grid_end = outputs.middles - frame / 2, outputs.middles + frame / 2
    start = proposed_start.clamp(grid_start - frame, grid_start + frame).gather(1, first)
    end = proposed_end.clamp(grid_end - frame, grid_end + frame).gather(1, last)
    return torch.stack(((start + end) / 2, (end - start).clamp(min=0)), dim=-1)
