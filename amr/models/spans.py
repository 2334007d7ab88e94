"""Spans as fractions of a stretch of audio: (centre, width) inside the network, (start, end) outside.

LCS-DETR report, eq. 1: the centre is ``(start + end) / 2`` and the width ``end - start``, both over the
length.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The sigmoid's inverse is cut here, as published, so that an anchor at 0 or 1 keeps a finite logit.
LOGIT_EPSILON = 1e-3
# Shorter than a microsecond in an hour; keeps 0 / 0 out of the overlap of two empty spans.
TINY = 1e-9


def to_ends(spans: Tensor) -> Tensor:
    """(centre, width) to (start, end), ``(..., 2)``."""
    centre, width = spans.unbind(-1)
    return torch.stack((centre - width / 2, centre + width / 2), dim=-1)


def to_centre_width(ends: Tensor) -> Tensor:
    """(start, end) to (centre, width), ``(..., 2)``; LCS-DETR report, eq. 1."""
    start, end = ends.unbind(-1)
    return torch.stack(((start + end) / 2, end - start), dim=-1)


def logit(x: Tensor, epsilon: float = LOGIT_EPSILON) -> Tensor:
    """The inverse of the sigmoid, with ``x`` and ``1 - x`` held above ``epsilon``."""
    x = x.float().clamp(0, 1)
    return torch.log(x.clamp(min=epsilon) / (1 - x).clamp(min=epsilon))


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Intersection, union and enclosing length of spans (centre, width), broadcast: each ``(...)``."""
    a, b = to_ends(a), to_ends(b)
    shared = (torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])).clamp(min=0)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - shared
    enclosing = torch.maximum(a[..., 1], b[..., 1]) - torch.minimum(a[..., 0], b[..., 0])
    return shared, union, enclosing


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union in [0, 1] of spans (centre, width) ``(..., 2)``, broadcast."""
    shared, union, _ = overlap(a, b)
    return shared / union.clamp(min=TINY)


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """gIoU in [-1, 1] (Rezatofighi et al.): IoU less the share of the enclosing span that neither covers."""
    shared, union, enclosing = overlap(a, b)
    return shared / union.clamp(min=TINY) - (enclosing - union) / enclosing.clamp(min=TINY)


def distance_iou(a: Tensor, b: Tensor) -> Tensor:
    """DIoU in [-1, 1]: IoU less the squared distance of the centres over the enclosing span's square."""
    shared, union, enclosing = overlap(a, b)
    gap = (a[..., 0] - b[..., 0]) / enclosing.clamp(min=TINY)
    return shared / union.clamp(min=TINY) - gap.square()
