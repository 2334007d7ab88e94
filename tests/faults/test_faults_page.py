"""The page of faults is what the tests say, and there are enough of them."""

from __future__ import annotations

from fault_table import PAGE, ROOMS, TABLE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/fault_table.py"


def test_every_room_has_faults_and_there_are_at_least_forty() -> None:
    page()
    assert {line.room for line in TABLE.values()} == set(ROOMS)
    assert len(TABLE) >= 40
