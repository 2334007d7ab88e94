"""CASTELLA's statistics as numbers, counted on its training split (2,182 queries, 6,157 windows).

Tables are ``(share at or below, value)``. Annotations lie on a grid of 1 s, so a window of 1 s stands for
lengths from 0.5 to 1.5 s: the tables' values are half seconds, and a draw is a continuous length. Windows are
cut at their recording's end; the few that begin after it are not counted.
"""

from __future__ import annotations

from amr.simulation.distributions import table

LENGTH_S = table(
    (
        (0.0, 0.5),
        (0.1538, 1.5),
        (0.3399, 2.5),
        (0.4652, 3.5),
        (0.5475, 4.5),
        (0.6067, 5.5),
        (0.6572, 6.5),
        (0.7001, 7.5),
        (0.7325, 8.5),
        (0.7576, 9.5),
        (0.7807, 10.5),
        (0.8132, 12.5),
        (0.8516, 15.5),
        (0.8959, 20.5),
        (0.9216, 25.5),
        (0.9338, 30.5),
        (0.9531, 40.5),
        (0.9681, 50.5),
        (0.9749, 60.5),
        (0.9824, 80.5),
        (0.9873, 100.5),
        (0.9933, 150.5),
        (0.9961, 200.5),
        (0.9976, 250.5),
        (1.0, 300.0),
    )
)
"""Length of a window."""

LENGTH_CORRELATION = 0.58
"""The lengths of two windows of one query have rank correlation 0.56; this is the Gaussian copula's value."""

GAP_S = table(
    (
        (0.0, 0.5),
        (0.0216, 1.5),
        (0.0762, 2.5),
        (0.1306, 3.5),
        (0.1753, 4.5),
        (0.2199, 5.5),
        (0.2684, 6.5),
        (0.3462, 8.5),
        (0.4063, 10.5),
        (0.4672, 12.5),
        (0.5369, 15.5),
        (0.6184, 20.5),
        (0.677, 25.5),
        (0.7283, 30.5),
        (0.7947, 40.5),
        (0.8418, 50.5),
        (0.9014, 70.5),
        (0.9447, 100.5),
        (0.9776, 150.5),
        (1.0, 290.0),
    )
)
"""From the end of a window to the next start, one query; the few overlaps are left out."""

DURATION_S = table(
    (
        (0.0, 60.0),
        (0.0388, 80.0),
        (0.0651, 100.0),
        (0.0868, 120.0),
        (0.1119, 140.0),
        (0.1279, 160.0),
        (0.1484, 180.0),
        (0.1655, 200.0),
        (0.1815, 220.0),
        (0.2009, 260.0),
        (0.2169, 299.0),
        (0.7283, 299.0),
        (0.7284, 300.0),
        (1.0, 300.0),
    )
)
"""Length of a recording."""

QUERIES = ((1.0, 208.0), (2.0, 277.0), (3.0, 201.0), (4.0, 133.0), (5.0, 57.0))
"""Queries a recording: (how many, recordings)."""

OCCURRENCES = (
    (1.0, 1053.0),
    (2.0, 402.0),
    (3.0, 197.0),
    (4.0, 140.0),
    (5.0, 84.0),
    (6.0, 85.0),
    (7.0, 56.0),
    (8.0, 38.0),
    (9.0, 29.0),
    (10.0, 28.0),
    (11.0, 19.0),
    (12.0, 12.0),
    (13.0, 12.0),
    (14.0, 8.0),
    (15.0, 5.0),
    (17.0, 4.0),
    (18.0, 1.0),
    (19.0, 3.0),
    (20.0, 1.0),
    (21.0, 2.0),
    (24.0, 1.0),
    (25.0, 1.0),
    (32.0, 1.0),
)
"""Windows a query: (how many, queries)."""
