"""What validation costs beside training: processor time a query and a sample, and its share of an epoch.

    python tests/benchmarks/validation_share.py val.jsonl feats.h5 --train-queries 7428

A few steps of batch 32 and one whole validation with the real metrics, on the same recordings, one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from amr.distributed import Processes
from amr.formats.annotations import read_annotations
from amr.formats.features.open import open_features
from amr.formats.notices import Notices
from amr.models.detr.network import DetrNetwork
from amr.models.threads import ThreadPool
from amr.training.batches import draw_batch
from amr.training.loading import LoadOptions, load_dataset
from amr.training.plan import TrainingPlan
from amr.training.step import Stepper
from amr.training.validate import evaluate

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("--train-queries", type=int, required=True, help="samples of an epoch")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    with open_features(options.features) as reader:
        load = LoadOptions(memory_bytes=1 << 40)
        dataset = load_dataset(read_annotations(options.annotations), reader, load, Notices())
    sizes = {"audio_dim": dataset.audio_dim, "text_dim": dataset.text_dim}
    fields = {"training": {"precision": options.precision}, "network": sizes}
    plan = TrainingPlan.of_preset("am-detr").with_fields(fields, "benchmark")
    torch.manual_seed(0)
    with ThreadPool(1) as pool:
        stepper = Stepper(DetrNetwork(plan.network), plan, pool, Processes())

        def step(number: int) -> None:
            items = np.arange(number * BATCH, (number + 1) * BATCH) % len(dataset)
            batch = draw_batch(dataset, items, plan.training, 0, window_frames=plan.network.window_frames)
            stepper.step(dataset, batch, learning_rate=1e-4, step=number)

        step(0)
        began = time.process_time()
        for number in range(1, options.steps + 1):
            step(number)
        sample_s = (time.process_time() - began) / (options.steps * BATCH)
        began = time.process_time()
        evaluate(stepper, dataset)
        validation_s = time.process_time() - began
    training_s = options.train_queries * sample_s
    result = {
        "precision": options.precision,
        "validation_queries": len(dataset),
        "frames_a_recording": round(float(dataset.num_frames.mean()), 1),
        "processor_ms_a_trained_sample": round(1e3 * sample_s, 2),
        "processor_ms_a_validated_query": round(1e3 * validation_s / len(dataset), 2),
        "share_of_an_epoch": round(validation_s / (training_s + validation_s), 4),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
