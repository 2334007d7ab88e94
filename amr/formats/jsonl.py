"""JSON Lines: one object a line, errors with file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO

from amr.errors import InputError
from amr.formats.streams import display_name, open_input

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The saliency of a day in frames of a tenth of a second. Parsed, JSON takes up to 25 times its length."""

HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
"""JSON can spell half of a UTF-16 pair, which no UTF-8 text can hold."""


class LineSource(Protocol):
    """Anything that gives lines as bytes: a file, standard input, a buffer."""

    def readline(self, limit: int = -1, /) -> bytes: ...


def parse_lines(file: LineSource, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(line number, object)`` for every line that is not blank.

    Raises:
        InputError: a line is not UTF-8, not JSON, cut, or not an object; ``where`` is ``name:line``.
    """
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        refuse_endless(line, f"{name}:{number}")
        if number == 1 and line.startswith(b"\xef\xbb\xbf"):
            line = line[3:]
        if line.strip():
            yield number, parse_object(line, f"{name}:{number}")


def refuse_endless(line: bytes, where: str) -> None:
    """Refuse a line, read with a limit of one more, that is longer than :data:`MAX_LINE_BYTES`."""
    if len(line) > MAX_LINE_BYTES:
        raise InputError(f"line is longer than {MAX_LINE_BYTES} bytes", where=where)


def parse_object(line: bytes, where: str) -> dict[str, Any]:
    """One JSON object from one line of bytes."""
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text (byte {error.start})", where=where) from error
    except json.JSONDecodeError as error:
        at_end = error.pos >= len(line.decode("utf-8").rstrip()) or error.msg.startswith("Unterminated")
        cut = "; the line seems to be cut off" if at_end else ""
        raise InputError(
            f"is not JSON: {error.msg} (column {error.colno}){cut}",
            where=where,
            hint="each line is one JSON object",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON that can be read: {error}", where=where) from error
    if not isinstance(record, dict):
        raise InputError(f"is {json_type(record)}, expected a JSON object", where=where)
    if HALF_CHARACTER.search(line):
        refuse_half_characters(record, where)
    return record


def refuse_half_characters(record: object, where: str) -> None:
    """Refuse text that could be read here and never be written again.

    Raises:
        InputError: there is such text, or the record is nested so deeply that it cannot be looked through.
    """
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1].encode("unicode_escape").decode()
        raise InputError(f"holds {half}, half of a character", where=where) from error
    except RecursionError as error:
        raise InputError("is nested too deeply", where=where) from error


def read_objects(source: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file, or of standard input for ``-``, with their line numbers."""
    with open_input(source) as file:
        yield from parse_lines(file, display_name(source))


def write_objects(file: TextIO, records: Iterable[dict[str, Any]]) -> None:
    """Write records as JSONL, UTF-8 as it is, flushed a record at a time so that pipes flow.

    Raises:
        InputError: a record is nested so deeply that it could just be read.
    """
    for record in records:
        file.write(line_of(record) + "\n")
        file.flush()


def line_of(record: dict[str, Any]) -> str:
    """A record as one line of JSON, without its end. Raises as :func:`write_objects`."""
    try:
        return json.dumps(record, ensure_ascii=False)
    except RecursionError as error:
        where = str(record.get("vid") or record.get("file") or "")[:200]
        raise InputError("a record is nested too deeply to be written", where=where) from error


def json_type(value: object) -> str:
    """The JSON name of a Python value's type, with its article, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
