"""What training minimises: spans and scores of the matched queries at every decoder layer, and frame
saliency.

Pure functions of tensors; nothing asks the device for a value. :func:`detr_losses` is the one to call.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from amr.models.detr.matching import Assignment, match
from amr.models.detr.saliency import contrast_loss, negative_pair_loss, ranking_loss
from amr.models.inputs import NetworkOutputs
from amr.models.loss_config import LossConfig
from amr.models.score_losses import focal_loss, quality_loss
from amr.models.spans import distance_iou, generalised_iou, iou
from amr.models.targets import Targets


def detr_losses(
    outputs: NetworkOutputs,
    targets: Targets,
    frame_mask: Tensor,
    config: LossConfig,
    num_targets: Tensor | None,
) -> dict[str, Tensor]:
    """Every part of the loss, unweighted, and their weighted sum as ``total``.

    The weighted sum is the AM-DETR paper's eq. 10 and the LCS-DETR report's eq. 5.

    Args:
        outputs: of the network, with negatives where ``config.negatives`` is set.
        targets: labels of the same batch.
        frame_mask: ``(batch, frames)`` bool.
        config: weights and forms.
        num_targets: what the spans' losses are divided by in place of the batch's own number of matched
            pairs, for batches that are computed in parts.

    Returns:
        ``l1``, ``overlap``, ``score`` (of the last decoder layer), ``auxiliary`` (weighted sum over the
        others), ``ranking``, ``contrast``, ``negative_pair`` and ``total``, each a scalar on the device.
    """
    layers = [
        span_and_score_losses(outputs, targets, config, layer, num_targets)
        for layer in range(outputs.spans.shape[0])
    ]
    parts = dict(layers[-1])
    weighted = [
        config.l1 * p["l1"] + config.overlap * p["overlap"] + config.score * p["score"] for p in layers
    ]
    parts["auxiliary"] = sum_of([torch.zeros_like(weighted[-1]), *weighted[:-1]])
    total = weighted[-1] + config.auxiliary * parts["auxiliary"]
    if config.saliency:
        saliency = saliency_losses(outputs, targets, frame_mask, config)
        parts |= saliency
        weighted = [saliency["ranking"], config.contrast * saliency["contrast"], saliency["negative_pair"]]
        total = total + config.saliency * sum_of(weighted)
    return parts | {"total": total}


def span_and_score_losses(
    outputs: NetworkOutputs, targets: Targets, config: LossConfig, layer: int, num_targets: Tensor | None
) -> dict[str, Tensor]:
    """``l1``, ``overlap`` and ``score`` of one decoder layer, after a matching of its own."""
    spans, logits = outputs.spans[layer], outputs.score_logits[layer]
    assignment = match(spans, logits, targets.spans, targets.span_mask, config.matching, config.focal)
    predicted = spans.gather(1, assignment.query.unsqueeze(-1).expand(-1, -1, 2))
    pairs = assignment.valid.sum().clamp(min=1) if num_targets is None else num_targets
    l1 = (predicted - targets.spans).abs().mean(-1)
    similarity = generalised_iou if config.overlap_loss == "giou" else distance_iou
    overlap = 1 - similarity(predicted, targets.spans)
    quality = iou(predicted.detach(), targets.spans)
    return {
        "l1": torch.where(assignment.valid, l1, 0.0).sum() / pairs,
        "overlap": torch.where(assignment.valid, overlap, 0.0).sum() / pairs,
        "score": score_loss(logits, assignment, quality, config),
    }


def score_loss(logits: Tensor, assignment: Assignment, quality: Tensor, config: LossConfig) -> Tensor:
    """Mean over all queries of all items; matched ones are foreground.

    Args:
        logits: ``(batch, queries)``.
        assignment: of the same items.
        quality: ``(batch, targets)``, IoU of each matched pair.
        config: form and weights.
    """
    matched = scattered(assignment, torch.ones_like(quality), logits.shape[1])
    if config.score_loss == "cross_entropy":
        weight = matched + config.background_weight * (1 - matched)
        return functional.binary_cross_entropy_with_logits(logits, matched, weight)
    if config.score_loss == "focal":
        return focal_loss(logits, matched, config).mean()
    return quality_loss(logits, scattered(assignment, quality, logits.shape[1]), matched, config).mean()


def scattered(assignment: Assignment, values: Tensor, num_queries: int) -> Tensor:
    """``values (batch, targets)`` at the queries that answer them, 0 elsewhere: ``(batch, queries)``."""
    slot = torch.where(assignment.valid, assignment.query, num_queries)
    empty = values.new_zeros(values.shape[0], num_queries + 1)
    return empty.scatter(1, slot, values)[:, :-1]


def saliency_losses(
    outputs: NetworkOutputs, targets: Targets, frame_mask: Tensor, config: LossConfig
) -> dict[str, Tensor]:
    """``ranking``, ``contrast`` and ``negative_pair``, each a scalar."""
    return {
        "ranking": ranking_loss(outputs.saliency, targets, config.margin),
        "contrast": contrast_loss(outputs, targets.relevance, frame_mask, config.temperature),
        "negative_pair": negative_pair_loss(outputs, targets.span_mask.any(1), frame_mask),
    }


def sum_of(parts: list[Tensor]) -> Tensor:
    """The sum of scalars."""
    return torch.stack(parts).sum()
