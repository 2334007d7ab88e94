"""``amr train`` as people use it: a model that finds moments, runs that survive, messages that help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_table import fault
from training_world import DIM, World, command
from waiting import wait_for

from amr.cli.main import run
from amr.models.checkpoint import read_checkpoint
from amr.training.job import RunFiles


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.fill("train", 10, seed=0)
    made.fill("val", 6, seed=1)
    return made


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_trained_model_finds_moments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(tmp_path)
    world.fill("train", 160, seed=0, frames=(20, 21))
    world.fill("val", 60, seed=1, frames=(20, 21))
    learned = command(world, "model.safetensors", "--epochs", 32, "--batch-size", 32, "--learning-rate", 2e-3)
    easier = ["--set", "network.hidden_dim=32", "--set", "network.input_dropout=0", "--gradient-clip", 1]
    often = ["--validate-epochs", 8, "--metric", "R1@0.5", "-q"]
    assert run([*learned, *map(str, easier), *map(str, often)]) == 0
    (told,) = lines(capsys)
    assert told["metrics"]["R1@0.5"] >= 20 + best_constant_window(world.folder / "val.jsonl")
    kept = read_checkpoint(tmp_path / "model.safetensors")
    assert kept.metrics == told["metrics"]
    assert kept.encoder.name == "made-up"
    assert kept.history[-1].startswith("amr")


def best_constant_window(path: Path) -> float:
    """R1@0.5 in per cent of the best window that is the same for every query."""
    truths = np.array([json.loads(line)["relevant_windows"][0] for line in path.read_text().splitlines()])
    best = 0.0
    for start_s in range(20):
        for end_s in range(start_s + 1, 21):
            shared = np.minimum(truths[:, 1], end_s) - np.maximum(truths[:, 0], start_s)
            union = (truths[:, 1] - truths[:, 0]) + (end_s - start_s) - shared.clip(min=0)
            best = max(best, float((shared.clip(min=0) / union >= 0.5).mean()))
    return 100 * best


def test_seeds_give_models_and_their_spread(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(world, "m.safetensors", "--seeds", 2, "--seed", 5, "-q")) == 0
    first, second, spread = lines(capsys)
    assert (first["seed"], second["seed"]) == (5, 6)
    assert [Path(each["model"]).name for each in (first, second)] == ["m-1.safetensors", "m-2.safetensors"]
    values = [first["metrics"]["mAP"], second["metrics"]["mAP"]]
    assert spread["mean"]["mAP"] == pytest.approx(np.mean(values), abs=0.006)
    assert spread["sd"]["mAP"] == pytest.approx(np.std(values, ddof=1), abs=0.006)
    half = ["--seed", 5, "--store", "float16", "-q"]
    assert run(command(world, "half.safetensors", *half)) == 0
    assert lines(capsys)[0]["metrics"] == first["metrics"]
    sizes = [(world.folder / f"{name}.safetensors").stat().st_size for name in ("half", "m-1")]
    assert sizes[0] < 0.7 * sizes[1]
    assert run(command(world, "one.safetensors", "--seed", 5, "-q")) == 0
    assert lines(capsys)[0]["metrics"] == first["metrics"]
    one, two = (read_checkpoint(world.folder / name) for name in ("one.safetensors", "m-1.safetensors"))
    assert all((one.weights[name] == two.weights[name]).all() for name in one.weights)


def test_a_second_stage_starts_where_the_first_ended(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(world, "first.safetensors", "-q")) == 0
    second = [each for each in command(world, "second.safetensors", "-q", "--learning-rate", 0) if each]
    without_network = [each for each in second if each != "--set" and not each.startswith("network.")]
    assert run([*without_network, "--init", str(world.folder / "first.safetensors")]) == 0
    first, second_model = (read_checkpoint(world.folder / f"{n}.safetensors") for n in ("first", "second"))
    assert second_model.config == first.config
    assert all((first.weights[name] == second_model.weights[name]).all() for name in first.weights)
    assert len(second_model.history) == 2
    assert len(lines(capsys)) == 2


def test_a_configuration_file_and_the_checkpoint_that_tells_it(world: World) -> None:
    config = world.folder / "recipe.toml"
    config.write_text('preset = "lcs-detr"\n[training]\nlearning_rate = 0.5\nprecision = "float32"\n')
    assert run(command(world, "m.safetensors", "-q", "--config", config, "--learning-rate", 0.25)) == 0
    kept = read_checkpoint(world.folder / "m.safetensors")
    assert kept.preset == "lcs-detr"
    assert kept.training["training"]["learning_rate"] == 0.25
    assert kept.training["training"]["schedule"] == "cosine"
    assert kept.training["network"]["audio_dim"] == DIM
    assert set(kept.data_sha256) == {
        "train.jsonl",
        "val.jsonl",
        "features (training)",
        "features (validation)",
    }


def test_without_a_preset_it_says_what_it_trains(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(world.folder / "train.jsonl"), "--features", str(world.features), "--epochs", "1"]
    sizes = ["--set", "network.hidden_dim=16", "--set", "network.prototypes=4"]
    assert run(["train", *words, *sizes, "-o", str(world.folder / "m.safetensors")]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("amr train: best (no --preset: what measures best): 10 annotations")
    assert read_checkpoint(world.folder / "m.safetensors").preset == "best"


def test_one_line_a_validation_and_a_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(world, "m.safetensors")) == 0
    told = capsys.readouterr().err.splitlines()
    steps, too_few, *epochs = told
    assert steps == "amr train: am-detr: 10 annotations in batches of 4, 3 steps a pass, 6 in all"
    assert too_few.startswith("amr train: warning: 6 steps are too few to learn what sentences mean")
    assert [line.split(": loss")[0] for line in epochs] == [
        "amr train: m.safetensors: epoch 1",
        "amr train: m.safetensors: epoch 2",
    ]
    log = [json.loads(line) for line in RunFiles(world.folder / "m.safetensors").log.read_text().splitlines()]
    assert [each["event"] for each in log] == ["start", "epoch", "epoch"]
    assert log[0]["training"]["batch_size"] == 4


def test_missing_features_end_with_3_or_are_left_out_with_5(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    source = world.folder / "train.jsonl"
    gone = {"qid": 99, "query": "sound number 0", "vid": "gone", "duration": 9, "relevant_windows": [[1, 2]]}
    source.write_text(source.read_text() + json.dumps(gone) + "\n")
    assert run(command(world, "m.safetensors", "-q")) == 3
    assert "train.jsonl:11: 1 recording without features" in capsys.readouterr().err
    assert run(command(world, "m.safetensors", "-q", "--keep-going")) == 5
    assert "'gone'" in capsys.readouterr().err
    assert (world.folder / "m.safetensors").exists()


def test_a_processor_compiles_nothing_and_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command(world, "plain.safetensors"), "--device", "cpu"]) == 0
    capsys.readouterr()
    assert run([*command(world, "asked.safetensors"), "--device", "cpu", "--compile"]) == 0
    assert "--compile is for GPUs" in capsys.readouterr().err
    plain, asked = (read_checkpoint(world.folder / f"{name}.safetensors") for name in ("plain", "asked"))
    assert asked.metrics == plain.metrics


def test_an_existing_model_is_left_alone(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    model = world.folder / "m.safetensors"
    model.write_bytes(b"mine")
    assert run(command(world, model.name)) == 3
    assert "exists already" in capsys.readouterr().err
    assert model.read_bytes() == b"mine"
    model.unlink()
    RunFiles(model).state.write_bytes(b"")
    assert run(command(world, model.name)) == 3
    assert "is the state of an interrupted run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--set", "training.epoch=3"], 2, "is 'training.epochs' meant"),
        (["--preset", "best-detr"], 2, "there are: am-detr"),
        (["--metric", "accuracy"], 2, "expected one of mAP"),
        (["--init", "nowhere.safetensors"], 3, "no such file"),
        (["--device", "cuda:99"], 4, "GPUs that torch can use"),
        (["--set", "network.similarity_channels=1"], 2, "no encoder 'made-up'"),
    ],
)
def test_mistakes_are_explained(
    world: World, capsys: pytest.CaptureFixture[str], more: list[str], code: int, message: str
) -> None:
    assert run(command(world, "m.safetensors", "-q", *more)) == code
    assert message in capsys.readouterr().err
    assert not (world.folder / "m.safetensors").exists()


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "amr", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_at_work(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until the condition holds, while the process lives."""
    wait_for(lambda: condition() or process.poll() is not None)
    assert process.poll() is None, process.communicate()


@fault(
    "signals",
    "SIGKILL, then SIGTERM, while `train` works",
    code=130,
    says="with --resume to continue from there",
    left="model and state; `--resume` ends with the bytes of an uninterrupted run",
)
def test_a_killed_and_a_terminated_run_go_on_as_if_nothing_had_happened(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = ["--epochs", 24, "--ema-decay", 0.9, "--validate-epochs", 8]
    model = world.folder / "m.safetensors"
    state = RunFiles(model).state
    killed = start(command(world, model.name, *long, "--save-every", 0))
    wait_at_work(state.exists, killed)
    time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert state.exists()
    ended = start(command(world, model.name, *long, "--save-every", 1000, "--resume"))
    saved_at = state.stat().st_mtime_ns
    log = RunFiles(model).log
    wait_at_work(lambda: len(log.read_text().splitlines()) > 10, ended)
    ended.send_signal(signal.SIGTERM)
    told = ended.communicate()[1]
    assert ended.returncode == 130, told
    assert "with --resume to continue from there" in told
    assert state.stat().st_mtime_ns > saved_at
    monkeypatch.setattr(sys, "argv", ["amr", "train", "--resume", "-o", "m.safetensors"])
    assert run(command(world, model.name, *long, "--resume", "-q")) == 0
    monkeypatch.setattr(sys, "argv", ["amr", "train", "-o", "m.safetensors"])
    assert run(command(world, "whole.safetensors", *long, "-q")) == 0
    assert model.read_bytes() == (world.folder / "whole.safetensors").read_bytes()
    resumed, whole = lines(capsys)
    assert resumed["metrics"] == whole["metrics"]
    whole_weights = read_checkpoint(world.folder / "whole.safetensors").weights
    for name, weight in read_checkpoint(model).weights.items():
        assert (weight == whole_weights[name]).all(), name
