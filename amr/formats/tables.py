"""Tables as people have them: a header line, cells between commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from amr.errors import InputError

SEPARATORS = "\t;,"
SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?\s*?(?=\n|\r|$)', re.IGNORECASE)
"""What spreadsheets write before the header."""

csv.field_size_limit(16 * 1024 * 1024)


def separator_of(text: str) -> str:
    """What stands between the cells of the header line, the first line that is not blank."""
    if said := SEPARATOR_LINE.match(text):
        return said[1]
    header = next((line for line in text.split("\n") if line.strip()), "")
    return max(SEPARATORS, key=header.count)


def table_rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """``(line number, cells)`` of each row that is not blank, the header first.

    Blanks around cells are kept, for names may begin with one; but where every name of the header but the
    first has one before it, blanks are how the table is set, and go.

    Raises:
        InputError: it is no table.
    """
    separator = separator_of(text)
    text = SEPARATOR_LINE.sub("", text, 1) if SEPARATOR_LINE.match(text) else text
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    is_padded: bool | None = None
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if is_padded is None:
                is_padded = len(row) > 1 and all(cell != cell.lstrip() for cell in row[1:])
                row = [cell.strip() for cell in row]
            yield rows.line_num, [cell.strip() for cell in row] if is_padded else row
    except csv.Error as error:
        raise InputError(f"is not a table: {error}", where=f"{name}:{rows.line_num}") from error


def columns_of(header: Sequence[str], names: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, str]]:
    """Place and header word of each column that is there, by what it holds.

    Args:
        header: the header's cells.
        names: what a column holds, and the words that say so, lower case; the first found counts.
    """
    words = {word.strip().lower(): place for place, word in reversed(list(enumerate(header)))}
    found = {}
    for what, others in names.items():
        word = next((word for word in others if word in words), None)
        if word is not None:
            found[what] = (words[word], word)
    return found


def qid_text(qid: int | str | None) -> str:
    """An id as a cell; a string that reads like a number gets JSON's quotes, so that it comes back as one."""
    if qid is None:
        return ""
    is_quoted = isinstance(qid, str) and (looks_whole(qid.strip()) or qid.startswith('"') or not qid.strip())
    return json.dumps(qid) if is_quoted else str(qid)


def qid_value(cell: str) -> int | str | None:
    """The id that :func:`qid_text` wrote."""
    if not cell.strip():
        return None
    if looks_whole(cell.strip()):
        return int(cell)
    if cell.startswith('"'):
        try:
            text = str(json.loads(cell))
            text.encode("utf-8")  # JSON can spell half a character
        except (json.JSONDecodeError, UnicodeEncodeError):
            return cell
        return text
    return cell


def looks_whole(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,18}", text, re.ASCII) is not None
