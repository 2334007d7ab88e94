"""``examples/judge_curves.py`` and ``examples/calibrate_curves.py``, run on a network with random weights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_judge_default import EXAMPLES

from amr.cli.main import run
from amr.encoders.registry import load_encoder
from amr.formats.features.open import open_features
from amr.functional import sigmoid
from amr.models.build import build_network
from amr.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from amr.models.presets import PRESETS
from amr.retrieval.window import default_options
from amr.retrieval.window_finder import WindowFinder

MOMENTS = {"sheepfield": ("a sheep bleats", [4.0, 9.0]), "lumberjack": ("someone chops wood", [26.9, 42.3])}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, annotations and features."""
    made = tmp_path_factory.mktemp("curves")
    torch.manual_seed(0)
    network = build_network(PRESETS["curves"].network)
    checkpoint = Checkpoint(
        network.config,
        load_encoder().identity,
        preset="curves",
        training={"training": {"curve_kinds": "own cosine"}},
        weights=network.state_dict(),
    )
    write_checkpoint(made / "model.safetensors", checkpoint)
    with open(made / "gt.jsonl", "w", encoding="utf-8") as file:
        for qid, (vid, (query, window)) in enumerate(MOMENTS.items()):
            record = {"qid": qid, "query": query, "vid": vid, "duration": 60, "relevant_windows": [window]}
            file.write(json.dumps(record) + "\n")
    sounds = [str(EXAMPLES / "audio" / f"{vid}.ogg") for vid in MOMENTS]
    assert run(["extract", *sounds, "-o", str(made / "feats.h5"), "-q"]) == 0
    return made


def example(name: str, folder: Path, *words: str, model: str = "model.safetensors") -> str:
    """What the script prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(EXAMPLES.parent), str(EXAMPLES)))}
    line = [sys.executable, str(EXAMPLES / name), model, "gt.jsonl", "feats.h5", *words]
    done = subprocess.run(line, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def test_it_is_judged_beside_the_window(folder: Path) -> None:
    rows = example("judge_curves.py", folder, "--kinds", "log,cosine", "--encoder", "yamnet").splitlines()[2:]
    assert [row.split("|")[1:3] for row in rows] == [[" log ", " 2 "], [" cosine ", " 2 "]]


def test_scores_are_calibrated_on_curves_of_all_kinds(folder: Path) -> None:
    said = example("calibrate_curves.py", folder, "-o", "calibrated.safetensors")
    plain, calibrated = (read_checkpoint(folder / f"{name}.safetensors") for name in ("model", "calibrated"))
    curve = said.strip().rsplit("score = ", 1)[1]
    assert curve in calibrated.history[-1]
    fitted = tuple(map(float, re.findall(r"[-+]?\d+\.\d+", curve)))
    config = calibrated.config
    assert fitted == (config.level_weight, config.level_shift, config.moment_slope, config.moment_shift)
    assert config.right_slope > 0
    assert config.there_level_slope == 0
    for name, weight in plain.weights.items():
        assert torch.equal(weight.half().float(), calibrated.weights[name].float()), name


def test_scores_are_as_calibration_says_and_once(folder: Path) -> None:
    asked = ["predict", str(folder / "feats.h5"), "--queries", str(folder / "gt.jsonl"), "-q"]
    scores = {}
    for name in ("model", "calibrated"):
        target = folder / f"{name}.jsonl"
        assert run([*asked, "--model", str(folder / f"{name}.safetensors"), "-o", str(target), "-f"]) == 0
        lines = map(json.loads, target.read_text(encoding="utf-8").splitlines())
        scores[name] = [np.array(each["pred_relevant_windows"])[:, 2] for each in lines]
    config = read_checkpoint(folder / "calibrated.safetensors").config
    window = WindowFinder(load_encoder(), default_options("yamnet"))
    with open_features(str(folder / "feats.h5")) as features:
        for (vid, (query, _)), plain, found in zip(MOMENTS.items(), *scores.values(), strict=True):
            curve = window.curves(features.frames(vid).astype(np.float32), [query])[:, 0]
            level = float(window.heights(curve, features.hop_s).max())
            there = sigmoid(np.array(config.level_weight * level + config.level_shift))
            logit = np.log(plain / (1 - plain))
            wanted = there * sigmoid(config.moment_slope * logit + config.moment_shift)
            assert np.allclose(found, wanted, atol=2e-3)
    with pytest.raises(subprocess.CalledProcessError) as error:
        example("calibrate_curves.py", folder, "-o", "again.safetensors", model="calibrated.safetensors")
    assert "is calibrated already" in error.value.stderr
