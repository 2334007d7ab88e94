"""Student's t: the quantile that small samples need, without the import of scipy (0.1 s and more)."""

from __future__ import annotations

import math

MAX_STEPS = 200
SMALLEST = 1e-300


def t_quantile(probability: float, degrees: float) -> float:
    """The value that Student's t stays below with this probability, 0.5 <= probability < 1.

    By bisection of :func:`t_cdf`, to about 1e-12.

    Raises:
        ValueError: the probability or the degrees of freedom are out of range.
    """
    if not (0.5 <= probability < 1 and degrees > 0):
        raise ValueError(f"probability {probability} must be in [0.5, 1) and degrees {degrees} above 0")
    low, high = 0.0, 1.0
    while t_cdf(high, degrees) < probability:
        low, high = high, 2 * high
    for _ in range(MAX_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if t_cdf(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return high


def t_cdf(value: float, degrees: float) -> float:
    """Probability that Student's t is below ``value >= 0``; Abramowitz and Stegun, eq. 26.7.1."""
    tail = regularised_beta(degrees / 2, 0.5, degrees / (degrees + value * value)) / 2
    return 1 - tail


def regularised_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b); Abramowitz and Stegun, eq. 26.5.8."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):  # where the fraction converges fast
        return front * continued_fraction(a, b, x) / a
    return 1 - front * continued_fraction(b, a, 1 - x) / b


def continued_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for step in range(1, MAX_STEPS):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        before = value
        for coefficient in (even, odd):
            d = 1 / away_from_zero(1 + coefficient * d)
            c = away_from_zero(1 + coefficient / c)
            value *= c * d
        if abs(value - before) <= 1e-15 * abs(value):
            break
    return value


def away_from_zero(value: float) -> float:
    """A divisor that is no zero."""
    return value if abs(value) > SMALLEST else SMALLEST
