"""How near a stretch comes to a sentence at all, whatever its moments are: a number that tells recordings
apart. Archives rank by the same curve before the network runs (``amr.retrieval.archive.ranking``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# How much of a stretch's own mean is taken from each curve: what stands out goes before what lasts.
COSINE_LEVEL = 0.3
SIMILARITY_LEVEL = 0.25
# Half the foot of the triangle that smooths their sum, in frames.
HALF_FOOT = 3
SMOOTHING = tuple((1 - abs(ahead) / HALF_FOOT) / HALF_FOOT for ahead in range(1 - HALF_FOOT, HALF_FOOT))


def level_of(cosine: Tensor, similarity: Tensor | None, mask: Tensor, similarity_weight: float) -> Tensor:
    """``(batch,)``: the highest point of the smoothed sum of both curves, each above its mean in the stretch.

    Args:
        cosine: ``(batch, frames)``, of frames and the sentence's prototype.
        similarity: ``(batch, frames)``, in the encoder's joint space, where the network takes it.
        mask: ``(batch, frames)`` bool, real frames first.
        similarity_weight: of a unit of similarity beside a cosine of 1.
    """
    curve = above_mean(cosine, mask, COSINE_LEVEL)
    if similarity is not None:
        curve = curve + similarity_weight * above_mean(similarity, mask, SIMILARITY_LEVEL)
    count = mask.sum(1, keepdim=True)
    place = mask.cumsum(1) - 1
    smooth = curve * 0
    for ahead, tap in enumerate(SMOOTHING, start=1 - HALF_FOOT):
        # Beyond the ends their own values are held.
        smooth = smooth + tap * curve.gather(1, (place + ahead).clamp(min=0).minimum(count - 1))
    level: Tensor = smooth.masked_fill(~mask, float("-inf")).amax(1)
    return level


def above_mean(curve: Tensor, mask: Tensor, part: float) -> Tensor:
    """``curve (batch, frames)`` less a part of its mean over real frames."""
    mean = (curve * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    above: Tensor = curve - part * mean
    return above
