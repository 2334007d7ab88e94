"""Where a system is good and bad: by length of moment, by number of moments, by length of recording."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.errors import UsageError
from amr.evaluation.files import EvaluationSettings
from amr.evaluation.judged import JudgedFile
from amr.evaluation.percent import Block, interval_block, percent_block
from amr.metrics.bootstrap import confidence_intervals
from amr.metrics.exact import exact_scores
from amr.metrics.figures import coded, figure_values

Range = tuple[float, float]
"""``(low, high]``; high may be infinite."""

LENGTHS = "0-5,0-10,10-30,30-"
COUNTS: tuple[Range, ...] = ((0, 1), (1, 2), (2, 5), (5, 10), (10, math.inf))
DURATIONS_S: tuple[Range, ...] = ((0, 30), (30, 60), (60, 120), (120, 300), (300, math.inf))


def parse_lengths(text: str) -> list[Range]:
    """Ranges of seconds: ``5,10,30`` are edges, ``0-5,0-10,30-`` are ranges as they stand.

    Raises:
        UsageError: it is neither, or a range is empty.
    """
    items = [item.strip() for item in text.split(",")]
    try:
        if any("-" in item for item in items):
            ranges = [parse_range(item) for item in items]
        else:
            ranges = list(pairwise([0.0, *map(float, items), math.inf]))
    except ValueError:
        ranges = []
    if not ranges or not all(0 <= low < high for low, high in ranges):
        hint = "edges as 5,10,30 or ranges as 0-5,0-10,30- in seconds"
        raise UsageError(f"{text!r} is not a list of ranges", where="--lengths", hint=hint)
    return ranges


def parse_range(item: str) -> Range:
    """``LOW-HIGH``, or ``LOW-`` for all above."""
    low, _, high = item.partition("-")
    return float(low), float(high) if high else math.inf


def breakdown_block(judged: JudgedFile, settings: EvaluationSettings) -> Block:
    """The figures of each part, with how many queries and windows it has; parts without a query are left out.

    Ranges of length count only true windows in them, as the field does; the other two split the queries.
    """
    lengths, counts = parse_lengths(settings.lengths or LENGTHS), judged.num_true.astype(np.float64)
    return {
        "moment_length_s": by_length(judged, lengths, settings),
        "moments": split(judged, counts, COUNTS, count_name, settings),
        "duration_s": split(judged, judged.duration_s, DURATIONS_S, range_name, settings),
    }


def by_length(judged: JudgedFile, lengths: list[Range], settings: EvaluationSettings) -> list[Block]:
    """The figures over the true windows of each range of lengths."""
    parts = []
    for limits in lengths:
        scores = exact_scores(judged.exact.queries, limits)
        if scores is not None:
            chosen = np.searchsorted(judged.scores.query, scores.query)
            block = part_block(judged, chosen, figure_values(scores), settings)
            parts.append({"range": range_name(limits), **block, "windows": scores.num_windows})
    return parts


def split(
    judged: JudgedFile,
    quantity: Float64Array,
    ranges: tuple[Range, ...],
    name: Callable[[Range], str],
    settings: EvaluationSettings,
) -> list[Block]:
    """The figures over the queries whose quantity ``(queries,)`` lies in each range."""
    values, parts = figure_values(judged.scores), []
    for low, high in ranges:
        chosen = np.flatnonzero((low < quantity) & (quantity <= high))
        if len(chosen):
            block = part_block(judged, chosen, values[chosen], settings)
            windows = int(judged.num_true[chosen].sum())
            parts.append({"range": name((low, high)), **block, "windows": windows})
    return parts


def part_block(
    judged: JudgedFile, chosen: Int64Array, values: Float64Array, settings: EvaluationSettings
) -> Block:
    """One part: how many queries on how many recordings, figures and intervals."""
    recording = coded([judged.recordings[row] for row in chosen.tolist()])
    ends = confidence_intervals(values, recording, draws=settings.bootstrap, seed=settings.seed)
    return {
        "queries": len(chosen),
        "recordings": int(recording.max()) + 1,
        "figures": percent_block(values.mean(axis=0)),
        "intervals": interval_block(ends),
    }


def count_name(limits: Range) -> str:
    """How people write a range of whole numbers."""
    low, high = limits
    if math.isinf(high):
        return f">{low:g}"
    return f"{high:g}" if high == low + 1 else f"{low + 1:g}-{high:g}"


def range_name(limits: Range) -> str:
    """How people write a range."""
    low, high = limits
    return f">{low:g}" if math.isinf(high) else f"{low:g}-{high:g}"
