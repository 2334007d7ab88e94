"""What stands beside a result so that it can be judged: the ceiling, blind answers, and chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from amr.cli.score_figures import percent, shares_block
from amr.cli.score_queries import Judgement
from amr.metrics.ceiling import ceiling
from amr.metrics.figures import FIGURES, PerQuery, figure_values
from amr.metrics.honest import Judged, honest_scores
from amr.metrics.ragged import FloatArray, Ragged, offsets
from amr.retrieval.prior import PREFIX, PRIORS

Blocks = dict[str, Any]

CHANCE_FIGURES = ("R1@0.5", "R1@0.7", "mAP")
MIN_RECORDINGS = 10
"""Fewer recordings cannot tell a system from chance, and nothing is said."""


@dataclass(frozen=True)
class Gap:
    """One figure against the blind answer that does best at it.

    Args:
        figure: its place in :data:`FIGURES`.
        prior: the blind answer.
        blind: ``(queries,)`` its values.
        above: ``(queries,)`` how far each query is above it.
    """

    figure: int
    prior: str
    blind: FloatArray
    above: FloatArray


def context_blocks(judgement: Judgement, priors: dict[str, FloatArray]) -> Blocks:
    """``ceiling`` and ``priors``; the latter None where a recording's length is not known."""
    return {
        "ceiling": shares_block(ceiling(judgement.num_true)),
        "priors": {name: shares_block(values.mean(axis=0)) for name, values in priors.items()} or None,
    }


def prior_values(judgement: Judgement) -> dict[str, FloatArray]:
    """``(queries, figures)`` of every blind answer, by its name; empty where durations are missing."""
    duration_s = judgement.duration_s
    if not bool(np.all(np.isfinite(duration_s) & (duration_s > 0))):
        return {}
    truth = judgement.honest.judged.truth.take(judgement.scores.query)
    lengths, place = np.unique(duration_s, return_inverse=True)
    found = {}
    for name, answer in PRIORS.items():
        moments = [answer(length_s) for length_s in lengths.tolist()]
        counts = np.array([len(moment) for moment in moments], dtype=np.int64)
        rows = np.array([moment[:2] for answers in moments for moment in answers], dtype=np.float64)
        scores = honest_scores(Judged(Ragged(offsets(counts), rows).take(place), truth))
        if scores is not None:
            found[f"{PREFIX}:{name}"] = figure_values(scores)
    return found


def gaps(per_query: PerQuery, priors: dict[str, FloatArray]) -> list[Gap] | None:
    """Each figure against the best blind answer; None where nobody can tell a system from chance."""
    if not priors or per_query.num_recordings < MIN_RECORDINGS:
        return None
    found = []
    for name in CHANCE_FIGURES:
        figure = FIGURES.index(name)
        best = max(priors, key=lambda prior: float(priors[prior][:, figure].mean()))
        blind = priors[best][:, figure]
        found.append(Gap(figure, best, blind, per_query.values[:, figure] - blind))
    return found


def near_chance(per_query: PerQuery, found: list[Gap] | None, low: FloatArray) -> list[Blocks] | None:
    """The figures that a blind answer may reach as well: their gap's interval does not lie above 0.

    Args:
        per_query: the system.
        found: see :func:`gaps`.
        low: ``(gaps,)`` lower end of the interval of each; where it is NaN the gap itself decides.
    """
    if found is None:
        return None
    return [
        {
            "figure": FIGURES[gap.figure],
            "value": percent(float(per_query.values[:, gap.figure].mean())),
            "prior": gap.prior,
            "prior_value": percent(float(gap.blind.mean())),
        }
        for gap, end in zip(found, low.tolist(), strict=True)
        if gap.above.mean() <= 0 or end <= 0
    ]


def chance_sentence(name: str, near: list[Blocks] | None) -> list[str]:
    """A line for standard error where the result is near chance."""
    if not near:
        return []
    cases = ", ".join(
        f"{case['figure']} {case['value']:.2f} (blind {case['prior']}: {case['prior_value']:.2f})"
        for case in near
    )
    return [f"{name}: near chance, an answer that does not listen may do as well: {cases}"]
