"""Forms and weights of the losses, and those of scores: focal, quality focal, varifocal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from amr.models.matching import MatchingCost

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
