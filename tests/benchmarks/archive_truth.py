"""How many of the best moments of a large archive the default search finds, and how well it knows.

    python tests/benchmarks/archive_truth.py FEATURES ANNOTATIONS --queries 8

FEATURES is a feature file with both indexes (``archive_search.py --keep`` makes a large one), ANNOTATIONS a
JSONL file of real queries, of which some are taken evenly. Each search goes on from the default answer to
that of ``--shortlist exact``, or until it has looked at ``--among`` recordings. Of each query it says how
many of the best 20 moments the default answer lacks, and how many it said to be likely to; at the end, which
share of the best is in the first recordings that a search looks at.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import numpy as np
from archive_search import TOP, real_queries

from amr.formats.queries import Query
from amr.retrieval.archive.bounds import bound_of
from amr.retrieval.archive.exact import BLOCK, ExactAnswer, QuerySearch
from amr.retrieval.archive.levels import samples_of
from amr.retrieval.archive.search import FeatureArchive
from amr.retrieval.search import AnswerOptions, best_over_all
from amr.tasks.archive import archive_of
from amr.tasks.inputs import SearchInputs, open_search
from amr.tasks.models import load_model
from amr.tasks.networks import AUTO

FIRST = (80, 160, 240, 320, 480, 640, 960)


def best_of_all(answer: ExactAnswer) -> set[tuple[str, float, float]]:
    """The best moments of an answer."""
    return {
        (each.vid, start_s, end_s)
        for each in best_over_all(answer.predictions, TOP)
        for start_s, end_s, _ in each.windows
    }


def places_of(archive: FeatureArchive, search: QuerySearch, vids: list[str]) -> list[int]:
    """When a search comes to each of some recordings."""
    order = search.levels.order(archive.most(TOP))
    ids = [archive.parts[search.levels.part[at]].ids[search.levels.number[at]] for at in order]
    return [ids.index(vid) for vid in vids]


def after(done: int, limit: int | None) -> Callable[[], bool]:
    """Whether a search, which looks at a block of recordings at a time, has come to ``limit`` of them."""
    blocks = count()
    return lambda: limit is not None and done + BLOCK * next(blocks) >= limit


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--queries", type=int, default=8)
    parser.add_argument("--among", type=int, help="recordings that are looked at, at most")
    options = parser.parse_args()
    searched, said, lacking, places = [], [], [], []
    inputs = SearchInputs([str(options.features)], [])
    with open_search(inputs, [], load_model(AUTO)) as search, ExitStack() as stack:
        archive, bound = archive_of(search, stack), bound_of(search.model.network)
        assert bound is not None, "the default model is calibrated"
        samples = samples_of(archive)
        for text in real_queries(options.annotations, options.queries):
            began = time.process_time()
            asked = QuerySearch(archive, bound, Query(text), AnswerOptions(), top=TOP, samples=samples)
            short = asked.go_on(archive.most(TOP))
            short_s = time.process_time() - began
            exact = asked.go_on(should_stop=after(short.searched, options.among))
            truth, found = best_of_all(exact), best_of_all(short)
            places += places_of(archive, asked, [vid for vid, _, _ in truth])
            searched.append(short.searched)
            said.append(short.missing)
            lacking.append(len(truth - found))
            end = ", and no other can matter" if not exact.missed else ""
            print(
                f"{short.searched:5} searched in {short_s:.2f} s of processor, {short.missing:4.1f} said to"
                f" be missing, {lacking[-1]:2} are, by {exact.searched}{end}, of which"
                f" {len(exact.predictions)} were searched, in {time.process_time() - began:.0f} s: {text}",
                flush=True,
            )
    share = 100 * (1 - sum(lacking) / len(places))
    print(f"found {share:.1f} %, in {np.mean(searched):.0f} recordings a query;", end=" ")
    print(f"{np.mean(said):.2f} said to be missing, {np.mean(lacking):.2f} are; of the best in the first")
    print(", ".join(f"{first}: {100 * np.mean(np.array(places) < first):.1f} %" for first in FIRST))


if __name__ == "__main__":
    main()
