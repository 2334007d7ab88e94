"""What do the scores of learned sounds mean? How often a recording holds the sound, by its best score.

    python tests/benchmarks/learned_scores.py DATA/audio --work FOLDER

Sounds, examples and recordings are those of ``learned_sounds.py``; the scores are those of ``amr predict``.
Calibration error: the mean distance of score and share in ten even bins, weighted by recordings. *of the
shown*: of the recordings whose best score is at least that of a likely moment (``LIKELY_SCORE``).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from learned_sounds import Side, Task, known, tasks

from amr.arrays import BoolArray, Float32Array
from amr.cli.predict import LIKELY_SCORE
from amr.tasks.learned import learn

COUNTS = (0, 1, 5)
EDGES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
BINS = 10

Pairs = dict[int, tuple[Float32Array, BoolArray]]


def scored(asked: Sequence[Task], seeds: int) -> Pairs:
    """By number of examples each way: the best score of each recording and sound, and whether it holds it."""
    found = defaultdict(list)
    source = Side.of(asked[0].source)
    target = source if asked[0].target is asked[0].source else Side.of(asked[0].target)
    for task, seed in product(asked, range(seeds)):
        learn(source.search, task.words, [], [], name=task.words)
        curve = source.learned(*known(source, task.words))
        accepted, rejected = task.draw(source.best(curve), source.peaks(curve), seed)
        kept = np.ones(len(task.target.vids), dtype=bool)
        if source is target:
            kept[[int(vid.removeprefix(source.archive.name)) for vid, _ in accepted + rejected]] = False
        for count in COUNTS:
            name = f"{task.label} {seed} {count}"
            query = learn(source.search, task.words, accepted[:count], rejected[:count], name=name)
            target.window.meanings[name], target.window.vectors[name] = known(source, name)
            found[count].append((target.with_network(query)[kept], task.relevant()[kept]))
    return {count: tuple(map(np.concatenate, zip(*pairs, strict=True))) for count, pairs in found.items()}


def calibration_error(scores: Float32Array, is_there: BoolArray) -> float:
    """The expected calibration error, in [0, 1]."""
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    apart = [abs(scores[bins == n].sum() - is_there[bins == n].sum()) for n in range(BINS)]
    return float(sum(apart)) / len(scores)


def line(count: int, scores: Float32Array, is_there: BoolArray) -> str:
    cells = []
    for low, high in pairwise(EDGES):
        inside = (scores >= low) & ((scores < high) | (high == EDGES[-1]))
        share = f"{100 * is_there[inside].mean():.0f} % of {inside.sum()}" if inside.any() else "-"
        cells.append(f"{share:>16}")
    shown = scores >= LIKELY_SCORE
    errors = [100 * calibration_error(scores[of], is_there[of]) for of in (np.ones_like(shown), shown)]
    return f"{count:8}" + "".join(cells) + f"{errors[0]:12.1f} {errors[1]:12.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with open/, evaluation_nc/ and natural_short/")
    parser.add_argument("--work", type=Path, required=True, help="features are kept here")
    parser.add_argument("--set", dest="name", choices=["natural", "scenes", "open-val"], default="natural")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--labels", type=int, help="so many of the labels, evenly; left out: all")
    options = parser.parse_args()
    ranges = [f"{low:g} to {high:g}" for low, high in pairwise(EDGES)]
    print(f"{'examples':8}" + "".join(f"{each:>16}" for each in ranges) + "  error in %, of the shown")
    asked = tasks(options.name, options.data, options.work)
    asked = asked[:: -(-len(asked) // options.labels)] if options.labels else asked
    for count, (scores, is_there) in scored(asked, options.seeds).items():
        print(line(count, scores, is_there), flush=True)


if __name__ == "__main__":
    main()
