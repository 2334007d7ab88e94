"""How fast ``amr score`` is, as a whole process, on two made-up test sets.

    python tests/benchmarks/score_speed.py [--reference CHECKOUT]

Bounds: 1,347 queries (the size of CASTELLA's test split) under 0.6 s, imports included; 100,000 queries with
ten windows each under 10 s and 1 GB of memory. Exit 1 when one is missed. Bounds hold for processor time,
which busy neighbours change least; the process has one thread, so on an idle machine wall time is the same.
The first lines are what any such process costs before it reads a word of the files. ``--reference`` is a
checkout of Lighthouse elsewhere, whose evaluator is run on the small set in turns with ours: as a whole
process that imports nothing but numpy and the evaluator.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SMALL, LARGE = 1_347, 100_000
RUNS = {SMALL: 7, LARGE: 2}
STARTS = {
    "python": ("-c", "pass"),
    "python with numpy": ("-c", "import numpy"),
    "the command line (amr score -h)": ("-m", "amr", "score", "-h"),
}
MAX_SMALL_CPU_S = 0.6
MAX_LARGE_CPU_S = 10.0
MAX_LARGE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def make_files(folder: Path, num_queries: int) -> tuple[Path, Path]:
    """Both files, much like CASTELLA: whole seconds, 1 to 24 true windows a query, 3.1 on average."""
    generator = np.random.default_rng([0, num_queries])
    answers, truths = folder / f"preds_{num_queries}.jsonl", folder / f"gt_{num_queries}.jsonl"
    with open(answers, "w") as answer_file, open(truths, "w") as truth_file:
        for query in range(num_queries):
            ids = {"qid": f"recording{query // 3}_{query % 3}", "query": "a dog barks in the distance"}
            true = windows(generator, min(24, 1 + int(generator.geometric(1 / 3.1) - 1)))
            near = true[generator.integers(0, len(true), 10)] + generator.integers(-3, 4, (10, 2))
            far = windows(generator, 10)
            predicted = np.where(generator.random((10, 1)) < 0.4, near, far)
            predicted[:, 1] = np.maximum(predicted[:, 1], predicted[:, 0] + 1)
            scores = np.sort(generator.random(10).round(4))[::-1]
            rows = [[float(s), float(e), float(p)] for (s, e), p in zip(predicted, scores, strict=True)]
            vid = {"vid": f"recording{query // 3}"}
            answer_file.write(json.dumps({**ids, **vid, "pred_relevant_windows": rows}) + "\n")
            truth = {**ids, "duration": 300, **vid, "relevant_windows": true.tolist()}
            truth_file.write(json.dumps(truth) + "\n")
    return answers, truths


def windows(generator: np.random.Generator, count: int) -> np.ndarray:
    """``(count, 2)`` windows in whole seconds within five minutes."""
    start = generator.integers(0, 280, count)
    return np.stack([start, start + 1 + generator.geometric(0.1, count)], axis=1)


def run(*words: str) -> Cost:
    """One process of Python, measured by the kernel; it keeps compiled modules, as installations do."""
    command = [sys.executable, *words]
    begin = time.perf_counter()
    child = os.posix_spawn(
        sys.executable,
        command,
        {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    wall_s = time.perf_counter() - begin
    if status != 0:
        raise SystemExit(f"{' '.join(words)} failed with status {status}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


REFERENCE = """
import sys, types
sys.modules["sklearn"] = types.ModuleType("sklearn")  # for highlights, of which there are none
sys.modules["sklearn.metrics"] = types.ModuleType("sklearn.metrics")
sys.modules["sklearn.metrics"].precision_recall_curve = None
sys.path.insert(0, sys.argv[1])
from standalone_eval.eval import eval_submission, load_jsonl
eval_submission(load_jsonl(sys.argv[2]), load_jsonl(sys.argv[3]), verbose=False)
"""


def beside(checkout: Path, folder: Path) -> None:
    """Both evaluators in turns; how many times as fast ours is, by wall time and by the processor's."""
    for num_queries, runs in ((SMALL, RUNS[SMALL]), (10 * SMALL, 3)):
        files = tuple(map(str, make_files(folder, num_queries)))
        theirs = ("-c", REFERENCE, str(checkout / "training"), *files)
        for options in ((), ("--official",)):
            ours = ("-m", "amr", "score", *files, "-q", *options)
            pairs = [(run(*theirs), run(*ours)) for _ in range(runs)]
            best = [min(side, key=lambda cost: cost.wall_s) for side in zip(*pairs, strict=True)]
            wall, cpu = (
                np.median([getattr(one, name) / getattr(other, name) for one, other in pairs])
                for name in ("wall_s", "cpu_s")
            )
            print(
                f"{num_queries} queries, the official evaluator: {best[0].wall_s:.2f} s wall,"
                f" {best[0].cpu_s:.2f} s processor; {' '.join(['score', *options])}: {best[1].wall_s:.2f},"
                f" {best[1].cpu_s:.2f}; {wall:.1f} and {cpu:.1f} times as fast (medians of pairs)"
            )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="a checkout of Lighthouse, outside this repository")
    checkout = parser.parse_args().reference
    if checkout is not None:
        with tempfile.TemporaryDirectory() as folder:
            beside(checkout, Path(folder))
        return 0
    missed = False
    for name, words in STARTS.items():
        costs = [run(*words) for _ in range(RUNS[SMALL])]
        wall_s, cpu_s = min(c.wall_s for c in costs), min(c.cpu_s for c in costs)
        print(f"{name:34} {wall_s:6.2f} s wall, {cpu_s:6.2f} s processor (best of {RUNS[SMALL]})")
    with tempfile.TemporaryDirectory() as folder:
        for num_queries, runs in RUNS.items():
            files = make_files(Path(folder), num_queries)
            for options in (["-q"], ["-q", "--official"]):
                costs = [run("-m", "amr", "score", *map(str, files), *options) for _ in range(runs)]
                wall_s, cpu_s = min(c.wall_s for c in costs), min(c.cpu_s for c in costs)
                peak_bytes = max(c.peak_bytes for c in costs)
                if num_queries == SMALL:
                    kept = cpu_s <= MAX_SMALL_CPU_S
                else:
                    kept = cpu_s <= MAX_LARGE_CPU_S and peak_bytes <= MAX_LARGE_BYTES
                missed |= not kept
                name = " ".join(["score", *options[1:]])
                print(
                    f"{name:18} {num_queries:7} queries: {wall_s:6.2f} s wall, {cpu_s:6.2f} s processor, "
                    f"{peak_bytes / 1e6:5.0f} MB (best of {runs}) {'ok' if kept else 'MISSED'}"
                )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
