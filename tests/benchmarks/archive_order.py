"""In which order the recordings of an archive are best searched: by level, or by their likely scores.

    python tests/benchmarks/archive_order.py FEATURES ANNOTATIONS --queries 8

FEATURES is a feature file with both indexes (``archive_search.py --keep`` makes a large one), ANNOTATIONS a
JSONL file of real queries, of which some are taken evenly. The default model searches the ``--among``
recordings that have the highest levels; of the best 20 of those the table says how many are among the first N
of either order, in per cent of all queries' best 20. Beside it: what the look at all frames and the network
took, and how much of a score the level leaves open: the network's own chance of the best moment, at most 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import numpy as np
from archive_search import TOP, real_queries

from amr.formats.queries import Query
from amr.retrieval.archive.bounds import bound_of
from amr.retrieval.archive.exact import whole
from amr.retrieval.archive.levels import levels_of, samples_of
from amr.tasks.archive import archive_of
from amr.tasks.inputs import SearchInputs, open_search
from amr.tasks.models import load_model
from amr.tasks.networks import AUTO

FIRST = (40, 80, 120, 160, 240, 320)
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[Result, str]:
    """What ``work`` returns, and what it took."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = work()
    return result, f"{time.perf_counter() - wall_s:.2f} s ({time.process_time() - cpu_s:.2f} s of processor)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--queries", type=int, default=8)
    parser.add_argument("--among", type=int, default=500)
    options = parser.parse_args()
    places: dict[str, list[np.ndarray]] = {"by level": [], "likely first": []}
    inputs = SearchInputs([str(options.features)], [])
    with open_search(inputs, [], load_model(AUTO)) as search, ExitStack() as stack:
        archive, bound = archive_of(search, stack), bound_of(search.model.network)
        assert bound is not None, "the default model is calibrated"
        samples = samples_of(archive)
        for text in real_queries(options.annotations, options.queries):
            query = Query(text)
            levels, look = timed(lambda query=query: levels_of(archive, bound, query, samples))
            by_level = levels.order(0)[: options.among]
            excerpts = [whole(archive.parts[levels.part[at]], int(levels.number[at])) for at in by_level]
            found, heard = timed(lambda e=excerpts, q=query: list(archive.finder.find_excerpts(e, q)))
            scores = np.array([each.moments[0].score if each.moments else 0.0 for each in found])
            best = by_level[np.argsort(-scores, kind="stable")[:TOP]]
            for name, order in (("by level", by_level), ("likely first", levels.order(options.among))):
                places[name].append(np.flatnonzero(np.isin(order, best)))
            own = scores / bound.highest_score(levels.level[by_level])
            print(f"{text}: look {look}, network {heard}, its own chance at most {own.max():.2f}", flush=True)
    print(" " * 14 + "".join(f"{first:>8}" for first in FIRST))
    for name, found in places.items():
        shares = [np.mean([np.sum(each < first) / TOP for each in found]) for first in FIRST]
        print(f"{name:14}" + "".join(f"{100 * share:6.1f} %" for share in shares))


if __name__ == "__main__":
    main()
