"""Queries: what a person asks, from the command line, a text file, a table, or the field's JSONL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amr.audio.names import ids_of_files
from amr.errors import InputError
from amr.formats import fields
from amr.formats.exchange.csv import NAMES
from amr.formats.exchange.tracks import seconds
from amr.formats.jsonl import (
    ChainedLines,
    LineSource,
    is_array,
    is_idle,
    parse_lines,
    refuse_endless,
)
from amr.formats.streams import display_name, open_input
from amr.formats.tables import SEPARATOR_LINE, columns_of, qid_value, table_rows
from amr.formats.untrusted.bounds import MAX_LINE_BYTES

PREDICTION_KEYS = frozenset({"pred_relevant_windows", "pred_saliency_scores"})
KNOWN_KEYS = frozenset({"qid", "query", "vid", "duration", "relevant_windows"})

QUERY_COLUMNS = ("query", "queries", "caption", "captions", "sentence", "text")
TABLE_COLUMNS = {
    "qid": ("qid", "id", "query_id"),
    "vid": ("vid", "recording", "filename", "file_name", "file", "audio"),
    "duration": ("duration", "duration_s"),
}
FILE_COLUMNS = ("filename", "file_name", "file", "audio")
SURE_HEADERS = ("query", "queries", "caption", "captions")
"""What a header of one column says; other words alone may be a question."""

NUMBERED_CAPTION = re.compile(r"caption_?\d+")
HEADER_WORD = re.compile(r"[\w./-]{0,40}(?: [\w./()-]{1,40})?")
OTHER_COLUMNS = frozenset(word for words in (*NAMES.values(), *TABLE_COLUMNS.values()) for word in words)
"""What headers of tables without queries say."""

MARKUP = re.compile(r"<[!?a-zA-Z]")
DOCUMENTS = {
    "%PDF": "a PDF",
    "PK\x03\x04": "a spreadsheet, a document or another zip file",
    "{\\rtf": "a document (RTF)",
}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NO_HEADER = re.compile(r"(-?\d+|[^\s,;|]+\.(wav|flac|mp3|ogg|opus|m4a|aiff?))\s*[,;|\t]\s*\S", re.IGNORECASE)
"""A table's row: an id or a file, and something behind it."""

OTHER_SEPARATOR = re.compile(r"\s*[|:]\s*|\s{2,}")
SETTING = re.compile(r"[A-Za-z_][\w.]*\s*=\s*\S")
SUBTITLE = re.compile(r"\d\d:\d\d.*-->")
BULLET = re.compile(r"^(\d{1,5}[.)]|[-*\u2022])\s+(?=\S)")
YAML = re.compile(r"---\s*$|%YAML\b|(?:- )?(?:qid|id|query|queries|text|captions?|vid)\s*:(?:\s|$)")
JSON = re.compile(r"\{\s*\"|\[\s*\{")
PLAIN_COMMENT = re.compile(r"\s*#(?:\s|$)")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Query:
    """One question.

    Args:
        text: the sentence.
        qid: its id, where the file gives one.
        vid: the one recording that it is about; None: every recording.
        duration_s: that recording's length, where the file says it.
        where: ``file:line``, for messages.
        extra: keys this program does not know, carried through to the prediction.
    """

    text: str
    qid: int | str | None = None
    vid: str | None = None
    duration_s: float | None = None
    where: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def from_texts(texts: Iterable[str], where: str = "--query") -> list[Query]:
    """Sentences as queries, in order; ``where`` they were given is for messages."""
    return [check_text(Query(text=text.strip(), where=where)) for text in texts]


def read_queries(source: str | Path) -> list[Query]:
    """Queries of a file, by what it holds.

    It is JSONL or a JSON array of objects (annotations will do), a table whose header names a column of
    queries or captions, or else one query a line.

    Raises:
        InputError: no query in it, an empty query, or a line that is wrong.
    """
    with open_input(source) as file:
        queries = list(parse_queries(file, display_name(source)))
    if not queries:
        raise InputError("holds no query", where=display_name(source))
    return queries


def parse_queries(file: LineSource, name: str) -> Iterator[Query]:
    """The queries of an open file; see :func:`read_queries`."""
    head, line = b"", b""
    while (is_idle(line) or says_separator(line)) and (
        line := file.readline(MAX_LINE_BYTES + 1).removeprefix(BYTE_ORDER_MARK)
    ):
        head += line
        refuse_endless(head, name)
    rest = ChainedLines(head, file)
    if line.lstrip().startswith(b"{") or is_array(line):
        for number, record in parse_lines(rest, name):
            yield parse_query(record, f"{name}:{number}")
    elif is_query_table(line):
        yield from parse_table(rest, name)
    else:
        refuse_other_forms(line.decode("utf-8", "replace").strip(), name)
        yield from parse_plain(rest, name)


def says_separator(line: bytes) -> bool:
    """Whether a line says how the cells of a table are separated, as a spreadsheet writes it."""
    return SEPARATOR_LINE.match(line.decode("utf-8", "replace")) is not None


def refuse_other_forms(line: str, name: str) -> None:
    """Refuse what begins as no list of sentences does and would be asked line by line."""
    for begin, what in DOCUMENTS.items():
        if line.startswith(begin):
            raise InputError(f"is {what}, expected queries", where=name, hint="save them as text or CSV")
    if MARKUP.match(line):
        raise InputError("is a web page or XML, expected queries", where=name)
    if YAML.match(line):
        raise InputError("is YAML, expected queries", where=name, hint="a query a line, JSON Lines or CSV")
    if NO_HEADER.match(line):
        hint = "its first line says what the columns are: qid,query"
        raise InputError("is a table without a header", where=name, hint=hint)
    words = OTHER_SEPARATOR.split(line.strip("|").strip().lower())
    if len(words) > 1 and (OTHER_COLUMNS | {*QUERY_COLUMNS}).issuperset(words):
        what = "is a table whose cells are separated by something else than commas, semicolons or tabs"
        raise InputError(what, where=name)
    cells = [cell.lower() for cell in cells_of(line)]
    if len(cells) > 1 and OTHER_COLUMNS.issuperset(cells):
        hint = f"call a column query, or try: amr convert {name} --to annotations"
        raise InputError(f"its header has no column of queries: {', '.join(cells)}", where=name, hint=hint)


def parse_plain(file: LineSource, name: str) -> Iterator[Query]:
    """One query a line; blank lines and lines that begin with ``# `` are skipped, and so are the bullets
    or numbers of a list whose first line has one."""
    has_bullets: bool | None = None
    for number, line in text_lines(file, name):
        text, where = line.strip(), f"{name}:{number}"
        if not text or PLAIN_COMMENT.match(line):
            continue
        refuse_other_line(text, where)
        has_bullets = BULLET.match(text) is not None if has_bullets is None else has_bullets
        yield check_text(Query(text=BULLET.sub("", text, 1) if has_bullets else text, where=where))


def refuse_other_line(text: str, where: str) -> None:
    """Refuse a line that no list of sentences has."""
    if JSON.match(text):
        hint = "comments in JSON Lines begin with # or //"
        raise InputError("is JSON, but the lines before it are plain text", where=where, hint=hint)
    if SUBTITLE.search(text) or SETTING.match(text):
        what = "a subtitle" if SUBTITLE.search(text) else "a setting or a line of a program"
        raise InputError(f"is {what}, expected a query", where=where)
    if not any(letter.isalpha() for letter in text):
        raise InputError(f"holds no word: {text[:40]!r}, expected a query", where=where)


def text_lines(file: LineSource, name: str) -> Iterator[tuple[int, str]]:
    """``(number, text)`` of every line."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        refuse_endless(line, f"{name}:{number}")
        if number == 1 and line.startswith(UTF_16):
            raise InputError("is UTF-16 text, expected UTF-8", where=name, hint="save it as UTF-8")
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8 text", where=f"{name}:{number}") from error


def is_query_table(line: bytes) -> bool:
    """Whether a line is the header of a table of queries: words, one of which names the queries."""
    cells = [cell.lower() for cell in cells_of(line.decode("utf-8", "replace"))]
    if len(cells) == 1:
        return cells[0] in SURE_HEADERS
    return bool(query_columns(cells)) and all(HEADER_WORD.fullmatch(cell) for cell in cells)


def cells_of(line: str) -> list[str]:
    """The cells of a line as if it were a table's header; none where it cannot be one."""
    try:
        return next(table_rows(line.strip(), ""))[1]
    except (InputError, StopIteration):
        return []


def query_columns(header: list[str]) -> list[int]:
    """The places of the columns that hold queries: one, or Clotho's ``caption_1`` to ``caption_5``."""
    known = columns_of(header, {"query": QUERY_COLUMNS})
    if known:
        return [known["query"][0]]
    return [place for place, cell in enumerate(header) if NUMBERED_CAPTION.fullmatch(cell.strip().lower())]


def parse_table(file: LineSource, name: str) -> Iterator[Query]:
    """The queries of a table, with their ids, recordings and lengths where it has such columns."""
    lines = [line for _, line in text_lines(file, name)]
    begin = next(place for place, line in enumerate(lines) if not is_idle(line.encode()))
    rows = table_rows("\n" * begin + "".join(lines[begin:]), name)
    (_, header), *body = rows
    seen = set()
    texts, places = query_columns(header), columns_of(header, TABLE_COLUMNS)
    place, word = places.get("vid", (0, ""))
    files = ids_of_files(row[place] for _, row in body if place < len(row)) if word in FILE_COLUMNS else {}
    for number, row in body:
        where = f"{name}:{number}"
        if len(row) != len(header):
            raise InputError(f"has {len(row)} fields, the header has {len(header)}", where=where)
        cells = {what: row[place] for what, (place, _) in places.items()}
        record: dict[str, Any] = {what: cell for what, cell in cells.items() if cell.strip()}
        if "vid" in record:
            record["vid"] = files.get(record["vid"], record["vid"])
        if "qid" in record:
            record["qid"] = qid_value(record["qid"])
        if "duration" in record:
            record["duration"] = seconds(record["duration"], "the duration", where)
        for column in texts:
            query = parse_query({**record, "query": row[column]}, where)
            key = query.qid, query.vid, query.text
            if key not in seen:  # a table of moments has a row for each
                seen.add(key)
                yield query


def parse_query(record: dict[str, Any], where: str) -> Query:
    """One query from its JSON object: ``query``, and ``qid``, ``vid``, ``duration`` where given."""
    query = Query(
        text=fields.text(record, "query", where).strip(),
        qid=fields.identifier(record, "qid", where) if "qid" in record else None,
        vid=fields.name(record, "vid", where) if "vid" in record else None,
        duration_s=fields.optional_number(record, "duration", where),
        where=where,
        extra={k: v for k, v in record.items() if k not in KNOWN_KEYS | PREDICTION_KEYS},
    )
    return check_text(query)


def check_text(query: Query) -> Query:
    """Refuse a query without words."""
    if not query.text or not query.text.isprintable():
        shown = json.dumps(query.text[:60])
        raise InputError(f"a query must be a printable sentence, this one is {shown}", where=query.where)
    return query
