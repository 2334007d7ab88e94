"""How fast a device trains and encodes; the second half of ``gpu.py``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clap_published as published
import numpy as np
import torch
from gpu_right import clap_tensors, training
from torch.profiler import ProfilerActivity, profile
from train_speed import MATCHING, OurLoop, matching_recorded, peak_bytes

from amr.encoders.clap.laion import ClapDenseEncoder, ClapEncoder
from amr.encoders.yamnet.encoder import YamnetEncoder
from amr.training.batches import draw_batch

Row = dict[str, Any]
PRESETS = ("am-detr", "lcs-detr", "best")
BATCHES, FRAMES = (32, 256, 2000), (60, 300)
LEAST_S = 1.5
PROBE_SIZE = {"cpu": 256, "cuda": 8192}
SEGMENTS, SEGMENT_S = 8, 60


def train(options: argparse.Namespace) -> Iterator[Row]:
    """Steps of training, the smallest batches first."""
    shapes = [(frames, batch) for frames in FRAMES for batch in BATCHES]
    for frames, batch in [(20, 4)] if options.small else shapes:
        for preset in PRESETS:
            changes = {"frames": frames, "batch": batch, "precision": "auto"}
            with training(options, preset, changes) as (loop,):
                try:
                    yield {"preset": preset, "frames": frames, "batch": batch, **speed(loop, options.small)}
                except torch.cuda.OutOfMemoryError:
                    yield {"preset": preset, "frames": frames, "batch": batch, "precision": "out of memory"}
            if options.device != "cpu":
                torch.cuda.empty_cache()


def speed(loop: OurLoop, small: bool) -> Row:
    """Samples a second and what they are made of."""
    size = loop.plan.training.batch_size
    batches = [items_of(loop, first, size) for first in range(0, len(loop.dataset) - size + 1, size)]
    numbers = iter(range(1 << 30))

    def step() -> None:
        number = next(numbers)
        batch = draw_batch(
            loop.dataset,
            batches[number % len(batches)],
            loop.plan.training,
            number,
            window_frames=loop.plan.network.window_frames,
        )
        loop.stepper.step(loop.dataset, batch, learning_rate=1e-4, step=number)

    if loop.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    step_s = seconds_of(step, loop.device, 0.0 if small else LEAST_S)
    per_s = size / step_s
    peak = torch.cuda.max_memory_allocated() if loop.device.type == "cuda" else peak_bytes()
    gflop = loop._operations()
    rate = products(loop.device, loop.precision)
    return {
        "precision": loop.precision,
        "samples/s": round(per_s, 1),
        **profiled(step, loop.device, step_s),
        "of the rate of products": f"{per_s * gflop / rate:.0%}",
        "peak GB": round(peak / 1e9, 2),
    }


def items_of(loop: OurLoop, first: int, size: int) -> np.ndarray:
    return np.arange(first, first + size) % len(loop.dataset)


def seconds_of(work: Callable[[], object], device: torch.device, least_s: float) -> float:
    """Of one call, after one that is not counted; calls go on for ``least_s``."""
    work()
    wait(device)
    began, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - began < least_s:
        work()
        count += 1
        if count % 8 == 0:
            wait(device)  # else the host runs ahead of the clock
    wait(device)
    return (time.perf_counter() - began) / count


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def products(device: torch.device, dtype_name: str) -> float:
    """1e9 operations a second of large products of matrices."""
    size = PROBE_SIZE[device.type]
    one, other = (torch.randn(size, size, device=device, dtype=getattr(torch, dtype_name)) for _ in range(2))
    return 2 * size**3 / 1e9 / seconds_of(lambda: one @ other, device, 0.2)


def profiled(step: Callable[[], None], device: torch.device, step_s: float) -> Row:
    """Matching's share of a step's time on the device and, on a GPU, what part of a step the device works.

    Args:
        step: trains on one batch.
        device: what it works on.
        step_s: how long it takes when nobody looks.
    """
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with matching_recorded(), profile(activities=activities) as profiler:
        step()
        wait(device)
    events = profiler.key_averages()
    own, all_in_all = (
        ("self_device_time_total", "device_time_total")
        if on_gpu
        else ("self_cpu_time_total", "cpu_time_total")
    )
    total_us = sum(getattr(event, own) for event in events)
    matching_us = sum(getattr(event, all_in_all) for event in events if event.key == MATCHING)
    found: Row = {"matching": f"{matching_us / max(total_us, 1):.0%}"}
    if on_gpu:
        found["device at work"] = f"{total_us / 1e6 / step_s:.0%}"
    return found


def encode(options: argparse.Namespace) -> Iterator[Row]:
    """Sound a minute that the networks alone take, batches of eight minutes."""
    count, length_s = (1, 2) if options.small else (SEGMENTS, SEGMENT_S)
    with tempfile.TemporaryDirectory() as folder:
        weights = str(published.write_laion_pt(Path(folder), tensors=clap_tensors(options)))
        yield {
            "encoder": "yamnet",
            **encoder_speed(YamnetEncoder(device=options.device), count, length_s, options),
        }
        for kind in (ClapEncoder, ClapDenseEncoder):
            for precision in ("float32", "bfloat16"):
                encoder = kind(weights=weights, device=options.device, precision=precision)
                found = encoder_speed(encoder, count, 10 if options.small else length_s, options)
                yield {"encoder": f"{kind.name}, {precision}", **found}


def encoder_speed(encoder: Any, count: int, length_s: int, options: argparse.Namespace) -> Row:
    identity = encoder.identity
    hops = (length_s * identity.sample_rate_hz - identity.window_samples) // identity.hop_samples
    length = identity.window_samples + hops * identity.hop_samples
    wave = published.noise(length / identity.sample_rate_hz + 1, identity.sample_rate_hz)[:length]
    batch = np.repeat(wave[None], count, axis=0)
    device = torch.device(options.device)
    took_s = seconds_of(lambda: encoder.encode_audio(batch), device, 0.0 if options.small else LEAST_S)
    return {"hours of sound a minute": batch.size / identity.sample_rate_hz / 60 / took_s}


def extract(options: argparse.Namespace) -> Iterator[Row]:
    """``amr extract`` as a whole process on files of a minute, and where its time goes."""
    import soundfile

    count, length_s = (2, 2) if options.small else (120, 60)
    ready = ("-c", "import sys, torch; torch.zeros(1, device=sys.argv[1])", options.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wave = published.noise(length_s, 16_000)
        for number in range(count):
            soundfile.write(folder / f"{number}.wav", np.roll(wave, number * 1000), 16_000)
        whole_s = process_s(
            "-m", "amr", "extract", name, "-q", "--device", options.device, "-o", f"{name}/f.h5"
        )
    encoder = YamnetEncoder(device=options.device)
    alone = encoder_speed(encoder, 1 if options.small else SEGMENTS, length_s, options)
    network_s = count * length_s / 60 / alone["hours of sound a minute"]
    start_s = process_s(*ready)
    yield {
        "files of a minute": count,
        "whole s": whole_s,
        "hours of sound a minute": count * length_s / 60 / whole_s,
        "start of torch and the device, s": start_s,
        "the network alone, s": network_s,
        "all else, s": whole_s - start_s - network_s,
    }


def process_s(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def beside_lighthouse(options: argparse.Namespace) -> Iterator[Row]:
    """Lighthouse's own loop and ours, in turns."""
    if options.reference is None:
        return
    script = str(Path(__file__).with_name("train_speed.py"))
    for batch, steps in ((32, 20), (256, 5)):
        words = ["--reference", str(options.reference), "--device", options.device]
        words += ["--batch", str(batch), "--steps", "2" if options.small else str(steps)]
        done = subprocess.run([sys.executable, script, *words], check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        yield {"batch": batch, "times as fast": found["times_the_reference_wall"]}


FIGURES = {
    "encoders": encode,
    "extract": extract,
    "beside Lighthouse": beside_lighthouse,
    "training": train,
}
