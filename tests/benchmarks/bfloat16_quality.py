"""Whether products in bfloat16 cost quality: a small made-up task, each seed in float32 and in bfloat16.

    python tests/benchmarks/bfloat16_quality.py --seeds 8

Prints the figures of each run, and of the paired differences, bfloat16 less float32, the mean with its 95 %
interval (Student's t). The network is 128 wide, the weights are averaged and the rate falls to nothing, so
that seeds differ less; a pair takes half a minute of a processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from training_world import IDENTITY, World, tiny_plan

from amr.distributed import Processes
from amr.metrics.student import t_quantile
from amr.models.threads import ThreadPool
from amr.training.dataset import Dataset
from amr.training.job import RunFiles, TrainingJob
from amr.training.run import TrainingRun

SHOWN = ("R1@0.5", "R1@0.7", "mAP")


def trained(train: Dataset, validation: Dataset, seed: int, precision: str, folder: Path) -> dict[str, float]:
    """Figures of the best of three validations."""
    plan = tiny_plan(
        epochs=24,
        batch_size=32,
        learning_rate=1e-3,
        schedule="cosine",
        ema_decay=0.98,
        gradient_clip=1.0,
        validate_epochs=8,
        metric="R1@0.5",
        seed=seed,
        precision=precision,
        network={"hidden_dim": 128, "heads": 4, "feedforward_dim": 256, "input_dropout": 0.0},
    )
    job = TrainingJob(plan, train, validation, IDENTITY, RunFiles(folder / f"{precision}{seed}"))
    with ThreadPool(1) as pool:
        outcome = TrainingRun(job, torch.device("cpu"), pool, Processes(), resume=False).finish()
    return {name: outcome.metrics[name] for name in SHOWN}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("an interval needs two seeds")
    differences: dict[str, list[float]] = {name: [] for name in SHOWN}
    with tempfile.TemporaryDirectory() as name:
        world = World(Path(name))
        train = world.dataset(world.fill("train", 160, seed=0, frames=(20, 21)))
        validation = world.dataset(world.fill("val", 400, seed=1, frames=(20, 21)))
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            full, half = (
                trained(train, validation, seed, precision, Path(name))
                for precision in ("float32", "bfloat16")
            )
            print(json.dumps({"seed": seed, "float32": full, "bfloat16": half}), flush=True)
            for each in SHOWN:
                differences[each].append(half[each] - full[each])
    for each, values in differences.items():
        half_width = t_quantile(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
        print(f"{each}: {statistics.mean(values):+.2f} +- {half_width:.2f} (n {len(values)})")


if __name__ == "__main__":
    main()
