"""In which order the recordings of an archive are best searched: by level, or by their likely scores.

    python tests/benchmarks/archive_order.py FEATURES ANNOTATIONS --queries 8

FEATURES is a feature file with both indexes (``archive_search.py --keep`` makes a large one), ANNOTATIONS a
JSONL file of real queries, of which some are taken evenly. The default model searches the ``--among``
recordings that have the highest levels; of the best 20 of those the table says how many are among the first N
of either order, in per cent of all queries' best 20. Beside it: what the look at all frames and the network
took, and how much of a score the level leaves open: the network's own chance of the best moment, at most 1.

``--fit`` prints the numbers of ``amr/retrieval/archive/bounds.py`` that fit these recordings best, and the
table has a row of them, each query by a fit without it.
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
from amr.retrieval.archive.bounds import ScoreBound, bound_of
from amr.retrieval.archive.exact import whole
from amr.retrieval.archive.levels import JOINT_LEFT_OUT, Levels, levels_of, rows_of, samples_of
from amr.retrieval.archive.search import FeatureArchive
from amr.tasks.archive import archive_of
from amr.tasks.inputs import SearchInputs, open_search
from amr.tasks.models import load_model
from amr.tasks.networks import AUTO

FIRST = (40, 80, 120, 160, 240, 320)
CERTAIN = (0.0025, 0.982)
"""Own chances beyond count as these, logits of -6 and 4: what has no trace is not to lead the fit."""
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[Result, str]:
    """What ``work`` returns, and what it took."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = work()
    return result, f"{time.perf_counter() - wall_s:.2f} s ({time.process_time() - cpu_s:.2f} s of processor)"


def signs_of(
    archive: FeatureArchive, bound: ScoreBound, query: Query, levels: Levels, chosen: np.ndarray
) -> np.ndarray:
    """``(recordings, 4)`` of :meth:`ScoreBound.own_signs`, of chosen recordings."""
    [vector], meaning = archive.window.joint_text([query.text]), archive.direction(query)
    found = np.empty((len(chosen), 4))
    for number, part in enumerate(archive.parts):
        here = np.flatnonzero(levels.part[chosen] == number)
        here = here[np.argsort(levels.number[chosen[here]])]
        rows, start = rows_of(levels.number[chosen[here]], part.features.start)
        similarity = part.similarity(archive.window.encoder, vector, JOINT_LEFT_OUT)
        found[here] = bound.own_signs(
            similarity[rows], part.cosine(archive.model_space, meaning)[rows], start
        )
    return found


def fitted(signs: list[np.ndarray], chances: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Shift and weights whose sum is nearest to the logit of the network's own chance."""
    own = np.clip(np.concatenate([each for each, _ in chances]), *CERTAIN)
    known = np.concatenate(signs)
    design = np.concatenate((np.ones((len(known), 1)), known), axis=1)
    found: np.ndarray = np.linalg.lstsq(design, np.log(own / (1 - own)), rcond=None)[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--queries", type=int, default=8)
    parser.add_argument("--among", type=int, default=500)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    places: dict[str, list[np.ndarray]] = {"by level": [], "likely first": []}
    signs, chances, bests = [], [], []
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
            highest = bound.highest_score(levels.level[by_level])
            own = scores / highest
            if options.fit:
                signs.append(signs_of(archive, bound, query, levels, by_level))
                chances.append((own, highest))
                bests.append(np.isin(by_level, best))
            print(f"{text}: look {look}, network {heard}, its own chance at most {own.max():.2f}", flush=True)
    if options.fit:
        print("shift, wide, spread, mean, skew:", np.round(fitted(signs, chances), 2))
        places["fitted"] = []
        for left, is_best in enumerate(bests):
            others = [number for number in range(len(bests)) if number != left]
            weights = fitted([signs[number] for number in others], [chances[number] for number in others])
            guess = chances[left][1] / (1 + np.exp(-weights[0] - signs[left] @ weights[1:]))
            places["fitted"].append(np.flatnonzero(is_best[np.argsort(-guess, kind="stable")]))
    print(" " * 14 + "".join(f"{first:>8}" for first in FIRST))
    for name, found in places.items():
        shares = [np.mean([np.sum(each < first) / TOP for each in found]) for first in FIRST]
        print(f"{name:14}" + "".join(f"{100 * share:6.1f} %" for share in shares))


if __name__ == "__main__":
    main()
