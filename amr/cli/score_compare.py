"""Several prediction files: systems against each other, or seeds of one system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from amr.cli.score_figures import interval_block, percent, shares_block
from amr.cli.score_queries import Judgement
from amr.errors import InputError
from amr.metrics.comparison import Comparison, compare
from amr.metrics.figures import FIGURES, PerQuery, coded
from amr.metrics.permutation import holm
from amr.metrics.seeds import seed_scores

Blocks = dict[str, Any]

SIGNIFICANT = 0.05


def shared_queries(systems: Sequence[Judgement]) -> list[PerQuery]:
    """Each system's values on the queries that all have, in the order of the ground truth.

    Raises:
        InputError: there is no such query.
    """
    common = set.intersection(*(set(system.record.tolist()) for system in systems))
    if not common:
        raise InputError("no query is answered by all files", where=systems[0].matched.answers.columns.name)
    order = np.array(sorted(common), dtype=np.int64)
    vids = systems[0].matched.truth.columns.vids
    recording = coded([vids[record] for record in order.tolist()])
    found = []
    for system in systems:
        by_record = np.argsort(system.record, kind="stable")
        rows = by_record[np.searchsorted(system.record[by_record], order)]
        found.append(PerQuery(system.per_query().values[rows], recording))
    return found


def names_of(systems: Sequence[Judgement]) -> list[str]:
    """The prediction files' names."""
    return [system.matched.answers.columns.name for system in systems]


def comparison_blocks(systems: Sequence[Judgement], *, draws: int, seed: int) -> list[Blocks]:
    """Every further file against the first.

    With several of them each p is also given by Holm, as among many comparisons some look good by luck.
    """
    names, (first, *others) = names_of(systems), shared_queries(systems)
    found = [compare(first, other, draws=draws, seed=seed) for other in others]
    corrected = [holm([float(each.p[figure]) for each in found]) for figure in range(len(FIGURES))]
    return [
        {
            "first": names[0],
            "second": name,
            "queries": len(first.recording),
            "recordings": first.num_recordings,
            "draws": draws,
            "seed": seed,
            "figures": {
                FIGURES[figure]: figure_block(comparison, figure)
                | ({"p_holm": rounded(corrected[figure][number])} if len(found) > 1 else {})
                for figure in range(len(FIGURES))
            },
        }
        for number, (name, comparison) in enumerate(zip(names[1:], found, strict=True))
    ]


def figure_block(comparison: Comparison, figure: int) -> Blocks:
    """One figure of a comparison: points are per cent."""
    ends = interval_block(comparison.interval)
    return {
        "difference": percent(float(comparison.difference[figure])),
        "interval": ends[FIGURES[figure]],
        "p": rounded(float(comparison.p[figure])),
        "queries_won": int(comparison.won[figure]),
        "queries_lost": int(comparison.lost[figure]),
    }


def rounded(p: float) -> float:
    """A p value to as many digits as draws can bear."""
    return float(f"{p:.3g}")


def seeds_block(systems: Sequence[Judgement], *, draws: int, seed: int) -> Blocks:
    """Mean, sample standard deviation and intervals over files that are runs of one system."""
    runs = shared_queries(systems)
    found = seed_scores(runs, draws=draws, seed=seed)
    return {
        "files": names_of(systems),
        "runs": len(runs),
        "queries": len(runs[0].recording),
        "recordings": runs[0].num_recordings,
        "draws": draws,
        "seed": seed,
        "each": [shares_block(values) for values in found.runs],
        "mean": shares_block(found.mean),
        "standard_deviation": shares_block(found.deviation),
        "interval_over_seeds": interval_block(np.clip(found.over_seeds, 0.0, 1.0)),
        "interval_over_recordings": interval_block(found.over_recordings),
        "interval": interval_block(np.clip(found.over_both, 0.0, 1.0)),
    }


def doubt(block: Blocks, name: str) -> list[str]:
    """A sentence where a figure's difference may be luck."""
    figure = block["figures"][name]
    p = figure.get("p_holm", figure["p"])
    if p < SIGNIFICANT:
        return []
    points = f"{figure['difference']:+.2f} points, p {p:g}"
    return [f"{name} of {block['second']} and {block['first']} may differ by luck alone: {points}"]
