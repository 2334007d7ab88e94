"""What stands beside a result so that it can be judged: the ceiling, blind answers, and chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.arrays import Float64Array
from amr.evaluation.judged import JudgedFile
from amr.evaluation.percent import Block, percent
from amr.metrics.exact import RankedQueries, exact_scores
from amr.metrics.figures import FIGURES, PerQuery, figure_values
from amr.metrics.ragged import Ragged, offsets
from amr.retrieval.prior import PREFIX, PRIORS

CHANCE_FIGURES = ("R1@0.5", "R1@0.7", "mAP")
MIN_RECORDINGS = 10
"""Fewer recordings cannot tell a system from chance, and nothing is said."""


@dataclass(frozen=True)
class ChanceGap:
    """One figure against the blind answer that does best at it.

    Args:
        figure: its place in :data:`FIGURES`.
        prior: the blind answer.
        blind: ``(queries,)`` its values.
        above: ``(queries,)`` how far each query is above it.
    """

    figure: int
    prior: str
    blind: Float64Array
    above: Float64Array


def prior_values(judged: JudgedFile) -> dict[str, Float64Array]:
    """``(queries, figures)`` of every blind answer, by its name; empty where durations are missing."""
    duration_s = judged.duration_s
    if not bool(np.all(np.isfinite(duration_s) & (duration_s > 0))):
        return {}
    truth = judged.exact.queries.truth.take(judged.scores.query)
    lengths, place = np.unique(duration_s, return_inverse=True)
    found = {}
    for name, answer in PRIORS.items():
        moments = [answer(length_s) for length_s in lengths.tolist()]
        counts = np.array([len(moment) for moment in moments], dtype=np.int64)
        rows = np.array([moment for answers in moments for moment in answers], dtype=np.float64)
        scores = exact_scores(RankedQueries(Ragged(offsets(counts), rows).take(place), truth))
        if scores is not None:
            found[f"{PREFIX}:{name}"] = figure_values(scores)
    return found


def chance_gaps(per_query: PerQuery, priors: dict[str, Float64Array]) -> list[ChanceGap] | None:
    """Each figure against the best blind answer; None where nobody can tell a system from chance."""
    if not priors or per_query.num_recordings < MIN_RECORDINGS:
        return None
    found = []
    for name in CHANCE_FIGURES:
        figure = FIGURES.index(name)
        best = max(priors, key=lambda prior: float(priors[prior][:, figure].mean()))
        blind = priors[best][:, figure]
        found.append(ChanceGap(figure, best, blind, per_query.values[:, figure] - blind))
    return found


def near_chance(per_query: PerQuery, gaps: list[ChanceGap] | None, low: Float64Array) -> list[Block] | None:
    """The figures that a blind answer may reach as well: their gap's interval does not lie above 0.

    Args:
        per_query: the system.
        gaps: see :func:`chance_gaps`.
        low: ``(gaps,)`` lower end of the interval of each; where it is NaN the gap itself decides.
    """
    if gaps is None:
        return None
    return [
        {
            "figure": FIGURES[gap.figure],
            "value": percent(float(per_query.values[:, gap.figure].mean())),
            "prior": gap.prior,
            "prior_value": percent(float(gap.blind.mean())),
        }
        for gap, end in zip(gaps, low.tolist(), strict=True)
        if gap.above.mean() <= 0 or end <= 0
    ]


def chance_remark(report: Block) -> list[str]:
    """A remark where the result is near chance."""
    if not report["near_chance"]:
        return []
    cases = ", ".join(
        f"{case['figure']} {case['value']:.2f} (blind {case['prior']}: {case['prior_value']:.2f})"
        for case in report["near_chance"]
    )
    name = report["predictions"]["file"]
    return [f"{name}: near chance, a baseline that ignores the sound may do as well: {cases}"]
