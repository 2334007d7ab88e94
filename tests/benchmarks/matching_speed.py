"""Assignment of a whole batch: ours, the original's, and scipy on each item's own block, in one run.

    python tests/benchmarks/matching_speed.py [--reference CHECKOUT] [--batches 32,256,2000] [--instances 0]

``--reference`` is a checkout of Lighthouse outside this repository; its matcher then takes turns with ours on
the same predictions. All three include the making of the cost matrix. ``--instances N`` checks N random and
adversarial instances against scipy's cost and prints the largest difference.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from amr.models.detr.matching import assign, match, pair_costs
from amr.models.loss_config import MatchingCost

QUERIES = 10


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    for batch in (int(part) for part in options.batches.split(",")):
        for targets in (1, 3, 5):
            print(json.dumps(compare(batch, targets, options)), flush=True)
    if options.instances:
        print(json.dumps(check(options.instances)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reference", help="a checkout of Lighthouse, outside of this repository")
    parser.add_argument("--batches", default="32,256,2000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--instances", type=int, default=0)
    return parser.parse_args()


def compare(batch: int, num_targets: int, options: argparse.Namespace) -> dict[str, float | int]:
    """Medians in milliseconds a batch, and the medians of the paired ratios."""
    generator = torch.Generator().manual_seed(0)
    spans = torch.rand(batch, QUERIES, 2, generator=generator)
    logits = torch.randn(batch, QUERIES, 2, generator=generator)
    targets = torch.rand(batch, num_targets, 2, generator=generator)
    mask = torch.ones(batch, num_targets, dtype=torch.bool)
    scores = logits[..., 0] - logits[..., 1]
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: match(spans, scores, targets, mask, MatchingCost()),
        "scipy": lambda: scipy_blocks(spans, scores, targets),
    }
    if options.reference:
        ways["reference"] = reference(options.reference, spans, logits, targets)
    rows = [{name: timed(way) for name, way in ways.items()} for _ in range(options.rounds)]
    result: dict[str, float | int] = {"batch": batch, "targets": num_targets}
    for name in ways:
        result[f"{name}_ms"] = round(statistics.median(row[name] for row in rows) * 1e3, 3)
    for name in ways.keys() - {"ours"}:
        result[f"{name}_over_ours"] = round(statistics.median(row[name] / row["ours"] for row in rows), 1)
    return result


def scipy_blocks(spans: torch.Tensor, scores: torch.Tensor, targets: torch.Tensor) -> object:
    costs = pair_costs(spans, scores, targets, MatchingCost()).numpy()
    return [linear_sum_assignment(cost) for cost in costs]


def reference(
    checkout: str, spans: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor
) -> Callable[[], object]:
    sys.path.insert(0, checkout)
    from lighthouse.common.matcher import HungarianMatcher  # type: ignore[import-not-found]

    matcher = HungarianMatcher(cost_class=4, cost_span=10, cost_giou=1)
    labels = {"span_labels": [{"spans": item} for item in targets]}
    return lambda: matcher({"pred_spans": spans, "pred_logits": logits}, labels)


def timed(way: Callable[[], object]) -> float:
    """Processor seconds of one call, after one that warms up; many calls of what is fast."""
    start = time.process_time()
    way()
    repeats = 1 if time.process_time() - start > 0.5 else 10
    start = time.process_time()
    for _ in range(repeats):
        way()
    return (time.process_time() - start) / repeats


def check(instances: int) -> dict[str, float | int]:
    """Ours against scipy on instances of every size and kind; stops at the first that differs."""
    rng = np.random.default_rng(0)
    done, worst = 0, 0.0
    while done < instances:
        batch, targets = 500, int(rng.integers(1, 33))
        queries = int(rng.choice([1, 3, 10, 10, 10, 30]))
        cost = draw_costs(rng, (batch, targets, queries))
        mask = rng.random((batch, targets)) < rng.random()
        worst = max(worst, largest_excess(cost, mask))
        done += batch
    return {"instances": done, "largest_relative_excess_over_scipy": worst}


def draw_costs(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    noise = rng.normal(size=shape)
    kind = rng.integers(0, 5)
    if kind == 1:
        return rng.integers(0, 3, size=shape).astype(np.float64)
    if kind == 2:
        return np.zeros(shape)
    if kind == 3:
        return noise * 10.0 ** rng.integers(-6, 7)
    if kind == 4:
        products = np.outer(np.arange(1, shape[1] + 1), np.arange(1, shape[2] + 1))
        return products * rng.choice([-1.0, 1.0], size=(shape[0], 1, 1)) + rng.integers(0, 2, size=shape)
    return noise


def largest_excess(cost: np.ndarray, mask: np.ndarray) -> float:
    matching = assign(torch.from_numpy(cost), torch.from_numpy(mask))
    query, valid = matching.query.numpy(), matching.valid.numpy()
    worst = 0.0
    for item in range(len(cost)):
        real, chosen = np.flatnonzero(mask[item]), np.flatnonzero(valid[item])
        if len(chosen) != min(len(real), cost.shape[2]) or len(set(query[item, chosen])) != len(chosen):
            raise SystemExit(f"not a matching: {query[item]} {valid[item]}")
        optimum = cost[item, real][linear_sum_assignment(cost[item, real])].sum()
        found = cost[item, chosen, query[item, chosen]].sum()
        worst = max(worst, abs(found - optimum) / max(1e-9, abs(optimum), np.abs(cost[item]).max()))
    return float(worst)


if __name__ == "__main__":
    main()
