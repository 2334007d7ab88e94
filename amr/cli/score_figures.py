"""Shares as blocks of the report: per cent, two decimals, null where there is no number."""

from __future__ import annotations

from typing import Any

import numpy as np

from amr.metrics.figures import FIGURES
from amr.metrics.ragged import FloatArray
from amr.metrics.results import two_decimals

Blocks = dict[str, Any]


def shares_block(shares: FloatArray) -> dict[str, float | None]:
    """``(figures,)`` by name, in per cent."""
    return {name: percent(value) for name, value in zip(FIGURES, shares.tolist(), strict=True)}


def interval_block(ends: FloatArray) -> dict[str, list[float] | None]:
    """``(figures, 2)`` by name, in per cent; None where resampling could not tell."""
    return {name: interval(pair) for name, pair in zip(FIGURES, ends, strict=True)}


def interval(pair: FloatArray) -> list[float] | None:
    """Both ends in per cent."""
    if not np.isfinite(pair).all():
        return None
    return [two_decimals(100 * end) + 0.0 for end in pair.tolist()]  # + 0.0: no minus before a zero


def percent(share: float) -> float | None:
    """A share in per cent; None for NaN."""
    return two_decimals(100 * share) + 0.0 if np.isfinite(share) else None
