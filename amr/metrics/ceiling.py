"""The best that any system can reach: ten windows, even if each is right to the sample."""

from __future__ import annotations

import numpy as np

from amr.arrays import Float64Array, Int64Array
from amr.metrics.figures import FIGURES
from amr.metrics.results import MAX_ANSWERS


def ceiling(num_true: Int64Array) -> Float64Array:
    """``(figures,)`` shares that a perfect system with ten windows reaches.

    A query of ``n`` true windows can have ``min(n, 10)`` of them found, each at precision 1, so its AP is at
    most ``min(1, 10 / n)`` at every threshold; a top window can always be right.

    Args:
        num_true: ``(queries,)`` true windows of each query, at least one.
    """
    precision = float(np.mean(np.minimum(1.0, MAX_ANSWERS / num_true)))
    return np.array([precision if name.startswith("mAP") else 1.0 for name in FIGURES])
