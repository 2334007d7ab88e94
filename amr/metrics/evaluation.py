"""An evaluation from matched columns to figures: the official one, the honest one, and how they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amr.metrics.highlights import HighlightScores, highlight_scores
from amr.metrics.honest import FULL, RANGES, Judged, honest_scores, judged_rows, ranked_rows
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
from amr.metrics.ragged import FloatArray, Ragged, offsets
from amr.metrics.records import Answers, Truths
from amr.metrics.results import RetrievalScores, mean_average_precision

Curve = FloatArray | None


@dataclass(frozen=True)
class Case:
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
class Honest:
    """The honest figures and how the official ones compare.

    Args:
        ranges: figures by range of length, ``full`` last; None where no query has such a window.
        highlights: figures by level; empty where the files have no curves or no labels.
        findings: what was strange in the files.
        judged: both files made fit to judge.
        ranked_score: ``(rows,)`` the score of each row of ``judged.ranked``.
    """

    ranges: dict[str, RetrievalScores | None]
    highlights: dict[str, HighlightScores]
    findings: list[Finding]
    judged: Judged
    ranked_score: FloatArray


def evaluate_honestly(case: Case) -> Honest:
    """The figures without the official program's quirks.

    Raises:
        OfficialStopError: there are curves and labels, and some record has none or a bad one.
    """
    ranked = ranked_rows(case.answers, case.num_queries)
    judged = judged_rows(ranked, case.truths)
    ranges = RANGES if case.qvhighlights else {"full": FULL}
    has_highlights = case.qvhighlights and has_any(case.curves) and has_any(case.labels)
    ceiling_s = QVHIGHLIGHTS_CEILING_S if case.qvhighlights else CEILING_S
    return Honest(
        ranges={name: honest_scores(judged, length_range) for name, length_range in ranges.items()},
        highlights=case_highlights(case) if has_highlights else {},
        findings=find_oddities(case.answers, case.truths, ceiling_s=ceiling_s),
        judged=judged,
        ranked_score=ranked.rows[:, 2],
    )


QVHIGHLIGHTS_CEILING_S = 150.0
"""The end of QVHighlights' range "long", and the length of all its recordings."""


def evaluate_officially(case: Case) -> dict[str, object]:
    """The official metrics file as an object.

    Raises:
        OfficialStopError: the official program crashes on these files.
    """
    ranges = QVHIGHLIGHTS_RANGES if case.qvhighlights else LIGHTHOUSE_RANGES
    scores = {name: official_scores(case.answers, case.truths, limits) for name, limits in ranges.items()}
    highlights = case_highlights(case) if case.curves and case.curves[0] is not None else {}
    return official_blocks(scores, highlights)


def official_map_alone(case: Case) -> dict[str, float] | None:
    """What the official mAP would be if the rest of the program did not crash; None where it does so too."""
    limits = None if case.qvhighlights else LIGHTHOUSE_RANGES["full"]
    try:
        truths = case.truths if limits is None else within(case.truths, limits)
        return mean_average_precision(official_precision(case.answers, truths))
    except OfficialStopError:
        return None


def case_highlights(case: Case) -> dict[str, HighlightScores]:
    """Highlight figures by level; of several records of a qid the last counts, as in the official program.

    Raises:
        OfficialStopError: a record has no curve or no labels, or one that cannot be judged.
    """
    curve_of = dict(zip(case.answers.query.tolist(), case.curves, strict=True))
    label_of = dict(zip(case.truths.query.tolist(), case.labels, strict=True))
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
