"""``--per-query``: how each query went, a line each, for programs that look closer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from amr.cli.score_extras import DEPTHS
from amr.cli.score_queries import Judgement
from amr.metrics.candidates import best_of_top
from amr.metrics.results import IOU_THRESHOLDS

DIGITS = 6


def per_query_records(judgement: Judgement, set_name: str | None) -> Iterator[dict[str, Any]]:
    """An object a query, in the order of the ground truth; shares, not per cent.

    Args:
        judgement: one system's queries.
        set_name: the dataset, where the ground truth mixes several.
    """
    truth, scores = judgement.matched.truth.columns, judgement.scores
    best = best_of_top(judgement.iou, DEPTHS)
    ranked = judgement.honest.judged.ranked.take(scores.query)
    for row in sorted(range(len(scores.query)), key=lambda index: int(judgement.record[index])):
        record = int(judgement.record[row])
        duration_s = float(judgement.duration_s[row])
        start = int(ranked.start[row])
        answered = ranked.counts[row] > 0
        precision = scores.average_precision[row]
        yield {
            "predictions": judgement.matched.answers.columns.name,
            **({"set": set_name} if set_name is not None else {}),
            "qid": truth.qids[record],
            "vid": truth.vids[record],
            "query": truth.queries[record],
            "duration": duration_s if duration_s == duration_s else None,
            "moments": int(judgement.num_true[row]),
            "top_window": ranked.rows[start].tolist() if answered else None,
            "top_score": number(judgement.ranked_score.rows[start]) if answered else None,
            "iou": {str(depth): round(float(best[row, i]), DIGITS) for i, depth in enumerate(DEPTHS)},
            "AP": round(float(precision.mean()), DIGITS),
            "AP_at": {
                str(iou): round(float(ap), DIGITS) for iou, ap in zip(IOU_THRESHOLDS, precision, strict=True)
            },
        }


def number(value: float) -> float | None:
    """A score as JSON can hold it."""
    return float(value) if value - value == 0 else None


def write_per_query(target: Path, parts: Sequence[tuple[str | None, Judgement]], *, force: bool) -> None:
    """The file, a line a query and system."""
    from amr.formats.jsonl import write_objects
    from amr.formats.streams import open_text_output

    with open_text_output(target, force=force) as file:
        for set_name, judgement in parts:
            write_objects(file, per_query_records(judgement, set_name))
