"""Paired permutation: could two systems whose labels mean nothing differ as much as these?

If they are alike, each recording's difference could as well have had the other sign; the signs of whole
recordings are flipped, because queries of one recording are not independent (Fisher's paired randomisation
test; in retrieval: Smucker, Allan and Carterette, CIKM 2007).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from amr.arrays import Float64Array
from amr.metrics.bootstrap import MAX_BLOCK_CELLS

MAX_EXACT_RECORDINGS = 16
"""2^16 sign patterns are at most tried one by one; more recordings are sampled."""

TIE = 1e-9
"""Sums closer than this are equal: additions in another order."""


def permutation_p(differences: Float64Array, *, draws: int, seed: int) -> Float64Array:
    """``(figures,)`` two-sided p of each column's sum.

    Exact, every pattern of signs, where there are no more patterns than draws; else sampled, and never 0:
    ``(1 + as extreme) / (1 + draws)`` (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010).

    Args:
        differences: ``(recordings, figures)`` summed over the recording's queries.
        draws: how many patterns at most.
        seed: of the patterns.
    """
    observed = np.abs(differences.sum(axis=0))
    moved = differences[np.any(differences != 0, axis=1)]  # a sign before 0 changes nothing
    exact = len(moved) <= MAX_EXACT_RECORDINGS and 2 ** len(moved) <= max(draws, 2)
    patterns = every_sign(len(moved)) if exact else drawn_signs(len(moved), draws, seed)
    extreme, tried = np.zeros(differences.shape[1], dtype=np.int64), 0
    for signs in patterns:
        extreme += (np.abs(signs @ moved) >= observed - TIE).sum(axis=0)
        tried += len(signs)
    p: Float64Array = extreme / tried if exact else (1 + extreme) / (1 + tried)
    return p


def every_sign(count: int) -> Iterator[Float64Array]:
    """All patterns ``(2^count, count)`` of -1 and 1, as one block."""
    patterns = np.arange(2**count)[:, None] >> np.arange(count)[None, :]
    yield (2 * (patterns & 1) - 1).astype(np.float64)


def drawn_signs(count: int, draws: int, seed: int) -> Iterator[Float64Array]:
    """Blocks ``(draws, count)`` of random signs."""
    generator = np.random.default_rng(seed)
    block = max(1, MAX_BLOCK_CELLS // count)
    for first in range(0, draws, block):
        shape = (min(block, draws - first), count)
        yield (2 * generator.integers(0, 2, size=shape, dtype=np.int8) - 1).astype(np.float64)


def holm(p: list[float]) -> list[float]:
    """p values corrected for being several (Holm, Scand. J. Stat. 6, 1979), in the given order."""
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, p[index] * (len(p) - rank)))
        adjusted[index] = highest
    return adjusted
