"""CASTELLA's statistics as numbers, counted on its training split (2,182 queries, 6,157 windows).

A table's points are ``share at or below=value``, weights are ``value=count``. Annotations lie on a grid of
1 s, so a window of 1 s stands for lengths from 0.5 to 1.5 s: the tables' values are half seconds, and a
draw is a continuous length. Windows are cut at their recording's end; the few that begin after it are not
counted.
"""

from __future__ import annotations

from amr.simulation.distributions import parse_distribution

LENGTH_S = parse_distribution(
    "table:0=0.5,0.1538=1.5,0.3399=2.5,0.4652=3.5,0.5475=4.5,0.6067=5.5,0.6572=6.5,0.7001=7.5,0.7325=8.5,"
    "0.7576=9.5,0.7807=10.5,0.8132=12.5,0.8516=15.5,0.8959=20.5,0.9216=25.5,0.9338=30.5,0.9531=40.5,"
    "0.9681=50.5,0.9749=60.5,0.9824=80.5,0.9873=100.5,0.9933=150.5,0.9961=200.5,0.9976=250.5,1=300",
    "CASTELLA",
)
"""Length of a window."""

LENGTH_CORRELATION = 0.58
"""The lengths of two windows of one query have rank correlation 0.56; this is the Gaussian copula's value."""

GAP_S = parse_distribution(
    "table:0=0.5,0.0216=1.5,0.0762=2.5,0.1306=3.5,0.1753=4.5,0.2199=5.5,0.2684=6.5,0.3462=8.5,0.4063=10.5,"
    "0.4672=12.5,0.5369=15.5,0.6184=20.5,0.677=25.5,0.7283=30.5,0.7947=40.5,0.8418=50.5,0.9014=70.5,"
    "0.9447=100.5,0.9776=150.5,1=290",
    "CASTELLA",
)
"""From the end of a window to the next start, one query; the few overlaps are left out."""

DURATION_S = parse_distribution(
    "table:0=60,0.0388=80,0.0651=100,0.0868=120,0.1119=140,0.1279=160,0.1484=180,0.1655=200,0.1815=220,"
    "0.2009=260,0.2169=299,0.7283=299,0.7284=300,1=300",
    "CASTELLA",
)
"""Length of a recording."""

QUERIES = parse_distribution("weights:1=208,2=277,3=201,4=133,5=57", "CASTELLA")
"""Queries a recording."""

OCCURRENCES = parse_distribution(
    "weights:1=1053,2=402,3=197,4=140,5=84,6=85,7=56,8=38,9=29,10=28,11=19,12=12,13=12,14=8,15=5,17=4,18=1,"
    "19=3,20=1,21=2,24=1,25=1,32=1",
    "CASTELLA",
)
"""Windows a query."""
