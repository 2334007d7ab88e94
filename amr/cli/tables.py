"""How numbers look at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from amr.errors import printable

BAR_WIDTH = 10
EIGHTHS = " ▏▎▍▌▋▊▉█"


def is_terminal() -> bool:
    """Whether people, not programs, read standard output."""
    return sys.stdout.isatty()


def clock(seconds: float) -> str:
    """``m:ss.s``, from an hour on ``h:mm:ss.s``."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def whole_clock(seconds: float) -> str:
    """``m:ss``, from an hour on ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A bar of ``width`` characters for a share in [0, 1]."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[part] if part else "")).ljust(width)


def columns(rows: Iterable[tuple[str, ...]], right: frozenset[int] = frozenset()) -> list[str]:
    """Rows of text set in columns two spaces apart; columns in ``right`` are flush right.

    What a terminal would obey is taken out (:func:`amr.errors.printable`).
    """
    rows = [tuple(map(printable, row)) for row in rows]
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
