"""Forms and weights of the losses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

ClassCost = Literal["probability", "focal"]
OverlapLoss = Literal["giou", "diou"]
ScoreLoss = Literal["cross_entropy", "focal", "quality_focal", "varifocal"]
AlphaOn = Literal["foreground", "background"]


@dataclass(frozen=True)
class MatchingCost:
    """Weights of the matching cost: ``l1 |y - t| - giou gIoU(y, t) + score (cost of calling it foreground)``.

    Args:
        l1, giou, score: weights; the defaults are QD-DETR's.
        class_cost: ``probability`` is -c (AM-DETR paper, eq. 9); ``focal`` is the change of the focal loss
            (LCS-DETR report, abstract and eq. 4), whose alpha and gamma are the loss's own.
    """

    l1: float = 10.0
    giou: float = 1.0
    score: float = 4.0
    class_cost: ClassCost = "probability"


class FocalWeights(NamedTuple):
    """What the focal loss weighs by (LCS-DETR report, eq. 4).

    Args:
        foreground: weight of the foreground; the background's is one less it.
        gamma: exponent of how wrong a score is.
    """

    foreground: float = 0.25
    gamma: float = 2.0


PUBLISHED_FOCAL = FocalWeights()


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
        saliency: weight of the saliency losses, which are in the code of both systems but in neither paper.
            Without them a network answers every query alike (docs/models.md).
        contrast: weight of the contrast among them; Moment-DETR has none.
        auxiliary: weight of every decoder layer but the last (LCS-DETR report, eq. 5).
        overlap_loss: ``giou`` (both papers) or ``diou`` (metadata of LCS-DETR's submission).
        score_loss: ``cross_entropy`` (AM-DETR paper, eq. 8), ``focal`` (LCS-DETR report, eq. 4),
            ``quality_focal`` or ``varifocal`` (scores learn the IoU of their span).
        background_weight: of unmatched queries under ``cross_entropy``.
        focal_alpha: alpha of eq. 4 (LCS-DETR report), and of the background under ``varifocal``.
        focal_gamma: gamma of eq. 4, and the exponent of ``quality_focal`` and ``varifocal``.
        focal_alpha_on: the class that ``focal_alpha`` multiplies, in the loss and in a ``focal`` matching
            cost; the other gets one less it.
        margin: of the ranking of relevant above irrelevant frames.
        temperature: of the contrast between relevant frames and all others.
        negatives: whether training runs negative pairs at all.
    """

    matching: MatchingCost = field(default_factory=MatchingCost)
    l1: float = 10.0
    overlap: float = 1.0
    score: float = 4.0
    saliency: float = 1.0
    contrast: float = 1.0
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

    @property
    def focal(self) -> FocalWeights:
        """The focal loss's weights, for the loss and the matching cost alike."""
        on_foreground = self.focal_alpha_on == "foreground"
        return FocalWeights(self.focal_alpha if on_foreground else 1 - self.focal_alpha, self.focal_gamma)

    def to_fields(self) -> dict[str, Any]:
        """Plain JSON values, every field named."""
        return asdict(self)
