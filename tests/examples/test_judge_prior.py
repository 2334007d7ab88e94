"""``examples/judge_prior.py``: scores of which everything is known are right for every share."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from test_judge_default import load

from amr.retrieval.presence import Curve, Presence


@pytest.fixture
def judge() -> Iterator[ModuleType]:
    yield from load("judge_prior")


def test_the_table_says_what_was_drawn(judge: ModuleType) -> None:
    rng = np.random.default_rng(0)
    score = rng.beta(0.6, 1.6, 40_000)
    presence = Presence(Curve(1.0, 0.0), Curve(0.4, 0.0))
    right = rng.random(len(score)) < score
    there = right | (rng.random(len(score)) < presence.wrong_but_there(score))
    lines = "\n".join(judge.table(score[there], right[there], score[~there], presence)).splitlines()
    rows = [[float(cell.strip(" %")) for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[0] for row in rows] == [1, 10, 50, 100]
    for share, as_it_is, given, auto, estimated in rows:
        assert given < 4
        assert auto < 5
        assert abs(estimated - share) < 4
        assert share == 50 or as_it_is > given + 4
