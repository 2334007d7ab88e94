"""Which rows of a table take part: conditions on columns, and splits that share no recording."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from amr.errors import InputError, UsageError
from amr.simulation.tables import SourceRow

CONDITION = re.compile(r"([^=!<>]+)(!=|>=|<=|=|>|<)(.*)", re.DOTALL)
SPLIT_SHARES = (("train", 0.7), ("val", 0.1), ("test", 0.2))
"""Splits of tables that name none, by a hash of the recording: the paper's 7:1:2."""


@dataclass(frozen=True)
class Condition:
    """``COLUMN OP VALUE``; ``= !=`` compare texts, ``< <= > >=`` compare numbers."""

    column: str
    operator: str
    value: str

    def holds(self, row: SourceRow) -> bool:
        """Whether a row fulfils it.

        Raises:
            InputError: the row has no such column, or no number where one is compared.
        """
        if self.column not in row.values:
            found = ", ".join(row.values)[:200]
            raise InputError(f"--where: no column {self.column!r}; there are {found}", where=row.where)
        text = row.values[self.column].strip()
        if self.operator in ("=", "!="):
            return (text == self.value) == (self.operator == "=")
        try:
            found_number = float(text)
        except ValueError:
            raise InputError(f"--where: {self.column!r} is {text!r}, not a number", where=row.where) from None
        limit = float(self.value)
        return {
            "<": found_number < limit,
            "<=": found_number <= limit,
            ">": found_number > limit,
            ">=": found_number >= limit,
        }[self.operator]


def parse_condition(text: str, option: str) -> Condition:
    """A condition from ``COLUMN=VALUE`` and the like.

    Raises:
        UsageError: it is not of that form.
    """
    match = CONDITION.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is not a condition",
            where=option,
            hint="write COLUMN=VALUE, COLUMN!=VALUE, or COLUMN>=NUMBER and the like",
        )
    condition = Condition(match[1].strip(), match[2], match[3].strip())
    if condition.operator not in ("=", "!="):
        try:
            float(condition.value)
        except ValueError:
            raise UsageError(f"{condition.value!r} is not a number", where=option) from None
    return condition


def select(
    rows: Sequence[SourceRow], *, split: str | None, conditions: Sequence[Condition], name: str
) -> list[SourceRow]:
    """The rows of one split that fulfil all conditions, in table order.

    Raises:
        InputError: a recording stands in two splits, or no row is left.
    """
    if split is not None:
        check_disjoint(rows)
    kept = [
        row
        for row in rows
        if (split is None or split_of(row) == split) and all(condition.holds(row) for condition in conditions)
    ]
    if not kept:
        splits = ", ".join(sorted({split_of(row) for row in rows})) if split is not None else ""
        found = f"; splits found: {splits}" if splits else ""
        raise InputError(f"none of its {len(rows)} rows is left by --split and --where{found}", where=name)
    return kept


def split_of(row: SourceRow) -> str:
    """The split a row says, or one by the hash of its recording, the same on every machine."""
    if row.split:
        return row.split
    digest = hashlib.sha256(row.group.encode("utf-8", "surrogatepass")).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    for name, share in SPLIT_SHARES:
        if point < share:
            return name
        point -= share
    return SPLIT_SHARES[-1][0]


def check_disjoint(rows: Sequence[SourceRow]) -> None:
    """Refuse a table in which one recording stands in two splits."""
    first: dict[str, SourceRow] = {}
    for row in rows:
        other = first.setdefault(row.group, row)
        if split_of(other) != split_of(row):
            raise InputError(
                f"recording {row.group!r} is in split {split_of(row)!r} here and in {split_of(other)!r} at "
                f"{other.where}",
                where=row.where,
                hint="a recording belongs to one split; correct the table",
            )
