"""What the network should have said: spans, relevant frames, and pairs of frames to rank.

Everything here is arithmetic on tensors where they lie; randomness comes in as noise.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from amr.models.spans import to_centre_width

RelevantWindows = Literal["all", "first"]


class Targets(NamedTuple):
    """Labels of a batch, padded.

    Args:
        spans: ``(batch, targets, 2)``, (centre, width) as fractions of each item's stretch.
        span_mask: ``(batch, targets)`` bool, true where a target is real.
        relevance: ``(batch, frames)`` bool, true where a frame lies in a target.
        positive: ``(batch, pairs)`` int64, relevant frames to rank above ...
        negative: ``(batch, pairs)`` int64, ... these irrelevant ones.
        rankable: ``(batch,)`` bool, false where there are none of either.
    """

    spans: Tensor
    span_mask: Tensor
    relevance: Tensor
    positive: Tensor
    negative: Tensor
    rankable: Tensor


def make_targets(
    ends: Tensor,
    span_mask: Tensor,
    frame_mask: Tensor,
    noise: Tensor,
    *,
    pairs: int = 2,
    relevant_windows: RelevantWindows = "all",
    jitter: float = 0.0,
    jitter_noise: Tensor | None = None,
) -> Targets:
    """Labels from the moments' ends.

    Args:
        ends: ``(batch, targets, 2)``, (start, end) as fractions of the stretch, padded.
        span_mask: ``(batch, targets)`` bool.
        frame_mask: ``(batch, frames)`` bool.
        noise: ``(batch, frames)`` uniform in [0, 1); decides which frames are paired.
        pairs: pairs to rank in each item, 2 as published.
        relevant_windows: ``first`` repeats Lighthouse, where the frames of all windows but the first count as
            irrelevant.
        jitter: largest shift of each end, as a part of the span's width (LCS-DETR report, section 4.2: 0.1).
        jitter_noise: ``(batch, targets, 2)`` uniform in [-1, 1), needed with ``jitter``.
    """
    if jitter and jitter_noise is not None:
        ends = jittered(ends, jitter, jitter_noise)
    kept = span_mask if relevant_windows == "all" else span_mask & first_only(span_mask)
    relevance = relevant_frames(ends, kept, frame_mask)
    irrelevant = frame_mask & ~relevance
    return Targets(
        spans=to_centre_width(ends),
        span_mask=span_mask,
        relevance=relevance,
        positive=sample_frames(relevance, noise, pairs),
        negative=sample_frames(irrelevant, noise, pairs),
        rankable=relevance.any(1) & irrelevant.any(1),
    )


def jittered(ends: Tensor, fraction: float, noise: Tensor) -> Tensor:
    """Each end moved by up to ``fraction`` of its span's width, kept in [0, 1]."""
    width = ends[..., 1:] - ends[..., :1]
    return (ends + fraction * width * noise).clamp(0, 1)


def first_only(span_mask: Tensor) -> Tensor:
    """True at the first place of each row, ``(1, targets)``."""
    return torch.arange(span_mask.shape[1], device=span_mask.device).unsqueeze(0) == 0


def relevant_frames(ends: Tensor, span_mask: Tensor, frame_mask: Tensor) -> Tensor:
    """Frames whose middle lies in a span, at least the nearest one a span: ``(batch, frames)`` bool."""
    frames = frame_mask.sum(1).clamp(min=1)[:, None, None]
    index = torch.arange(frame_mask.shape[1], device=ends.device)
    middle = (index + 0.5) / frames
    inside = (ends[..., :1] <= middle) & (middle < ends[..., 1:])
    nearest = (ends.mean(-1, keepdim=True) * frames).floor().clamp(min=0)
    nearest = torch.minimum(nearest, frames - 1)
    within = inside | ((index == nearest) & ~inside.any(-1, keepdim=True))
    return (within & span_mask.unsqueeze(-1)).any(1) & frame_mask


def sample_frames(allowed: Tensor, noise: Tensor, count: int) -> Tensor:
    """``count`` different frames of each item where ``allowed``; the first again where there are too few."""
    order = noise.masked_fill(~allowed, -1.0).topk(min(count, noise.shape[1]), dim=1).indices
    order = torch.nn.functional.pad(order, (0, count - order.shape[1]))
    enough = allowed.sum(1, keepdim=True) > torch.arange(count, device=noise.device)
    return torch.where(enough, order, order[:, :1])
