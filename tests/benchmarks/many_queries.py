"""Tens of thousands of queries on a feature file: time, and the most memory, of few recordings and of many.

    python tests/benchmarks/many_queries.py [--queries 50000] [--few 3] [--many 300] [--models best,window]
        [--sentences 50000]

So many of the sentences are different ones; the others come again under another id. Of the few recordings
all queries are asked, of the many each query is asked of one (``vid``), as the field's lists do. Frames are
random: what they are changes neither time nor memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amr.encoders.registry import load_encoder
from amr.formats.features.write import FeatureWriter, create_feature_file

SECONDS = 20
HOW, WHAT = ("loudly", "softly", "twice", "far away", "nearby"), ("dog", "bell", "train", "river", "crowd")


class Run(NamedTuple):
    """How one search went.

    Args:
        answers: lines that it wrote.
        told: lines of progress that it wrote.
        took_s: seconds on the clock. used_s: of processor time.
        memory_mb: the most that it held.
    """

    answers: int
    told: int
    took_s: float
    used_s: float
    memory_mb: float


def make_features(path: Path, recordings: int) -> Path:
    identity = load_encoder("yamnet").identity
    create_feature_file(path, identity_json=identity.to_json(), store="float16")
    writer = FeatureWriter(path, identity_json=identity.to_json())
    frames = round(SECONDS / identity.hop_s)
    for number in range(recordings):
        generator = np.random.default_rng(number)
        values = np.maximum(generator.normal(size=(frames, identity.dimension)), 0).astype(np.float32)
        writer.add(f"r{number}", values, duration_s=float(SECONDS))
    writer.close()
    return path


def make_queries(path: Path, count: int, sentences: int, recordings: int, *, bound: bool) -> Path:
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            place = number % sentences
            text = f"a {WHAT[place % 5]} number {place} is heard {HOW[place // 5 % 5]}"
            query = {"qid": number, "query": text} | ({"vid": f"r{number % recordings}"} if bound else {})
            file.write(json.dumps(query) + "\n")
    return path


def search(features: Path, queries: Path, model: str, output: Path) -> Run:
    words = ["predict", "--queries", str(queries), str(features), "--model", model, "-o", str(output), "-f"]
    began_s = time.monotonic()
    with tempfile.TemporaryFile() as stderr:
        work = subprocess.Popen([sys.executable, "-m", "amr", *words], stderr=stderr)
        _, status, usage = os.wait4(work.pid, 0)
        took_s = time.monotonic() - began_s
        stderr.seek(0)
        told = stderr.read().decode()
    if status:
        raise SystemExit(told)
    with open(output, "rb") as file:
        answers = sum(1 for _ in file)
    used_s = usage.ru_utime + usage.ru_stime
    return Run(answers, len(told.splitlines()), took_s, used_s, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=50_000)
    parser.add_argument("--sentences", type=int, default=50_000)
    parser.add_argument("--few", type=int, default=3)
    parser.add_argument("--many", type=int, default=300)
    parser.add_argument("--models", default="window,best")
    options = parser.parse_args()
    print("| model | recordings | answers | minutes | of processor | most memory, MB | lines of progress |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for recordings, bound in ((options.many, True), (options.few, False)):
            features = make_features(folder / f"{recordings}.h5", recordings)
            counts = options.queries, options.sentences, recordings
            queries = make_queries(folder / "q.jsonl", *counts, bound=bound)
            for model in options.models.split(","):
                run = search(features, queries, model, folder / "out.jsonl")
                cells = [f"{run.took_s / 60:.1f}", f"{run.used_s / 60:.1f}", f"{run.memory_mb:.0f}", run.told]
                print(
                    f"| {model} | {recordings} | {run.answers} | {' | '.join(map(str, cells))} |", flush=True
                )


if __name__ == "__main__":
    main()
