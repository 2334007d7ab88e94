"""Worlds with a known truth, to see how often an interval holds it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from amr.arrays import Float64Array, Int64Array

Array = Float64Array
World = Callable[[np.random.Generator, int], tuple[Array, Int64Array]]
"""A test set: ``(queries, 1)`` values and ``(queries,)`` recordings, of so many recordings."""

QUERIES = np.array([1, 2, 3, 4, 5])
SHARES = np.array([0.3, 0.25, 0.25, 0.15, 0.05])
"""Queries a recording, about as in CASTELLA."""


def hits(a: float, b: float) -> World:
    """Hits; how easy a recording is is beta distributed, mean a / (a + b)."""

    def world(generator: np.random.Generator, recordings: int) -> tuple[Array, Int64Array]:
        recording = np.repeat(np.arange(recordings), generator.choice(QUERIES, size=recordings, p=SHARES))
        ease = generator.beta(a, b, size=recordings)
        return (generator.random(len(recording)) < ease[recording]).astype(float)[:, None], recording

    return world


def overlaps(generator: np.random.Generator, recordings: int) -> tuple[Array, Int64Array]:
    """Values in [0, 1], of mean 1/2; those of a recording alike."""
    recording = np.repeat(np.arange(recordings), generator.choice(QUERIES, size=recordings, p=SHARES))
    ease = generator.random(recordings)[recording]
    return generator.beta(0.5 + 2 * ease, 2.5 - 2 * ease)[:, None], recording


def paired(generator: np.random.Generator, recordings: int) -> tuple[Array, Int64Array]:
    """Differences of two systems' hits on the same queries; mean 0.05."""
    recording = np.repeat(np.arange(recordings), generator.choice(QUERIES, size=recordings, p=SHARES))
    ease = generator.beta(1, 2, size=recordings)[recording] * 0.9
    first = generator.random(len(recording)) < ease
    second = generator.random(len(recording)) < ease + 0.05
    return (second.astype(float) - first)[:, None], recording


WORLDS: dict[str, tuple[World, float]] = {
    "hits of 25 %": (hits(0.5, 1.5), 0.25),
    "hits of 10 %": (hits(0.4, 3.6), 0.10),
    "IoU": (overlaps, 0.5),
    "difference of two systems": (paired, 0.05),
}
"""Each with the true mean; easiness and number of queries are independent, so that it is exact."""


def coverage(
    world: World, mean: float, interval: Callable[..., Array], *, recordings: int, times: int, draws: int
) -> float:
    """Share of test sets whose interval holds the true mean."""
    generator = np.random.default_rng(7)
    held = 0
    for _ in range(times):
        values, recording = world(generator, recordings)
        low, high = interval(values, recording, draws=draws, seed=int(generator.integers(2**31)))[0]
        held += bool(low <= mean <= high)
    return held / times
