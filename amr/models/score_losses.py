"""Losses of scores: focal, quality focal, varifocal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from amr.models.loss_config import LossConfig


def focal_loss(logits: Tensor, matched: Tensor, config: LossConfig) -> Tensor:
    """``-alpha_t (1 - p_t)^gamma log p_t`` of each query (LCS-DETR report, eq. 4)."""
    signed = logits * (2 * matched - 1)
    foreground, gamma = config.focal
    alpha = foreground * matched + (1 - foreground) * (1 - matched)
    return -alpha * (-signed).sigmoid() ** gamma * functional.logsigmoid(signed)


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
