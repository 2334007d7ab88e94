"""How often a shortlist finds what asking every recording finds, and how many true moments either finds.

    python tests/benchmarks/archive_agreement.py FEATURES ANNOTATIONS --work FOLDER

FEATURES is a feature file as it is; its indexes are made in FOLDER, beside a link to it. Sentences are taken
evenly over ANNOTATIONS (JSONL) and asked of all recordings with ``--top 20``, by ``--shortlist all`` and by
shortlists of each length. A moment is in both answers when it is in the same recording and each end is within
a frame (0.48 s). Where ANNOTATIONS say when a sentence is heard in recordings of FEATURES, a true moment is
found when one of the 20 overlaps it by an IoU of at least 0.5.

The exact answers stay in FOLDER and are used again while sentences, features and model are the same: name
another folder after changing one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archive_search import TOP, Cost, Moments, real_queries, run, shared

from amr.formats.annotations import read_annotations
from amr.formats.features.open import open_features

BEST = 5
MIN_IOU = 0.5


@dataclass(frozen=True)
class Answers:
    """The moments of each query, best first, and what they cost."""

    moments: dict[str, Moments]
    cost: Cost | None


def ask(features: Path, queries: Path, shortlist: str, target: Path, model: Sequence[str]) -> Answers:
    """One process for all queries; none where the answers are there already."""
    cost = None
    if not target.exists():
        part = target.with_suffix(".part")
        top = ("--top", str(TOP), "--shortlist", shortlist, "-q")
        cost = run("predict", "--queries", queries, *top, *model, features, output=part)
        part.replace(target)
    return Answers(ranked(target), cost)


def ranked(path: Path) -> dict[str, Moments]:
    """The moments of each query in a file of predictions, best first."""
    found: dict[str, list[tuple[float, tuple[str, float, float]]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        rows = [
            (-score, (record["vid"], begin, end)) for begin, end, score in record["pred_relevant_windows"]
        ]
        found.setdefault(record["query"], []).extend(rows)
    return {query: [moment for _, moment in sorted(rows)] for query, rows in found.items()}


def agreement(exact: Answers, short: Answers, queries: Sequence[str], count: int) -> float:
    """How many of the best ``count`` moments are in both, in per cent."""
    both = wanted = 0
    for query in queries:
        best = exact.moments[query][:count]
        both += shared(best, short.moments[query][:count])
        wanted += len(best)
    return 100 * both / wanted


def true_moments(annotations: Path, features: Path) -> dict[str, Moments]:
    """Where each sentence is heard, in recordings of FEATURES."""
    with open_features(features) as reader:
        here = set(reader.ids)
    truth: dict[str, Moments] = {}
    for each in read_annotations(annotations):
        if each.vid in here:
            rows = [(each.vid, *moment) for moment in each.moments]
            truth.setdefault(each.query, []).extend(rows)
    return truth


def found(truth: dict[str, Moments], answers: Answers, queries: Sequence[str]) -> tuple[int, int]:
    """How many true moments the answers hold, of how many."""
    hits = total = 0
    for query in queries:
        for vid, begin, end in truth.get(query, []):
            total += 1
            hits += any(
                vid == other and iou((begin, end), ends) >= MIN_IOU
                for other, *ends in answers.moments[query][:TOP]
            )
    return hits, total


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    overlap = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    return overlap / (one[1] - one[0] + other[1] - other[0] - overlap)


def report(
    name: str, exact: Answers, short: Answers, queries: Sequence[str], truth: dict[str, Moments]
) -> None:
    """One line of the table."""
    parts = [f"{name:>16}", *(f"{agreement(exact, short, queries, n):6.1f} %" for n in (TOP, BEST, 1))]
    hits, total = found(truth, short, queries)
    parts.append(f"{hits:5} of {total}" if total else " " * 10)
    parts.append("" if short.cost is None else f"{short.cost.cpu_s / len(queries):8.2f} s CPU a query")
    print("  ".join(parts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="a folder for indexes and answers")
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--shortlists", type=int, nargs="+", default=[100, 200, 500])
    parser.add_argument("--model", help="as of predict; left out: the default model")
    options = parser.parse_args()
    model = ("--model", options.model) if options.model else ()
    options.work.mkdir(exist_ok=True)
    features = options.work / options.features.name
    if not features.exists():
        features.symlink_to(options.features.resolve())
    queries = real_queries(options.annotations, options.queries)
    lines = options.work / "queries.txt"
    lines.write_text("\n".join(queries) + "\n", encoding="utf-8")
    print("indexes, made or compared", run("predict", "--index", features, *model, "-q"), flush=True)
    truth = true_moments(options.annotations, features)
    exact = ask(features, lines, "all", options.work / "exact.jsonl", model)
    print(f"{'--shortlist':>16}  {f'top {TOP}':>8}  {f'top {BEST}':>8}  {'top 1':>8}  true moments")
    report("all", exact, exact, queries, truth)
    for count in options.shortlists:
        target = options.work / f"short-{count}.jsonl"
        target.unlink(missing_ok=True)
        report(str(count), exact, ask(features, lines, str(count), target, model), queries, truth)


if __name__ == "__main__":
    main()
