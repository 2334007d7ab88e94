"""What stands beside a result so that it can be judged: the ceiling, blind answers, and chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from amr.cli.score_figures import percent, shares_block
from amr.cli.score_queries import Judgement
from amr.metrics.bootstrap import confidence_intervals
from amr.metrics.ceiling import ceiling
from amr.metrics.figures import FIGURES, figure_values
from amr.metrics.honest import Judged, honest_scores
from amr.metrics.ragged import FloatArray, Ragged, offsets
from amr.retrieval.prior import PREFIX, PRIORS

Blocks = dict[str, Any]

CHANCE_FIGURES = ("R1@0.5", "R1@0.7", "mAP")
MIN_RECORDINGS = 10
"""Fewer recordings cannot tell a system from chance, and nothing is said."""


def context_blocks(judgement: Judgement, *, draws: int, seed: int) -> Blocks:
    """``ceiling``, ``priors`` (None where a recording's length is not known) and ``near_chance``."""
    priors = prior_values(judgement)
    return {
        "ceiling": shares_block(ceiling(judgement.num_true)),
        "priors": {name: shares_block(values.mean(axis=0)) for name, values in priors.items()} or None,
        "near_chance": near_chance(judgement, priors, draws=draws, seed=seed),
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


def near_chance(
    judgement: Judgement, priors: dict[str, FloatArray], *, draws: int, seed: int
) -> list[Blocks] | None:
    """The figures that a blind answer may reach as well; None where nobody can say.

    A figure is named when the interval of its difference to the best blind answer does not lie above 0;
    without draws, when it is not higher.
    """
    per_query = judgement.per_query()
    if not priors or per_query.num_recordings < MIN_RECORDINGS:
        return None
    near = []
    for figure, name in enumerate(FIGURES):
        if name not in CHANCE_FIGURES:
            continue
        best = max(priors, key=lambda prior: float(priors[prior][:, figure].mean()))
        above = (per_query.values[:, figure] - priors[best][:, figure])[:, None]
        low = confidence_intervals(above, per_query.recording, draws=draws, seed=seed)[0, 0]
        if above.mean() <= 0 or low <= 0:
            value, blind = per_query.values[:, figure].mean(), priors[best][:, figure].mean()
            near.append(
                {"figure": name, "value": percent(value), "prior": best, "prior_value": percent(blind)}
            )
    return near


def chance_sentence(name: str, near: list[Blocks] | None) -> list[str]:
    """A line for standard error where the result is near chance."""
    if not near:
        return []
    cases = ", ".join(
        f"{case['figure']} {case['value']:.2f} (blind {case['prior']}: {case['prior_value']:.2f})"
        for case in near
    )
    return [f"{name}: near chance, an answer that does not listen may do as well: {cases}"]
