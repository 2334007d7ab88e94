"""Training speed: samples/s, the floor, peak memory, and the reference side by side.

    python tests/benchmarks/train_speed.py [--reference CHECKOUT] [--batch 32] [--threads 2] [--rounds 5]
    python tests/benchmarks/train_speed.py --preset best
    python tests/benchmarks/train_speed.py --set network.hidden_dim=64 --set network.feedforward_dim=256
    python tests/benchmarks/train_speed.py --device cuda --batch 2000 --frames 300

Features are fabricated: 60 frames and up to 32 tokens of 768 numbers, one moment an item; for a network that
takes similarities they have the embedded encoder's sizes. Each side runs in a
process of its own that lives as long as the measurement; the sides take turns (A, B, A, B) and the median of
the paired ratios is printed. After each round of ours a matrix product gives the machine's rate, and with the
operations that torch counts in a step, the floor. It is that of torch's products in float32 whatever the
precision. Beside it stand the rate of products in the run's own, and the rate and the floor of the products
that ``amr.models.products`` takes in float32, which on some processors are faster than torch's.

Wall time beside a busy neighbour means little; processor seconds a sample hold. ``--busy`` starts a neighbour
that keeps one core busy. Memory is the largest the process ever had.

``--reference`` is a checkout of Lighthouse outside this repository, whose own loop is run. With ``--device
cuda`` a step is profiled for host synchronisations and for the share of its time in matching.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from train_speed_data import fabricate, identity_for
from train_speed_floor import count_operations, floor_ratios, matrix_rate

MATCHING = "matching"


def main() -> None:
    options = parse()
    if options.side:
        serve(options)
        return
    with tempfile.TemporaryDirectory() as folder, neighbour(options.busy):
        network = plan_of(options).network
        count = options.batch * options.steps
        fabricate(Path(folder), network, count=count, frames=options.frames, tree=bool(options.reference))
        print(json.dumps(measure(Path(folder), options), indent=1))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reference", help="a checkout of Lighthouse, outside this repository")
    parser.add_argument("--reference-workers", type=int, default=0, help="of its loader; its default is 4")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2, help="steps a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--preset", default="am-detr")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--set", action="append", default=[], help="a setting, as amr train takes it")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--busy", action="store_true", help="beside a neighbour that keeps one core busy")
    parser.add_argument("--side", choices=("ours", "reference"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def plan_of(options: argparse.Namespace) -> Any:
    """What is trained."""
    from amr.cli.train import parse_settings
    from amr.training.plan import TrainingPlan, nested

    encoder = identity_for(TrainingPlan.of_preset(options.preset).network)
    sizes = {"audio_dim": encoder.dimension, "text_dim": encoder.text_dimension}
    training = {"batch_size": options.batch, "precision": options.precision, "compile": options.compile}
    plan = TrainingPlan.of_preset(options.preset).with_fields(
        {"network": sizes, "training": training}, "benchmark"
    )
    return plan.with_fields(nested(parse_settings(options.set)), "--set")


@contextlib.contextmanager
def neighbour(wanted: bool) -> Iterator[None]:
    """A process that keeps one core busy while the block runs."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The sides in turn; the first round of each is not counted."""
    names = ["ours", *(["reference"] if options.reference else [])]
    sides = {name: Side(name, folder) for name in names}
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(options.rounds + 1):
        result = {name: side.round() for name, side in sides.items()}
        if number:
            rounds.append(result)
    facts = {name: side.end() for name, side in sides.items()}
    samples = options.batch * options.steps
    return {
        "batch": options.batch,
        "frames": options.frames,
        "threads": options.threads,
        "preset": options.preset,
        "busy_neighbour": options.busy,
        **{name: speeds([each[name] for each in rounds], samples, facts[name]) for name in names},
        **floor_ratios([each["ours"] for each in rounds], samples, facts["ours"], options),
        **(
            paired([each["reference"] for each in rounds], [each["ours"] for each in rounds])
            if len(names) > 1
            else {}
        ),
    }


def speeds(rounds: list[dict[str, float]], samples: int, facts: dict[str, Any]) -> dict[str, Any]:
    """Medians of one side."""
    wall = statistics.median(each["wall_s"] for each in rounds)
    processor = statistics.median(each["processor_s"] for each in rounds)
    return {
        "samples_per_s": round(samples / wall, 2),
        "processor_ms_a_sample": round(1e3 * processor / samples, 2),
        "peak_memory_gb": round(facts["peak_bytes"] / 1e9, 3),
        **{name: value for name, value in facts.items() if name not in ("peak_bytes", "gflop_a_sample")},
    }


def paired(reference: list[dict[str, float]], ours: list[dict[str, float]]) -> dict[str, float]:
    """Medians of the reference's time over ours in the same round."""
    pairs = list(zip(reference, ours, strict=True))
    return {
        f"times_the_reference_{name}": round(
            statistics.median(a[f"{name}_s"] / b[f"{name}_s"] for a, b in pairs), 2
        )
        for name in ("wall", "processor")
    }


class Side:
    """One side's process: a line in starts a round, a line out tells it."""

    def __init__(self, name: str, folder: Path) -> None:
        command = [sys.executable, __file__, *sys.argv[1:], "--side", name, "--folder", str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, word: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a side ended with exit code {self.process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def round(self) -> dict[str, float]:
        return self._ask("round")

    def end(self) -> dict[str, Any]:
        facts = self._ask("end")
        self.process.wait()
        return facts


def serve(options: argparse.Namespace) -> None:
    """Be a side: rounds until ``end``."""
    import torch

    product = sys.stdout
    sys.stdout = sys.stderr
    with contextlib.ExitStack() as stack:
        if options.side == "reference":
            from train_speed_reference import ReferenceLoop

            torch.set_num_threads(options.threads)
            loop = ReferenceLoop(
                Path(options.reference),
                options.folder,
                options.batch,
                options.reference_workers,
                options.device,
            )
            ours, one_round, facts = None, loop.round, dict
        else:
            ours = OurLoop(options, stack)
            one_round, facts = ours.round, ours.facts
        for word in sys.stdin:
            if word.strip() == "end":
                found = facts()
                found.setdefault("peak_bytes", peak_bytes())
                print(json.dumps(found), file=product, flush=True)
                return
            wall, processor = time.perf_counter(), time.process_time()
            one_round()
            result = {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - processor}
            if ours is not None:
                result["gflop_per_s"] = matrix_rate(options.device, "float32")
                result["gflop_per_s_own"] = matrix_rate(options.device, ours.precision)
                result["gflop_per_s_ours"] = matrix_rate(options.device, "float32", ours=True)
            print(json.dumps(result), file=product, flush=True)


class OurLoop:
    """Our run's parts on the fabricated features: :meth:`round` is an epoch as ``amr train`` makes it."""

    def __init__(self, options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        import torch

        from amr.distributed import Processes
        from amr.encoders.registry import load_encoder
        from amr.formats.annotations import read_annotations
        from amr.formats.features.open import open_features
        from amr.formats.notices import Notices
        from amr.models.build import build_network
        from amr.models.threads import ThreadPool
        from amr.training.loading import LoadOptions, load_dataset
        from amr.training.step import Stepper

        self.device = torch.device(options.device)
        self.plan = plan_of(options)
        annotations = read_annotations(options.folder / "data.jsonl")
        with open_features(options.folder / "feats.h5") as reader:
            channels = self.plan.network.similarity_channels
            encoder = load_encoder(device=options.device) if channels else None
            kinds = () if self.plan.network.audio else self.plan.training.kinds
            load = LoadOptions(
                1 << 40, joint_encoder=encoder, similarity_channels=channels, curve_kinds=kinds
            )
            self.dataset = load_dataset(annotations, reader, load, Notices()).near(self.device)
        is_cpu = self.device.type == "cpu"
        pool = ThreadPool(options.threads) if is_cpu else ThreadPool(1, operation_threads=options.threads)
        torch.manual_seed(self.plan.training.seed)
        network = build_network(self.plan.network).to(self.device)
        self.stepper = Stepper(network, self.plan, stack.enter_context(pool), Processes())
        self.precision = self.stepper.plan.training.precision
        self.step = 0
        self.epoch = 0

    def round(self) -> None:
        """One epoch over the fabricated items."""
        from amr.training.batches import draw_batch
        from amr.training.order import epoch_batches

        settings = self.plan.training
        batches = epoch_batches(
            self.dataset.num_frames, batch_size=settings.batch_size, seed=settings.seed, epoch=self.epoch
        )
        for items in batches:
            batch = draw_batch(
                self.dataset, items, settings, self.epoch, window_frames=self.plan.network.window_frames
            )
            self.stepper.step(self.dataset, batch, learning_rate=settings.learning_rate, step=self.step)
            self.step += 1
        self.epoch += 1
        self.stepper.take_means(len(self.dataset))

    def facts(self) -> dict[str, Any]:
        """Operations a sample and, on a GPU, memory, synchronisations and the share of matching."""
        found: dict[str, Any] = {"precision": self.precision, "peak_bytes": peak_bytes()}
        found["gflop_a_sample"] = self._operations()
        return found | (self._gpu_facts() if self.device.type == "cuda" else {})

    def _operations(self) -> float:
        """Counted floating-point operations of forward and backward of one item, in 1e9."""
        from amr.training.step import ChunkJob

        batch = self._batch()
        job = ChunkJob(self.dataset, batch, slice(0, len(batch)), 0)
        total = count_operations(lambda: self.stepper.chunk_losses(job)["total"].backward())
        return total / len(batch) / 1e9

    def _batch(self) -> Any:
        from amr.training.batches import draw_batch

        items = np.arange(min(self.plan.training.batch_size, len(self.dataset)))
        window_frames = self.plan.network.window_frames
        return draw_batch(self.dataset, items, self.plan.training, 0, window_frames=window_frames)

    def _gpu_facts(self) -> dict[str, Any]:
        """A profiled step on the GPU, under torch's own check for host synchronisations."""
        import torch
        from torch.profiler import ProfilerActivity, profile

        peak = torch.cuda.max_memory_allocated(self.device)
        batch = self._batch()
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
        with matching_recorded(), profile(activities=activities) as profiler:
            self.stepper.step(self.dataset, batch, learning_rate=1e-4, step=self.step)
        torch.cuda.set_sync_debug_mode("default")
        torch.cuda.synchronize()
        events = profiler.key_averages()
        kernels_us = sum(event.self_device_time_total for event in events)
        matching_us = sum(event.device_time_total for event in events if event.key == MATCHING)
        waits = [event.key for event in events if "Synchronize" in event.key]
        return {
            "peak_bytes": peak,
            "device": torch.cuda.get_device_name(self.device),
            "host_synchronisations_in_a_step": waits,
            "kernel_ms_a_step": round(kernels_us / 1e3, 2),
            "matching_ms_a_step": round(matching_us / 1e3, 2),
        }


@contextlib.contextmanager
def matching_recorded() -> Iterator[None]:
    """Have profilers see the matching of predictions and moments under the name ``MATCHING``."""
    from torch.profiler import record_function

    from amr.models.detr import losses

    match = losses.match

    def recorded(*arguments: Any) -> Any:
        with record_function(MATCHING):
            return match(*arguments)

    losses.match = recorded
    try:
        yield
    finally:
        losses.match = match


def peak_bytes() -> int:
    """The most memory that this process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
