"""Shares as the report prints them: per cent, two decimals, null where there is no number."""

from __future__ import annotations

from typing import Any

import numpy as np

from amr.arrays import Float64Array
from amr.metrics.figures import FIGURES
from amr.metrics.results import two_decimals

Block = dict[str, Any]
"""A JSON object of the report."""


def percent(share: float) -> float | None:
    """A share in per cent; None where it is not finite."""
    return two_decimals(100 * share) + 0.0 if np.isfinite(share) else None  # + 0.0: no minus before a zero


def percent_interval(ends: Float64Array) -> list[float | None] | None:
    """Both ends ``(2,)`` in per cent; None where resampling could not tell."""
    return [percent(end) for end in ends.tolist()] if np.isfinite(ends).all() else None


def percent_block(shares: Float64Array) -> Block:
    """``(figures,)`` shares by the names of :data:`FIGURES`, in per cent."""
    return dict(zip(FIGURES, map(percent, shares.tolist()), strict=True))


def interval_block(ends: Float64Array) -> Block:
    """``(figures, 2)`` intervals by the names of :data:`FIGURES`, in per cent."""
    return dict(zip(FIGURES, map(percent_interval, ends), strict=True))
