"""Checked access to the fields of one JSON object, with errors that say which and where."""

from __future__ import annotations

import math
from typing import Any

from amr.errors import InputError
from amr.formats.jsonl import json_type

Record = dict[str, Any]


MAX_NAME_BYTES = 200
"""Longest recording id: a file name is limited to 255 bytes, and a suffix and a part number are added."""


def is_file_stem(name: str) -> bool:
    """Whether a recording's id can name a file in a folder: printable, not hidden, and of no other folder."""
    is_safe = name.isprintable() and not any(char in name for char in "/\\") and not name.startswith(".")
    return is_safe and bool(name.strip()) and len(name.encode("utf-8", "surrogatepass")) <= MAX_NAME_BYTES


def required(record: Record, key: str, where: str) -> Any:
    """The value under ``key``; an error that lists the keys there are when it is absent."""
    if key not in record:
        found = ", ".join(sorted(map(repr, record))) or "none"
        raise InputError(f"key {key!r} is missing; keys found: {found[:300]}", where=where)
    return record[key]


def text(record: Record, key: str, where: str) -> str:
    value = required(record, key, where)
    if not isinstance(value, str):
        raise InputError(f"{key!r} is {json_type(value)}, expected a string", where=where)
    return value


def identifier(record: Record, key: str, where: str) -> int | str:
    """An int or a string, kept as read: ``1`` and ``"1"`` are different ids in this field."""
    value = required(record, key, where)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise InputError(f"{key!r} is {json_type(value)}, expected an integer or a string", where=where)
    return value


def name(record: Record, key: str, where: str) -> str:
    """A string, or an integer taken as one (video ids are sometimes numbers)."""
    return str(identifier(record, key, where))


def number(value: Any, what: str, where: str) -> float:
    """A JSON number as float; NaN and infinities pass, they are the caller's to judge."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"{what} is too large a number", where=where) from None
    raise InputError(f"{what} is {json_type(value)}, expected a number", where=where)


def optional_number(record: Record, key: str, where: str) -> float | None:
    value = record.get(key)
    return None if value is None else number(value, repr(key), where)


def number_rows(record: Record, key: str, where: str, widths: tuple[int, ...]) -> list[list[float]]:
    """Lists of few numbers, e.g. windows ``[[start, end], ...]``; in order, values as read."""
    rows = required(record, key, where)
    if not isinstance(rows, list):
        raise InputError(f"{key!r} is {json_type(rows)}, expected a list of windows", where=where)
    checked = []
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) not in widths:
            found = f"{len(row)} values" if isinstance(row, list) else json_type(row)
            expected = " or ".join(str(width) for width in widths)
            raise InputError(
                f"{key!r}: window {index + 1} has {found}, expected {expected} numbers", where=where
            )
        if type(row[0]) is float and type(row[1]) is float and type(row[-1]) is float:
            checked.append(row)
        else:
            checked.append([number(value, f"{key!r}: window {index + 1}", where) for value in row])
    return checked


def bounded(
    record: Record,
    key: str,
    where: str,
    *,
    low: float,
    high: float = math.inf,
    default: float | None = None,
) -> float:
    """A finite number in ``[low, high]``."""
    if default is not None and key not in record:
        return default
    value = number(required(record, key, where), repr(key), where)
    if not math.isfinite(value) or not low <= value <= high:
        raise InputError(f"{key!r} is {value}, expected a number from {low:g} to {high:g}", where=where)
    return value


def whole(record: Record, key: str, where: str, *, low: int = 1, high: int = 2**63) -> int:
    """An integer in ``[low, high]``."""
    value = required(record, key, where)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{key!r} is {value!r}, expected an integer from {low} to {high}", where=where)
    return value


def one_of(record: Record, key: str, choices: tuple[str, ...], where: str) -> str:
    """One of a few words."""
    value = text(record, key, where)
    if value not in choices:
        raise InputError(f"{key!r} is {value[:40]!r}, expected {' or '.join(choices)}", where=where)
    return value


def one_object(record: Record, key: str, where: str) -> Record:
    """A JSON object."""
    value = required(record, key, where)
    if not isinstance(value, dict):
        raise InputError(f"{key!r} is {json_type(value)}, expected an object", where=where)
    return value


def objects(record: Record, key: str, where: str) -> list[Record]:
    """A list of JSON objects."""
    value = required(record, key, where)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InputError(f"{key!r} must be a list of objects", where=where)
    return value
