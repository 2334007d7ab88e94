"""How ``amr predict`` shows what it found."""

from __future__ import annotations

from collections.abc import Iterable

from amr.cli.tables import bar, clock, columns
from amr.formats.predictions import Prediction


def table(predictions: Iterable[Prediction], rows: int | None, least: float | None = None) -> list[str]:
    """For each query its moments over all recordings, best first, at most ``rows`` of them.

    Where ``rows`` is None the moments of a recording stay together, in the order of the predictions.
    ``least`` is the score below which moments were dropped.

    A row: recording, start – end as m:ss.s, score as a bar and a number.
    """
    by_query: dict[str, list[tuple[float, str, list[float]]]] = {}
    for prediction in predictions:
        found = by_query.setdefault(prediction.query, [])
        found += [(-window[2], prediction.vid, window) for window in prediction.windows]
    lines: list[str] = []
    for query, found in by_query.items():
        lines += ["", query] if lines else [query]
        lines += moment_rows(found if rows is None else sorted(found, key=lambda row: row[0])[:rows])
        if rows is not None and len(found) > rows:
            lines.append(f"  … and {len(found) - rows} more; --top {len(found)} shows them")
        if not found:
            lines.append(nothing(least))
    return lines


def nothing(least: float | None) -> str:
    """What stands where no moment does."""
    if least is None:
        return "  nothing found"
    return f"  nothing scores {least:g} or more; --min-score 0 shows what comes nearest"


def moment_rows(found: list[tuple[float, str, list[float]]]) -> list[str]:
    """Rows of one query, set in columns."""
    cells = [
        ("  " + vid, f"{clock(start_s)} – {clock(end_s)}", f"{bar(score)} {score:.2f}")
        for _, vid, (start_s, end_s, score) in found
    ]
    return columns(cells, right=frozenset({1}))
