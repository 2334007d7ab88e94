"""What training minimises where every frame proposes: fit of the proposals inside moments, scores that know
it, and frame saliency."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from amr.models.frames.segments import segmentation_loss
from amr.models.inputs import NetworkOutputs
from amr.models.loss_config import LossConfig
from amr.models.score_losses import quality_loss
from amr.models.spans import generalised_iou, iou, to_ends
from amr.models.targets import Targets

SHORTEST = 0.008
"""Errors of ends are measured in moment lengths, of at least this part of the stretch (0.5 s of a minute)."""
WORST = 4.0
"""An end further off than so many lengths pulls no harder."""


class FrameTargets(NamedTuple):
    """Which moment each frame is to propose.

    Args:
        spans: ``(batch, frames, 2)``, (centre, width).
        inside: ``(batch, frames)`` bool, whether it is to propose one.
        holds: ``(batch, targets, frames)`` bool, the frames of each moment.
    """

    spans: Tensor
    inside: Tensor
    holds: Tensor


def frame_targets(targets: Targets, middles: Tensor, frame_mask: Tensor) -> FrameTargets:
    """Each frame the shortest moment that holds its middle; a moment that holds none takes the nearest frame.

    Args:
        targets: labels.
        middles: ``(batch, frames)`` as fractions of the stretch.
        frame_mask: ``(batch, frames)`` bool.
    """
    ends = to_ends(targets.spans).unsqueeze(2)
    at = middles.unsqueeze(1)
    real = targets.span_mask.unsqueeze(-1) & frame_mask.unsqueeze(1)
    holds = (ends[..., 0] <= at) & (at < ends[..., 1]) & real
    away = (at - targets.spans[..., :1]).abs().masked_fill(~real, torch.inf)
    nearest = functional.one_hot(away.argmin(-1), at.shape[-1]).bool() & real
    holds = holds | (nearest & ~holds.any(-1, keepdim=True))
    width = targets.spans[..., 1:].expand(holds.shape).masked_fill(~holds, torch.inf)
    shortest = width.argmin(1)
    spans = targets.spans.gather(1, shortest.unsqueeze(-1).expand(-1, -1, 2))
    return FrameTargets(spans, holds.any(1), holds)


def frame_losses(
    outputs: NetworkOutputs, targets: Targets, frame_mask: Tensor, config: LossConfig, relevant: Tensor | None
) -> dict[str, Tensor]:
    """Every part of the loss, unweighted, and their weighted sum as ``total``.

    Args:
        outputs: of :class:`amr.models.frames.network.FrameNetwork` in training mode.
        targets: labels of the same batch, all moments of an item among them.
        frame_mask: ``(batch, frames)`` bool.
        config: weights and forms.
        relevant: number of frames in moments that every part is divided by, where the batch is worked off in
            parts; this batch's own when left out.
    """
    if outputs.middles is None:
        raise ValueError("these outputs are not a proposal a frame")
    if config.score_loss not in ("quality_focal", "varifocal"):
        raise ValueError(
            f"score_loss is {config.score_loss!r}; frames that propose learn the IoU of a proposal"
        )
    spans, logits = outputs.spans[-1], outputs.score_logits[-1]
    wanted = frame_targets(targets, outputs.middles, frame_mask)
    inside = wanted.inside
    number = inside.sum().clamp(min=1) if relevant is None else relevant
    quality = torch.where(inside, iou(spans.detach(), wanted.spans), 0.0)
    error = (to_ends(spans) - to_ends(wanted.spans)).abs().sum(-1)
    relative = (error / wanted.spans[..., 1].clamp(min=SHORTEST)).clamp(max=WORST)
    misfit = 1 - generalised_iou(spans, wanted.spans)
    score = torch.zeros_like(number, dtype=spans.dtype)
    if outputs.has_quality:
        of_frames = quality_loss(logits, quality, inside.float(), config)
        score = score + torch.where(frame_mask, of_frames, 0.0).sum()
    if outputs.segments is not None:
        score = score + segmentation_loss(outputs.segments, targets, wanted.holds).sum()
    saliency = functional.binary_cross_entropy_with_logits(outputs.saliency, inside.float(), reduction="none")
    parts = {
        "l1": torch.where(inside, relative, 0.0).sum() / number,
        "overlap": torch.where(inside, misfit, 0.0).sum() / number,
        "score": score / number,
        "saliency": torch.where(frame_mask, saliency, 0.0).sum() / number,
    }
    weights = (config.l1, config.overlap, config.score, config.saliency)
    weighted = [weight * part for weight, part in zip(weights, parts.values(), strict=True)]
    return parts | {"total": torch.stack(weighted).sum()}
