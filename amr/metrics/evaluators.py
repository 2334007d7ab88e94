"""The two evaluators on matched columns: the exact one and the official one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array
from amr.metrics.exact import FULL, RANGES, RankedQueries, exact_scores, rank_queries
from amr.metrics.highlights import HighlightScores, highlight_scores
from amr.metrics.oddities import CEILING_S, Finding, find_oddities
from amr.metrics.official import (
    LIGHTHOUSE_RANGES,
    QVHIGHLIGHTS_RANGES,
    OfficialStopError,
    official_precision,
    official_scores,
    within,
)
from amr.metrics.official_json import official_blocks
from amr.metrics.ragged import Ragged, offsets
from amr.metrics.records import Answers, Truths
from amr.metrics.results import RetrievalScores, mean_average_precision

Curve = Float64Array | None

QVHIGHLIGHTS_CEILING_S = 150.0
"""The end of QVHighlights' range "long", and the length of all its recordings."""


@dataclass(frozen=True)
class EvaluationInput:
    """Two files matched.

    Args:
        answers: predictions of shared qids.
        truths: ground truth of shared qids.
        num_queries: shared qids.
        curves: saliency curve of each record of ``answers``, where there is one.
        labels: ``(clips, 3)`` of each record of ``truths``, where there are any.
        qvhighlights: judge as QVHighlights does (ranges of length, highlights), not as Lighthouse.
    """

    answers: Answers
    truths: Truths
    num_queries: int
    curves: Sequence[Curve]
    labels: Sequence[Curve]
    qvhighlights: bool = False


@dataclass(frozen=True)
class ExactEvaluation:
    """The exact figures, and why the official ones may differ.

    Args:
        ranges: figures by range of length, ``full`` last; None where no query has such a window.
        highlights: figures by level; empty where the files have no curves or no labels.
        findings: what was strange in the files.
        queries: both files made fit to judge; ``ranked`` has rows ``(start_s, end_s, score)``.
    """

    ranges: dict[str, RetrievalScores | None]
    highlights: dict[str, HighlightScores]
    findings: list[Finding]
    queries: RankedQueries


def evaluate_exactly(given: EvaluationInput) -> ExactEvaluation:
    """The figures without the official program's quirks.

    Raises:
        OfficialStopError: there are curves and labels, and some record has none or a bad one.
    """
    queries = rank_queries(given.answers, given.truths, given.num_queries)
    ranges = RANGES if given.qvhighlights else {"full": FULL}
    has_highlights = given.qvhighlights and has_any(given.curves) and has_any(given.labels)
    ceiling_s = QVHIGHLIGHTS_CEILING_S if given.qvhighlights else CEILING_S
    return ExactEvaluation(
        ranges={name: exact_scores(queries, length_range) for name, length_range in ranges.items()},
        highlights=highlights_of(given) if has_highlights else {},
        findings=find_oddities(given.answers, given.truths, ceiling_s=ceiling_s),
        queries=queries,
    )


def evaluate_officially(given: EvaluationInput) -> dict[str, object]:
    """The official metrics file as an object.

    Raises:
        OfficialStopError: the official program crashes on these files.
    """
    ranges = QVHIGHLIGHTS_RANGES if given.qvhighlights else LIGHTHOUSE_RANGES
    scores = {name: official_scores(given.answers, given.truths, limits) for name, limits in ranges.items()}
    highlights = highlights_of(given) if given.curves and given.curves[0] is not None else {}
    return official_blocks(scores, highlights)


def official_map_alone(given: EvaluationInput) -> dict[str, float] | None:
    """What the official mAP would be if the rest of the program did not crash; None where it does so too."""
    limits = None if given.qvhighlights else LIGHTHOUSE_RANGES["full"]
    try:
        truths = given.truths if limits is None else within(given.truths, limits)
        return mean_average_precision(official_precision(given.answers, truths))
    except OfficialStopError:
        return None


def highlights_of(given: EvaluationInput) -> dict[str, HighlightScores]:
    """Highlight figures by level; of several records of a qid the last counts, as in the official program.

    Raises:
        OfficialStopError: a record has no curve or no labels, or one that cannot be judged.
    """
    curve_of = dict(zip(given.answers.query.tolist(), given.curves, strict=True))
    label_of = dict(zip(given.truths.query.tolist(), given.labels, strict=True))
    curves = [curve_of[query] for query in sorted(curve_of)]
    labels = [label_of[query] for query in sorted(curve_of)]
    if any(curve is None for curve in curves):
        raise OfficialStopError("KeyError", "a prediction has no 'pred_saliency_scores', others have")
    if any(label is None for label in labels):
        raise OfficialStopError("KeyError", "a query of the ground truth has no 'relevant_clip_ids'")
    return highlight_scores(joined(curves), joined(labels))


def joined(parts: Sequence[Curve]) -> Ragged:
    """One ragged array of many arrays that agree in all but their first axis."""
    present = [part for part in parts if part is not None]
    return Ragged(offsets(np.array([len(part) for part in present])), np.concatenate(present))


def has_any(parts: Sequence[Curve]) -> bool:
    """Whether there is an array among them."""
    return any(part is not None for part in parts)
