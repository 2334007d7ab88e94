"""Data at which the field's training code fails, through ``amr train`` from the file to the figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_world import DIM, TINY_NETWORK, World, directions, query, record, recording

from amr.cli.main import run
from amr.models.checkpoint import read_checkpoint
from amr.training.job import RunFiles
from amr.training.runstate import read_state

Records = list[dict[str, Any]]
FRAMES = 12


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Five recordings, ``r0`` to ``r4``, of twelve frames."""
    made = World(tmp_path)
    generator = np.random.default_rng(3)
    for number in range(5):
        made.add(f"r{number}", recording(generator, FRAMES, {number % 4: (3, 7)}))
    return made


def each_with(windows: list[list[float]], duration_s: float = FRAMES) -> Callable[[], Records]:
    """Every recording with the same windows."""
    return lambda: [record(n, query(n % 4), f"r{n}", duration_s, windows) for n in range(5)]


def among_others(windows: list[list[float]]) -> Callable[[], Records]:
    """One recording with odd windows in a batch of plain ones."""
    return lambda: [*each_with([[3, 7]])()[:4], record(4, query(0), "r4", FRAMES, windows)]


ODD = {
    "a single recording": lambda: each_with([[3, 7]])()[:1],
    "a last batch of one": each_with([[3, 7]]),
    "a moment that covers everything": among_others([[0, FRAMES]]),
    "no negative frame anywhere": each_with([[0, 6], [6, FRAMES]]),
    "more than five windows": each_with([[n, n + 1] for n in range(0, FRAMES, 2)]),
    "more windows than the network has queries": each_with([[n, n + 0.5] for n in range(FRAMES)]),
    "a window past the end": among_others([[4, 4800]]),
    "a window that begins behind the end": among_others([[3, 5], [FRAMES + 3, FRAMES + 5]]),
    "features a frame shorter than the duration": each_with([[3, FRAMES + 1]], duration_s=FRAMES + 1),
    "a window shorter than a frame": each_with([[3.2, 3.4]]),
}


def train(world: World, source: Path, *more: str) -> int:
    """``amr train`` with a tiny network, validated on its own training set: exit code."""
    tiny = [f"network.{name}={value}" for name, value in TINY_NETWORK.items() if not name.endswith("_dim")]
    sizes = ["network.hidden_dim=16", "network.feedforward_dim=32"]
    settings = [part for setting in [*tiny, *sizes] for part in ("--set", setting)]
    place = ["-o", str(world.folder / "m.safetensors"), "--validation", str(source)]
    brief = ["--epochs", "2", "--batch-size", "4", "--threads", "1", "--device", "cpu", "-q"]
    features = [] if "--features" in more else ["--features", str(world.features)]
    return run(["train", str(source), *features, *place, *brief, *settings, *more])


@pytest.mark.parametrize("preset", ["am-detr", "lcs-detr"])
@pytest.mark.parametrize("odd", ODD)
def test_odd_data_train_and_validate(
    world: World, odd: str, preset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(world, world.write("train", ODD[odd]()), "--preset", preset) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert all(math.isfinite(value) for value in metrics.values())
    weights = read_checkpoint(world.folder / "m.safetensors").weights
    assert all(bool(weight.isfinite().all()) for weight in weights.values())
    log = RunFiles(world.folder / "m.safetensors").log.read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in log[1:]]
    assert all(math.isfinite(part) for loss in losses for part in loss.values())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused_with_the_recordings_name(
    world: World, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a published tree; a feature file is never written with such values."""
    tree = world.folder / "tree"
    tree.mkdir()
    for number in range(3):
        frames = np.ones((FRAMES, DIM), np.float32)
        frames[4, 1] = value if number == 1 else 1.0
        np.savez(tree / f"Venice_{number}.0_12.0.npz", features=frames)
        np.savez(tree / f"qid{number}.npz", last_hidden_state=directions()[:2])
    records = [record(n, query(0), f"Venice_{n}.0_12.0", FRAMES, [[3, 7]]) for n in range(3)]
    source = world.write("train", records)
    assert train(world, source, "--features", str(tree)) == 3
    told = capsys.readouterr().err
    assert "Venice_1.0_12.0" in told
    assert "NaN or infinite" in told
    assert not (world.folder / "m.safetensors").exists()


def test_a_loss_that_is_not_finite_says_where_and_leaves_the_weights_before_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    source = world.write("train", each_with([[3, 7]])())
    wild = ["--learning-rate", "10", "--gradient-clip", "0", "--epochs", "60", "--set", "loss.l1=1e30"]
    assert train(world, source, *wild, "--validate-epochs", "60") == 3
    told = capsys.readouterr().err
    state = RunFiles(world.folder / "m.safetensors").state
    assert "is not finite at step" in told
    assert "train.jsonl:" in told
    assert str(state) in told
    kept = read_state(state)
    assert f"at step {kept.progress.step + 1} (" in told
    assert all(bool(tensor.isfinite().all()) for tensor in kept.tensors.values())
