"""A model of segments answers wherever one of proposals does: without torch, over long recordings and
archives, for examples and for sentences of two sounds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from archive_world import Tool

from amr.encoders.registry import load_encoder
from amr.encoders.running.stream import encode_recording
from amr.formats.features.output import open_feature_output
from amr.models.checkpoint import read_checkpoint, write_checkpoint
from amr.models.frames.constants import ENDS, LENGTH_CLASSES
from amr.tasks.networks import shipped_path

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
CHOPS = ("predict", "--query", "someone chops wood", "--model", "segments.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve short recordings and one of three windows, and the shipped model with moments of any length."""
    place = tmp_path_factory.mktemp("segments")
    shipped = read_checkpoint(shipped_path())
    ends = {"ends.weight": torch.zeros(ENDS, 192), "ends.bias": torch.full((ENDS,), -1.0)}
    model = replace(
        shipped,
        config=replace(shipped.config, segments=True, moment_slope=0.8, moment_shift=0.3),
        weights={**shipped.weights, **ends, "by_length": torch.linspace(1, 0, LENGTH_CLASSES)},
    )
    write_checkpoint(place / "segments.safetensors", model, dtype=torch.float16)
    encoder = load_encoder("yamnet")
    files = sorted(AUDIO.glob("*.ogg"))
    heard = np.concatenate([encode_recording(encoder, file)[0] for file in files])
    identity = encoder.identity.to_json()
    with open_feature_output(place / "a.h5", identity_json=identity, store="float16") as writer:
        for number in range(12):
            frames = heard[11 * number : 11 * number + 25 + number]
            writer.add(f"r{number}", frames, duration_s=0.48 * len(frames) + 0.49)
    with open_feature_output(place / "long.h5", identity_json=identity, store="float16") as writer:
        frames = np.resize(heard, (700, heard.shape[1]))
        writer.add("long", frames, duration_s=0.48 * len(frames) + 0.49)
    return place


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Tool:
    monkeypatch.chdir(folder)
    return Tool(capfd, monkeypatch)


def windows(records: list[dict[str, Any]]) -> list[list[float]]:
    return [window for record in records for window in record["pred_relevant_windows"]]


@pytest.mark.parametrize("features", ["a.h5", "long.h5"])
def test_stored_features_are_answered_without_torch_and_as_torch_does(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, features: str
) -> None:
    found = tool(*CHOPS, features)
    assert found.returncode == 0, found.stderr
    command = (
        "import sys; from amr.cli.main import run; code = run(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    alone = [sys.executable, "-c", command, *CHOPS, features]
    apart = subprocess.run(alone, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in apart.stdout.splitlines()]
    assert [record["qid"] for record in records] == [record["qid"] for record in found.records]
    assert windows(records) == pytest.approx(np.array(windows(found.records)), abs=2e-3)
    monkeypatch.setattr("amr.retrieval.trained.model.is_known", lambda _: False)
    in_torch = tool(*CHOPS, features)
    assert windows(in_torch.records) == pytest.approx(np.array(windows(found.records)), abs=2e-3)


def test_an_archive_is_searched_until_no_other_can_be_among_the_best(tool: Tool) -> None:
    assert tool("predict", "--index", "-q", "--model", "segments.safetensors", "a.h5").returncode == 0
    exact = tool(*CHOPS, "--top", "4", "--shortlist", "all", "a.h5")
    assert len(windows(exact.records)) == 4
    assert tool(*CHOPS, "--top", "4", "--shortlist", "exact", "a.h5").stdout == exact.stdout
    assert tool(*CHOPS, "--top", "4", "a.h5").stdout == exact.stdout


def test_examples_prior_and_two_sounds_reach_it(tool: Tool) -> None:
    model = ("--model", "segments.safetensors", "a.h5")
    like = tool("predict", "--like", str(AUDIO / "sheepfield.ogg"), *model)
    assert like.returncode == 0, like.stderr
    assert len(like.records) == 12
    plain, rare = (
        windows(tool(*CHOPS, "a.h5").records),
        windows(tool(*CHOPS, "--prior", "0.01", "a.h5").records),
    )
    assert max(score for *_, score in rare) < max(score for *_, score in plain)
    both = tool("predict", "--query", "a sheep bleats while someone chops wood", *model)
    assert both.returncode == 0, both.stderr
    assert len(windows(both.records)) > 0
