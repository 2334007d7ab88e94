"""Several prediction files: systems against each other, or runs of one system."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amr.audio.names import canonical
from amr.errors import InputError
from amr.evaluation.files import EvaluationSettings
from amr.evaluation.judged import JudgedFile
from amr.evaluation.percent import Block, interval_block, percent, percent_block
from amr.metrics.comparison import Comparison, compare
from amr.metrics.figures import FIGURES, PerQuery, coded
from amr.metrics.permutation import holm
from amr.metrics.seeds import seed_scores

SIGNIFICANT = 0.05


def shared_queries(systems: Sequence[JudgedFile]) -> list[PerQuery]:
    """Each system's values on the queries that all have, in the order of the ground truth.

    Raises:
        InputError: there is no such query.
    """
    common = set.intersection(*(set(system.record.tolist()) for system in systems))
    if not common:
        raise InputError("no query is answered by all files", where=systems[0].matched.name)
    order = np.array(sorted(common), dtype=np.int64)
    vids = systems[0].matched.truth.columns.vids
    recording = coded([canonical(vids[record]) for record in order.tolist()])
    found = []
    for system in systems:
        by_record = np.argsort(system.record, kind="stable")
        rows = by_record[np.searchsorted(system.record[by_record], order)]
        found.append(PerQuery(system.per_query().values[rows], recording))
    return found


def comparison_blocks(systems: Sequence[JudgedFile], settings: EvaluationSettings) -> list[Block]:
    """Every further file against the first.

    With several of them each p is also given by Holm, as among many comparisons some look good by luck.
    """
    draws, seed = settings.bootstrap, settings.seed
    first, *others = shared_queries(systems)
    found = [compare(first, other, draws=draws, seed=seed) for other in others]
    corrected = [holm([float(each.p[figure]) for each in found]) for figure in range(len(FIGURES))]
    return [
        {
            "first": systems[0].matched.name,
            "second": system.matched.name,
            "queries": len(first.recording),
            "recordings": first.num_recordings,
            "draws": draws,
            "seed": seed,
            "figures": {
                name: difference_block(comparison, figure)
                | ({"p_holm": rounded_p(corrected[figure][number])} if len(found) > 1 else {})
                for figure, name in enumerate(FIGURES)
            },
        }
        for number, (system, comparison) in enumerate(zip(systems[1:], found, strict=True))
    ]


def difference_block(comparison: Comparison, figure: int) -> Block:
    """One figure of a comparison: points are per cent."""
    return {
        "difference": percent(float(comparison.difference[figure])),
        "interval": interval_block(comparison.interval)[FIGURES[figure]],
        "p": rounded_p(float(comparison.p[figure])),
        "queries_won": int(comparison.won[figure]),
        "queries_lost": int(comparison.lost[figure]),
    }


def rounded_p(p: float) -> float:
    """A p value to as many digits as draws can bear."""
    return float(f"{p:.3g}")


def runs_block(systems: Sequence[JudgedFile], settings: EvaluationSettings) -> Block:
    """Mean, sample standard deviation and intervals over files that are runs of one system."""
    draws, seed = settings.bootstrap, settings.seed
    runs = shared_queries(systems)
    found = seed_scores(runs, draws=draws, seed=seed)
    return {
        "files": [system.matched.name for system in systems],
        "runs": len(runs),
        "queries": len(runs[0].recording),
        "recordings": runs[0].num_recordings,
        "draws": draws,
        "seed": seed,
        "each": [percent_block(values) for values in found.runs],
        "mean": percent_block(found.mean),
        "standard_deviation": percent_block(found.deviation),
        "interval_over_seeds": interval_block(np.clip(found.over_seeds, 0.0, 1.0)),
        "interval_over_recordings": interval_block(found.over_recordings),
        "interval": interval_block(np.clip(found.over_both, 0.0, 1.0)),
    }


def luck_remark(block: Block, name: str) -> list[str]:
    """A remark where a figure's difference may be luck."""
    figure = block["figures"][name]
    p = figure.get("p_holm", figure["p"])
    if p < SIGNIFICANT:
        return []
    points = f"{figure['difference']:+.2f} points, p {p:g}"
    return [f"{name} of {block['second']} and {block['first']} may differ by luck alone: {points}"]
