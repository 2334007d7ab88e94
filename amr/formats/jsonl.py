"""JSON Lines: one object a line, errors with file and line. A JSON array of objects is read the same way."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO

from amr.errors import InputError
from amr.formats.streams import display_name, open_input
from amr.formats.untrusted.bounds import MAX_LINE_BYTES

HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
"""JSON can spell half of a UTF-16 pair, which no UTF-8 text can hold."""

OBEYED = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON may hold as they are and a terminal obeys."""

ARRAY = re.compile(rb"""\[\s*(?:$|[{\]\["0-9-])""")
"""How a line begins that begins a JSON array, and not a sentence in brackets."""

NO_BLANK = re.compile(r"\S")

COMMENTS = (b"#", b"//")
"""How a line begins that no JSON begins with."""

MOST_ARRAY_BYTES = 64 * 2**20
"""An array is held in memory whole, as text."""


class LineSource(Protocol):
    """Anything that gives lines as bytes: a file, standard input, a buffer."""

    def readline(self, limit: int = -1, /) -> bytes: ...


class ChainedLines:
    """``readline`` over bytes already read and then the rest of a stream that cannot seek."""

    def __init__(self, head: bytes, rest: LineSource) -> None:
        self._head = head
        self._rest = rest

    def readline(self, limit: int = -1, /) -> bytes:
        if not self._head:
            return self._rest.readline(limit)
        line, newline, self._head = self._head.partition(b"\n")
        return line + newline


def parse_lines(file: LineSource, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(line number, object)`` for every line that is not blank and no comment, or every item of an array.

    Raises:
        InputError: a line is not UTF-8, not JSON, cut, or not an object; ``where`` is ``name:line``.
    """
    number, has_begun = 0, False
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        refuse_endless(line, f"{name}:{number}")
        if number == 1 and line.startswith(b"\xef\xbb\xbf"):
            line = line[3:]
        if is_array(line) and not has_begun:
            yield from parse_array(line, number, file, name)
            return
        if not is_idle(line):
            has_begun = True
            yield number, parse_object(line, f"{name}:{number}")


def is_array(line: bytes) -> bool:
    """Whether a JSON array begins with this line."""
    return ARRAY.match(line.strip()) is not None


def is_idle(line: bytes) -> bool:
    """Whether a line is blank or a comment, ``# ...`` or ``// ...``."""
    return not line.strip() or line.lstrip().startswith(COMMENTS)


def parse_array(
    begun: bytes, first: int, file: LineSource, name: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(line number, object)`` of each item of an array whose first line has been read.

    Raises:
        InputError: it is no JSON, too long, or an item is not an object.
    """
    lines, size = [begun], len(begun)
    while line := file.readline(MAX_LINE_BYTES + 1):
        lines.append(line)
        size += len(line)
        if size > MOST_ARRAY_BYTES:
            what = f"a JSON array of more than {MOST_ARRAY_BYTES} bytes"
            raise InputError(what, where=name, hint="write one object a line")
    for number, text in array_items(b"".join(lines), first, name):
        yield number, parse_object(text, f"{name}:{number}")


def after_blanks(text: str, place: int) -> int:
    """The first place from ``place`` on that holds no blank."""
    found = NO_BLANK.search(text, place)
    return found.start() if found else len(text)


def array_items(content: bytes, first: int, name: str) -> Iterator[tuple[int, bytes]]:
    """Line number and text of each item of a JSON array."""
    try:
        text, decoder = content.decode("utf-8"), json.JSONDecoder()
        place = text.index("[") + 1
        counted, number, separator = 0, first, ","
        while True:
            place = after_blanks(text, place)
            if text[place : place + 1] == "]":
                break
            if separator != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
            number += text.count("\n", counted, place)
            counted, (_, end) = place, decoder.raw_decode(text, place)
            yield number, text[place:end].encode()
            place = after_blanks(text, end)
            separator = text[place : place + 1]
            place += separator == ","
        if rest := text[place + 1 :].strip():
            raise json.JSONDecodeError(f"something follows the array: {rest[:20]!r}", text, place + 1)
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text (byte {error.start})", where=name) from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not JSON: {error.msg} (column {error.colno})",
            where=f"{name}:{first + error.lineno - 1}",
            hint="it begins like a JSON array; JSON Lines have one object a line",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON that can be read: {error}", where=f"{name}:{first}") from error


def refuse_endless(line: bytes, where: str) -> None:
    """Refuse a line, read with a limit of one more, that is longer than ``MAX_LINE_BYTES``."""
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
        raise InputError(f"holds {half}, half of a surrogate pair", where=where) from error
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
        return json_text(record)
    except RecursionError as error:
        where = str(record.get("vid") or record.get("file") or "")[:200]
        raise InputError("a record is nested too deeply to be written", where=where) from error


def json_text(value: object, indent: int | None = None) -> str:
    """A value as JSON that every program reads and a terminal does not obey.

    What is infinite or no number is ``null``; control codes, line ends and marks that turn the direction of
    writing are escaped, other characters stand as they are.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError:  # a number that JSON does not have
        text = json.dumps(finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def finite(value: Any) -> Any:
    """The value with None in place of every number that is infinite or none at all."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def json_type(value: object) -> str:
    """The JSON name of a Python value's type, with its article, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
