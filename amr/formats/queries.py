"""Queries: what a person asks, from the command line, a text file, or the field's JSONL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amr.errors import InputError
from amr.formats import fields
from amr.formats.jsonl import MAX_LINE_BYTES, LineSource, parse_lines, refuse_endless
from amr.formats.streams import display_name, open_input

PREDICTION_KEYS = frozenset({"pred_relevant_windows", "pred_saliency_scores"})
KNOWN_KEYS = frozenset({"qid", "query", "vid", "duration", "relevant_windows"})


@dataclass(frozen=True)
class Query:
    """One question.

    Args:
        text: the sentence.
        qid: its id, where the file gives one.
        vid: the one recording it is asked of; None: every recording.
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


def from_texts(texts: Iterable[str]) -> list[Query]:
    """Queries typed as options, in order."""
    return [check_text(Query(text=text.strip(), where="--query")) for text in texts]


def read_queries(source: str | Path) -> list[Query]:
    """Queries of a file: JSONL (annotations will do) when its first character is ``{``, else one a line.

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
    head = b""
    while not head.strip() and (line := file.readline(MAX_LINE_BYTES + 1)):
        head += line
        refuse_endless(head, name)
    rest = _Chained(head, file)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        for number, record in parse_lines(rest, name):
            yield parse_query(record, f"{name}:{number}")
    else:
        yield from parse_plain(rest, name)


def parse_plain(file: LineSource, name: str) -> Iterator[Query]:
    """One query a line; blank lines are passed over."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        refuse_endless(line, f"{name}:{number}")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8 text", where=f"{name}:{number}") from error
        if text:
            yield check_text(Query(text=text, where=f"{name}:{number}"))


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
        shown = json.dumps(query.text)
        raise InputError(f"a query must be a printable sentence, this one is {shown}", where=query.where)
    return query


class _Chained:
    """``readline`` over bytes already read and then the rest of a stream that cannot seek."""

    def __init__(self, head: bytes, rest: LineSource) -> None:
        self._head = head
        self._rest = rest

    def readline(self, limit: int = -1, /) -> bytes:
        if not self._head:
            return self._rest.readline(limit)
        line, newline, self._head = self._head.partition(b"\n")
        return line + newline
