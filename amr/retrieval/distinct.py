"""Moments as people want them: what a better one covers in part is the same moment, and is not shown again.

The field's metrics take moments for different ones that overlap by less than half (``SAME_IOU``), and the
list in a prediction is made for them. ``docs/examples.md`` says by which measurement this rule was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

from amr.moments import Moment

COVERED = 0.25
"""Moments that share this part of the shorter one are one."""


def merge_overlapping(moments: Sequence[Moment]) -> list[Moment]:
    """The moments of one recording and one query that no better one covers, best first.

    Args:
        moments: best first.
    """
    kept: list[Moment] = []
    for moment in moments:
        if all(shared(moment, better) < COVERED for better in kept):
            kept.append(moment)
    return kept


def shared(one: Moment, other: Moment) -> float:
    """The overlap of two moments as a part of the shorter one; 0 where that has no length."""
    overlap_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    shorter_s = min(one.end_s - one.start_s, other.end_s - other.start_s)
    return max(overlap_s, 0.0) / shorter_s if shorter_s > 0 else 0.0
