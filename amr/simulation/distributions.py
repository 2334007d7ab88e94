"""Distributions written as short texts: ``7``, ``uniform:-5:5``, ``exponential:30``, ``weights:1=3,2=1``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from amr.errors import UsageError

GRAMMAR = "N, uniform:A:B, exponential:MEAN, table:P=V,P=V,... or weights:V=W,V=W,..."


@dataclass(frozen=True)
class Distribution:
    """A distribution of one number, sampled through its quantile function.

    Args:
        text: how it was written.
        kind: ``exponential``, ``table`` (linear between the points) or ``steps`` (only the points' values).
        probabilities, values: points of the quantile function, both ascending; for ``exponential`` the mean.
    """

    text: str
    kind: str
    probabilities: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, u: float) -> float:
        """The value below which a share ``u`` in [0, 1) of all draws lies."""
        if self.kind == "exponential":
            return -self.values[0] * math.log1p(-u)
        if self.kind == "steps":
            index = int(np.searchsorted(self.probabilities, u, side="right"))
            return self.values[min(index, len(self.values) - 1)]
        return float(np.interp(u, self.probabilities, self.values))

    def sample(self, rng: np.random.Generator) -> float:
        """One draw; takes exactly one number from the generator."""
        return self.at(float(rng.random()))

    def sample_int(self, rng: np.random.Generator) -> int:
        """One draw, rounded to an integer."""
        return round(self.sample(rng))

    @property
    def low(self) -> float:
        """The smallest value."""
        return 0.0 if self.kind == "exponential" else min(self.values)

    @property
    def high(self) -> float:
        """The largest value; infinite for ``exponential``."""
        return math.inf if self.kind == "exponential" else max(self.values)

    @property
    def is_fixed(self) -> bool:
        return self.low == self.high

    def __str__(self) -> str:
        return self.text


def fixed(value: float) -> Distribution:
    """Always the same value."""
    return Distribution(f"{value:g}", "table", (0.0, 1.0), (value, value))


def uniform(low: float, high: float) -> Distribution:
    """Any value between two, alike."""
    return Distribution(f"uniform:{low:g}:{high:g}", "table", (0.0, 1.0), (low, high))


def exponential(mean: float) -> Distribution:
    """Waiting times with a mean."""
    return Distribution(f"exponential:{mean:g}", "exponential", (), (mean,))


def table(points: tuple[tuple[float, float], ...]) -> Distribution:
    """A quantile function through ``(probability, value)`` points, linear between them."""
    text = "table:" + ",".join(f"{p:g}={v:g}" for p, v in points)
    return Distribution(text, "table", tuple(p for p, _ in points), tuple(v for _, v in points))


def weights(shares: tuple[tuple[float, float], ...]) -> Distribution:
    """Some values, each with a weight: ``(value, weight)``."""
    total = math.fsum(weight for _, weight in shares)
    steps = np.cumsum([weight for _, weight in shares]) / total
    text = "weights:" + ",".join(f"{v:g}={w:g}" for v, w in shares)
    return Distribution(text, "steps", tuple(float(p) for p in steps), tuple(v for v, _ in shares))


def parse_distribution(text: str, option: str) -> Distribution:
    """A distribution from its text; ``option`` names it in messages.

    Raises:
        UsageError: it is none of the forms, or its numbers make no distribution.
    """
    kind, _, rest = text.strip().partition(":")
    try:
        if not rest:
            return fixed(_finite(kind))
        if kind == "uniform":
            low, high = map(_finite, rest.split(":"))
            return _checked(uniform(low, high))
        if kind == "exponential":
            return _checked(exponential(_finite(rest)))
        if kind == "table":
            return _checked(table(_pairs(rest)))
        if kind == "weights":
            return _checked(weights(_weighted(rest)))
        raise ValueError(f"{kind!r} is not a kind of distribution")
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(
            f"{text[:80]!r} is not a distribution: {error}", where=option, hint=f"write {GRAMMAR}"
        ) from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _pairs(text: str) -> tuple[tuple[float, float], ...]:
    pairs = [part.split("=") for part in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("each point is written A=B")
    return tuple((_finite(a), _finite(b)) for a, b in pairs)


def _weighted(text: str) -> tuple[tuple[float, float], ...]:
    pairs = _pairs(text)
    if any(weight < 0 for _, weight in pairs) or not any(weight for _, weight in pairs):
        raise ValueError("weights are not negative, and one at least is above 0")
    return tuple(sorted(pairs))


def _checked(made: Distribution) -> Distribution:
    """Refuse quantile functions that fall, and those that do not go from 0 to 1."""
    if made.kind == "exponential":
        if made.values[0] <= 0:
            raise ValueError("the mean must be above 0")
        return made
    if any(b < a for a, b in zip(made.values, made.values[1:], strict=False)):
        raise ValueError("values must not fall")
    if made.kind == "table" and (
        list(made.probabilities) != sorted(made.probabilities)
        or (made.probabilities[0], made.probabilities[-1]) != (0.0, 1.0)
    ):
        raise ValueError("probabilities must rise from 0 to 1")
    return made
