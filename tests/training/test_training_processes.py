"""Two processes under torchrun reach the weights of one with the same batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from training_world import World, command
from waiting import HANG_S

from amr.cli.main import run
from amr.models.checkpoint import read_checkpoint

TOLERANCE = 1e-5
"""Largest difference of a weight: sums of the same chunks in another order, over a few steps."""


def test_two_processes_reach_the_weights_of_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.fill("train", 12, seed=0)
    world.fill("val", 6, seed=1)
    chunked = ["--set", "training.chunk_frames=50", "--learning-rate", 1e-3, "-q"]
    assert run(command(world, "one.safetensors", *chunked)) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [*launcher, "-m", "amr", *command(world, "two.safetensors", *chunked)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    (told,) = [json.loads(line) for line in done.stdout.splitlines()]
    one, two = (read_checkpoint(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert two.training["processes"] == 2
    differences = [(one.weights[name] - two.weights[name]).abs().max() for name in one.weights]
    assert float(torch.stack(differences).max()) < TOLERANCE
    assert told["metrics"] == two.metrics
    for name, value in one.metrics.items():
        assert abs(value - two.metrics[name]) < 1.0
