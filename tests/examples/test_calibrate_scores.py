"""``examples/calibrate_scores.py``: what it fits, and that the model it writes scores by it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from test_judge_default import EXAMPLES, load

from amr.arrays import Float64Array
from amr.models.checkpoint import read_checkpoint, write_checkpoint
from amr.models.frames.constants import SEGMENT_WEIGHTS
from amr.tasks.networks import shipped_path
from amr.tasks.train_config import make_plan

Floats = Float64Array


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
    numbers = np.arange(len(hit))
    found = calibrate.fit(calibrate.Outcomes(logit, level, hit, numbers, np.ones(len(hit))))
    assert np.allclose(found, (12, -2, 1.5, 0.5), rtol=0.15)


def test_scores_of_segments_are_the_best_moments_chances(calibrate: ModuleType) -> None:
    rng = np.random.default_rng(0)
    logit, there = rng.normal(-1, 1.3, 40_000), np.full(40_000, np.log(0.8))
    is_best = np.arange(len(logit)) % 2 == 0
    chance = 0.8 * sigmoid(1.5 * logit + 0.5) * np.where(is_best, 1, 0.3)
    hit = (rng.random(len(chance)) < chance).astype(np.float64)
    found = calibrate.Outcomes(logit, None, hit, np.arange(len(hit)) // 2, np.ones(len(hit)))
    assert np.allclose(calibrate.fit_best(found, there, (1.0, 0.0)), (1.5, 0.5), rtol=0.1)


@pytest.mark.parametrize("slope", [0.2, 0.8, 1.7])
def test_the_likeliest_presence_is_found(calibrate: ModuleType, slope: float) -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(-1, 1.5, 40_000)
    score = sigmoid((logit - 0.4) / 1.2)  # best moments are right more often than they say
    hit = rng.random(len(score)) < sigmoid(logit)
    present = hit | (rng.random(len(score)) < sigmoid(slope * logit - 0.7))
    found = calibrate.Outcomes(
        logit, None, hit.astype(np.float64), np.arange(len(hit)), present.astype(np.float64)
    )
    fitted = calibrate.fit_presence(found, score)
    assert (fitted["right_slope"], fitted["right_shift"]) == pytest.approx((1.2, 0.4), abs=0.07)
    if slope > 1:
        assert fitted["there_slope"] == 1
    else:
        assert (fitted["there_slope"], fitted["there_shift"]) == pytest.approx((slope, -0.7), abs=0.08)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answers(model: Path, features: Path) -> list[dict[str, Any]]:
    asked = ("--queries", EXAMPLES / "queries.jsonl", "-q")
    done = run("-m", "amr", "predict", features, "--model", model, *asked)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("segments", [False, True])
def test_a_model_scores_by_the_product_and_is_not_calibrated_twice(
    calibrate: ModuleType, tmp_path: Path, segments: bool
) -> None:
    plain, calibrated, features = tmp_path / "plain", tmp_path / "calibrated", tmp_path / "feats.h5"
    shipped = read_checkpoint(shipped_path())
    weights = {name: weight.clone() for name, weight in shipped.weights.items()}
    if not segments:
        for name in ("weight", "bias"):
            weights[f"head.{name}"][0] = weights[f"quality.{name}"][0]
        weights = {name: weight for name, weight in weights.items() if name not in SEGMENT_WEIGHTS}
    config = replace(shipped.config.uncalibrated(), segments=segments, quality=segments)
    write_checkpoint(plain, replace(shipped, config=config, weights=weights), dtype=torch.float16)
    assert run("-m", "amr", "extract", EXAMPLES / "audio", "-o", features, "-q").returncode == 0
    words = (EXAMPLES / "calibrate_scores.py", plain, EXAMPLES / "queries.jsonl", features, "-o", calibrated)
    done = run(*words)
    assert done.returncode == 0, done.stderr
    curve = done.stdout.split("score = ")[1].strip()
    written = read_checkpoint(calibrated)
    assert written.config.level_weight != 0
    assert written.history[-1] == f"calibrated on queries.jsonl: {curve}"
    of_level, level_shift, slope, shift = map(float, re.findall(r"[-+]?\d+\.\d+", curve))
    assert (of_level, level_shift) == (written.config.level_weight, written.config.level_shift)
    folded = (written.config.moment_slope, written.config.moment_shift)
    assert folded == ((slope, shift) if segments else (0, 0))
    shifted = tmp_path / "shifted"
    write_checkpoint(shifted, replace(written, config=replace(written.config, level_shift=level_shift - 2)))
    before = answers(plain, features)
    levels = calibrate.levels(plain, before, features)
    for model, its_shift in ((calibrated, level_shift), (shifted, level_shift - 2)):
        after = answers(model, features)
        assert [each["qid"] for each in before] == [each["qid"] for each in after]
        for one, other, level in zip(before, after, levels, strict=True):
            (start_s, end_s, score), best = one["pred_relevant_windows"][0], other["pred_relevant_windows"][0]
            assert best[:2] == pytest.approx([start_s, end_s], abs=0.3)
            logit = np.log(score / (1 - score))
            product = sigmoid(of_level * level + its_shift) * sigmoid(slope * logit + shift)
            assert best[2] == pytest.approx(product, abs=5e-4)
    again = run(words[0], calibrated, *words[2:])
    assert again.returncode == 1
    assert "is calibrated already" in again.stderr


def test_a_training_that_goes_on_from_it_goes_on_without_the_factor() -> None:
    start = read_checkpoint(shipped_path())
    assert start.config.level_weight != 0
    plan = make_plan(preset=None, start=start, config=None, settings={}, training={}, dims=(1024, 384))
    assert plan.network == start.config.uncalibrated()
