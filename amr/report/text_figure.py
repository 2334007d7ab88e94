"""A picture of moments in plain characters, for terminals and for where matplotlib is not installed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from amr.errors import printable
from amr.report.records import Case

HEIGHTS = "▁▂▃▄▅▆▇█"
FULL, PART, NONE = "█", "▌", "·"
LABEL_WIDTH = 10
MAX_SHOWN = 3


def sparkline(values: Sequence[float], width: int) -> str:
    """A curve in [0, 1] as ``width`` characters; each shows the highest value of its even share.

    The empty curve is the empty string.
    """
    if not values:
        return ""
    edges = [index * len(values) / width for index in range(width + 1)]
    shares = [values[int(a) : max(int(b), int(a) + 1)] for a, b in pairwise(edges)]
    return "".join(HEIGHTS[round(min(max(max(share), 0.0), 1.0) * (len(HEIGHTS) - 1))] for share in shares)


def track(moments: Sequence[Sequence[float]], duration_s: float, width: int) -> str:
    """Moments as ``width`` characters: full where at least half of the character's time is in one."""
    cell_s = duration_s / width
    cells = []
    for index in range(width):
        start_s, end_s = index * cell_s, (index + 1) * cell_s
        covered_s = max((min(m[1], end_s) - max(m[0], start_s) for m in moments), default=0.0)
        cells.append(FULL if covered_s >= cell_s / 2 else PART if covered_s > 0 else NONE)
    return "".join(cells)


def text_figure(case: Case, width: int) -> list[str]:
    """Lines of one query: its words, saliency, true moments, the best answers."""
    room = max(width - LABEL_WIDTH, 20)
    lines = [f"{case.query or '(no words)'}  in  {case.vid}, {case.known_s:.1f} s"]
    if case.saliency:
        lines.append(label("saliency") + sparkline(case.saliency, room))
    if case.truth is not None:
        lines.append(label("true") + track(case.truth, case.known_s, room))
    for rank, moment in enumerate(case.predicted[:MAX_SHOWN], start=1):
        lines.append(label(f"{rank}  {moment.score:.2f}") + track([moment], case.known_s, room))
    if not case.predicted:
        lines.append(label("") + "no moment was found")
    return [printable(line) for line in lines]


def label(text: str) -> str:
    return text.ljust(LABEL_WIDTH)
