"""What figures share: matplotlib without its global state, one style, and files that repeat to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from amr.errors import MissingError, install_command, printable

INK = "#1a1a1a"
GREY = "#767676"
TRUTH = "#009E73"
PALETTE = ("#0072B2", "#D55E00", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's colours, which colour-blind people distinguish; the green is kept for the truth."""

MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (3, 1)))
"""Beside its colour every series has a shape and a stroke of its own, for print in grey."""

STYLE: dict[str, Any] = {
    "figure.dpi": 120,
    "savefig.dpi": 120,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "svg.hashsalt": "amr",
    "svg.fonttype": "path",
    "text.parse_math": False,
}
"""``parse_math`` off: a dollar sign in a query is a dollar sign."""

IMAGE_KINDS = ("png", "svg")


def require_matplotlib() -> None:
    """Refuse early where figures cannot be drawn.

    Raises:
        MissingError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise MissingError(
            "figures need matplotlib, which is not installed",
            hint=f"{install_command('plot')}; --html and the picture in the terminal work without it",
        ) from error


@contextmanager
def style() -> Iterator[None]:
    """House style while figures are made and saved; the caller's settings come back afterwards."""
    require_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings: Any = matplotlib.rcParams
        settings.update(STYLE)
        yield


def new_figure(width_in: float, height_in: float) -> Any:
    """An empty figure with automatic layout, outside of matplotlib's own list of figures."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def save(figure: Any, file: BinaryIO, kind: str) -> None:
    """Write a figure as ``png`` or ``svg``; the same figure gives the same bytes, whatever the day.

    Must run inside :func:`style`, so that what is drawn late is drawn in the same manner.
    """
    nothing = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[kind]
    figure.savefig(file, format=kind, metadata=nothing)


def short_label(text: str, limit: int) -> str:
    """Text from data files for a label: one line, nothing unprintable, at most ``limit`` characters."""
    clean = printable(text).strip()
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"
