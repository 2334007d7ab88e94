"""``examples/calibrate_scores.py``: what it fits, and that the model it writes scores by it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from test_judge_default import EXAMPLES, load

from amr.cli.predict_model import shipped_path
from amr.cli.train_config import make_plan
from amr.models.checkpoint import read_checkpoint, write_checkpoint

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def calibrate() -> Iterator[ModuleType]:
    yield from load("calibrate_scores")


def sigmoid(x: Floats) -> Floats:
    chance: Floats = 1 / (1 + np.exp(-x))
    return chance


def test_the_likeliest_product_is_found(calibrate: ModuleType) -> None:
    rng = np.random.default_rng(0)
    level, logit = rng.normal(0.25, 0.2, 40_000), rng.normal(-1, 1.3, 40_000)
    chance = sigmoid(12 * level - 2) * sigmoid(1.5 * logit + 0.5)
    hit = (rng.random(len(chance)) < chance).astype(np.float64)
    found = calibrate.fit(calibrate.Outcomes(logit, level, hit))
    assert np.allclose(found, (12, -2, 1.5, 0.5), rtol=0.15)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answers(model: Path, features: Path) -> list[dict[str, Any]]:
    asked = ("--queries", EXAMPLES / "queries.jsonl", "-q")
    done = run("-m", "amr", "predict", features, "--model", model, *asked)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_model_scores_by_the_product_and_is_not_calibrated_twice(tmp_path: Path) -> None:
    plain, calibrated, features = tmp_path / "plain", tmp_path / "calibrated", tmp_path / "feats.h5"
    shipped = read_checkpoint(shipped_path())
    write_checkpoint(plain, replace(shipped, config=shipped.config.uncalibrated()), dtype=torch.float16)
    assert run("-m", "amr", "extract", EXAMPLES / "audio", "-o", features, "-q").returncode == 0
    words = (EXAMPLES / "calibrate_scores.py", plain, EXAMPLES / "queries.jsonl", features, "-o", calibrated)
    done = run(*words)
    assert done.returncode == 0, done.stderr
    curve = done.stdout.split("score = ")[1].strip()
    written = read_checkpoint(calibrated)
    assert written.config.level_weight != 0
    assert written.history[-1] == f"calibrated on queries.jsonl: {curve}"
    before, after = answers(plain, features), answers(calibrated, features)
    assert [each["qid"] for each in before] == [each["qid"] for each in after]
    for one, other in zip(before, after, strict=True):
        ends, scores = np.split(np.array(one["pred_relevant_windows"]), [2], axis=1)
        new_ends, new_scores = np.split(np.array(other["pred_relevant_windows"]), [2], axis=1)
        assert np.abs(ends[0] - new_ends[0]).max() < 0.3
        assert np.abs(scores - new_scores).max() > 0.01
    again = run(words[0], calibrated, *words[2:])
    assert again.returncode == 1
    assert "is calibrated already" in again.stderr


def test_a_training_that_goes_on_from_it_goes_on_without_the_factor() -> None:
    start = read_checkpoint(shipped_path())
    assert start.config.level_weight != 0
    plan = make_plan(preset=None, start=start, config=None, settings=[], chosen={}, dims=(1024, 384))
    assert plan.network == start.config.uncalibrated()
