"""How often what of a query is said not to be understood, by kind of query: the table of docs/encoders.md.

    python examples/understanding.py examples/understanding.csv [CAPTIONS...]

Queries are a table ``part,kind,query``; captions are annotations (JSONL), or tables with a column
``captions`` (``|`` between them). Rows: the kinds of query. Columns: shares of the queries of which each
thing was said, in per cent. ``words`` and ``language`` of captions are false alarms; negations, numbers and
orders stand in many.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from amr.encoders.registry import load_encoder
from amr.formats.jsonl import read_objects
from amr.retrieval.understanding import LANGUAGE, NEGATION, NUMBER, ORDER, WORDS, not_understood
from amr.retrieval.window import WindowOptions
from amr.retrieval.window_finder import WindowFinder

KINDS = (WORDS, LANGUAGE, NEGATION, NUMBER, ORDER)
CAPTIONS = "captions"


def read_queries(path: Path) -> Iterator[tuple[str, str]]:
    """``(group, query)`` of a table of queries."""
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield f"{row['kind']}, {row['part']}", row["query"]


def read_captions(path: Path) -> Iterator[str]:
    """The captions of annotations, or of a table."""
    if path.suffix == ".csv":
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield from row[CAPTIONS].split("|")
    else:
        yield from (record["query"].strip() for _, record in read_objects(path))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("queries", type=Path)
    parser.add_argument(CAPTIONS, type=Path, nargs="*")
    parser.add_argument("--encoder", default="yamnet")
    parser.add_argument("--limit", type=int, default=3000, help="captions a file, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--misses", action="store_true", help="list the queries of a kind that were not flagged as it"
    )
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    pairs = list(read_queries(arguments.queries))
    for path in arguments.captions:
        known = sorted(set(read_captions(path)))
        pairs += [(path.stem, each) for each in rng.sample(known, min(len(known), arguments.limit))]
    encoder = load_encoder(arguments.encoder)
    finder = WindowFinder(encoder, WindowOptions())
    found = list(not_understood([query for _, query in pairs], finder, encoder))
    print(f"| queries | number | {' | '.join(KINDS)} | any |\n|---|---|{'---|' * (len(KINDS) + 1)}")
    for group in dict.fromkeys(group for group, _ in pairs):
        own = [kinds for (each, _), kinds in zip(pairs, found, strict=True) if each == group]
        counts = Counter(kind for kinds in own for kind in kinds)
        shares = [100 * counts[kind] / len(own) for kind in KINDS] + [100 * sum(map(bool, own)) / len(own)]
        print(f"| {group} | {len(own)} | {' | '.join(f'{share:.1f}' for share in shares)} |")
    if arguments.misses:
        for (group, query), kinds in zip(pairs, found, strict=True):
            if bool(kinds) == group.startswith("sound"):
                print(f"{group}: {query} {kinds}")


if __name__ == "__main__":
    main()
