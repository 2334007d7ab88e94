"""How numbers look at a terminal."""

from __future__ import annotations

import pytest

from amr.cli.predict_table import MomentTable
from amr.cli.tables import bar, clock, columns
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.retrieval.recordings import Collection
from amr.tasks.places import Places
from amr.tasks.sources import query_lengths


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00.0"), (9.96, "0:10.0"), (59.96, "1:00.0"), (61.24, "1:01.2"), (36_000.05, "10:00:00.0")],
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "    "), (1, "████"), (0.5, "██  "), (2, "████"), (0.28, "█▏  ")],
)
def test_bar(share: float, shown: str) -> None:
    assert bar(share, 4) == shown


def test_columns_line_up() -> None:
    assert columns([("a", "1"), ("bcd", "20")], right=frozenset({1})) == ["a     1", "bcd  20"]
    assert columns([]) == []


def test_a_table_ranks_over_recordings_and_says_what_it_leaves_out() -> None:
    records = [
        Prediction(1, "dog", "yard", [[1, 2, 0.5], [3, 4, 0.1]]),
        Prediction(2, "dog", "street", [[65, 70.04, 0.9]]),
        Prediction(3, "cat", "yard", []),
    ]
    lengths = query_lengths([Query("dog", vid=vid, duration_s=99.0) for vid in ("yard", "street")])
    table = MomentTable(Places(Collection([lengths])), inputs=(), rows=2)
    assert table.lines(records) == [
        "dog",
        "  street  1:05.0 – 1:10.0  █████████  0.90",
        "  yard    0:01.0 – 0:02.0  █████      0.50",
        "  … and 1 more; --top 3 shows them",
        "",
        "cat",
        "  nothing found",
    ]
