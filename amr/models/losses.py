"""What training minimises: spans and scores of the matched queries at every decoder layer, and frame
saliency.

Pure functions of tensors; nothing asks the device for a value. :func:`total_loss` is the one to call.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from amr.models.inputs import Outputs
from amr.models.matching import Matching, MatchingCost, match
from amr.models.saliency import contrast_loss, negative_pair_loss, ranking_loss
from amr.models.spans import distance_iou, generalised_iou, iou
from amr.models.targets import Targets

OverlapLoss = Literal["giou", "diou"]
ScoreLoss = Literal["cross_entropy", "focal", "quality_focal", "varifocal"]
AlphaOn = Literal["foreground", "background"]


@dataclass(frozen=True)
class LossConfig:
    """Weights and forms of the losses; the defaults are AM-DETR's, taken over from QD-DETR.

    The AM-DETR paper gives eq. 6-10 without weights and names QD-DETR; the LCS-DETR report gives eq. 4-5,
    likewise without weights.

    Args:
        matching: the cost by which queries and targets are paired (eq. 9).
        l1: weight of the mean error of centre and width (eq. 6).
        overlap: weight of 1 - gIoU or 1 - DIoU (eq. 7).
        score: weight of the score's loss (eq. 8).
        saliency: weight of the three saliency losses, which are in the code of both systems but in neither
            paper.
        auxiliary: weight of every decoder layer but the last (LCS-DETR report, eq. 5).
        overlap_loss: ``giou`` (both papers) or ``diou`` (metadata of LCS-DETR's submission).
        score_loss: ``cross_entropy`` (AM-DETR paper, eq. 8), ``focal`` (LCS-DETR report, eq. 4),
            ``quality_focal`` or ``varifocal`` (scores learn the IoU of their span).
        background_weight: of unmatched queries under ``cross_entropy``.
        focal_alpha: alpha of eq. 4 (LCS-DETR report), and of the background under ``varifocal``.
        focal_gamma: gamma of eq. 4, and the exponent of ``quality_focal`` and ``varifocal``.
        focal_alpha_on: the class that ``focal_alpha`` multiplies; the other gets one less it.
        margin: of the ranking of relevant above irrelevant frames.
        temperature: of the contrast between relevant frames and all others.
        negatives: whether training runs negative pairs at all.
    """

    matching: MatchingCost = field(default_factory=MatchingCost)
    l1: float = 10.0
    overlap: float = 1.0
    score: float = 4.0
    saliency: float = 1.0
    auxiliary: float = 1.0
    overlap_loss: OverlapLoss = "giou"
    score_loss: ScoreLoss = "cross_entropy"
    background_weight: float = 0.1
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    focal_alpha_on: AlphaOn = "foreground"
    margin: float = 0.2
    temperature: float = 0.5
    negatives: bool = True

    def to_fields(self) -> dict[str, Any]:
        """Plain JSON values, every field named."""
        return asdict(self)


def total_loss(
    outputs: Outputs,
    targets: Targets,
    frame_mask: Tensor,
    config: LossConfig,
    *,
    num_targets: Tensor | None = None,
) -> dict[str, Tensor]:
    """Every part of the loss, unweighted, and their weighted sum as ``total``.

    The weighted sum is the AM-DETR paper's eq. 10 and the LCS-DETR report's eq. 5.

    Args:
        outputs: of the network, with negatives where ``config.negatives`` is set.
        targets: labels of the same batch.
        frame_mask: ``(batch, frames)`` bool.
        config: weights and forms.
        num_targets: what the spans' losses are divided by in place of the batch's own number of matched
            pairs, for batches that are spread over several processes.

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
        total = total + config.saliency * sum_of(list(saliency.values()))
    return parts | {"total": total}


def span_and_score_losses(
    outputs: Outputs, targets: Targets, config: LossConfig, layer: int, num_targets: Tensor | None
) -> dict[str, Tensor]:
    """``l1``, ``overlap`` and ``score`` of one decoder layer, after a matching of its own."""
    spans, logits = outputs.spans[layer], outputs.score_logits[layer]
    matching = match(spans, logits, targets.spans, targets.span_mask, config.matching)
    predicted = spans.gather(1, matching.query.unsqueeze(-1).expand(-1, -1, 2))
    pairs = matching.valid.sum().clamp(min=1) if num_targets is None else num_targets
    l1 = (predicted - targets.spans).abs().mean(-1)
    similarity = generalised_iou if config.overlap_loss == "giou" else distance_iou
    overlap = 1 - similarity(predicted, targets.spans)
    quality = iou(predicted.detach(), targets.spans)
    return {
        "l1": torch.where(matching.valid, l1, 0.0).sum() / pairs,
        "overlap": torch.where(matching.valid, overlap, 0.0).sum() / pairs,
        "score": score_loss(logits, matching, quality, config),
    }


def score_loss(logits: Tensor, matching: Matching, quality: Tensor, config: LossConfig) -> Tensor:
    """Mean over all queries of all items; matched ones are foreground.

    Args:
        logits: ``(batch, queries)``.
        matching: of the same items.
        quality: ``(batch, targets)``, IoU of each matched pair.
        config: form and weights.
    """
    matched = scattered(matching, torch.ones_like(quality), logits.shape[1])
    if config.score_loss == "cross_entropy":
        weight = matched + config.background_weight * (1 - matched)
        return functional.binary_cross_entropy_with_logits(logits, matched, weight)
    if config.score_loss == "focal":
        return focal_loss(logits, matched, config).mean()
    return quality_loss(logits, scattered(matching, quality, logits.shape[1]), matched, config).mean()


def scattered(matching: Matching, values: Tensor, num_queries: int) -> Tensor:
    """``values (batch, targets)`` at the queries that answer them, 0 elsewhere: ``(batch, queries)``."""
    slot = torch.where(matching.valid, matching.query, num_queries)
    empty = values.new_zeros(values.shape[0], num_queries + 1)
    return empty.scatter(1, slot, values)[:, :-1]


def focal_loss(logits: Tensor, matched: Tensor, config: LossConfig) -> Tensor:
    """``-alpha_t (1 - p_t)^gamma log p_t`` of each query (LCS-DETR report, eq. 4)."""
    signed = logits * (2 * matched - 1)
    on_foreground = config.focal_alpha
    if config.focal_alpha_on == "background":
        on_foreground = 1 - config.focal_alpha
    alpha = on_foreground * matched + (1 - on_foreground) * (1 - matched)
    return -alpha * (-signed).sigmoid() ** config.focal_gamma * functional.logsigmoid(signed)


def quality_loss(logits: Tensor, quality: Tensor, matched: Tensor, config: LossConfig) -> Tensor:
    """Loss of each query whose score shall be the IoU of its span, 0 where it is unmatched.

    Quality focal loss (Li et al. 2020): ``|q - p|^gamma BCE(p, q)``. Varifocal loss (Zhang et al. 2021):
    ``q BCE(p, q)`` on matched queries, ``alpha p^gamma BCE(p, 0)`` on the others.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    probability = logits.sigmoid()
    if config.score_loss == "quality_focal":
        return (quality - probability).abs() ** config.focal_gamma * entropy
    background = config.focal_alpha * probability.detach() ** config.focal_gamma
    return torch.where(matched > 0, quality, background) * entropy


def saliency_losses(
    outputs: Outputs, targets: Targets, frame_mask: Tensor, config: LossConfig
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
