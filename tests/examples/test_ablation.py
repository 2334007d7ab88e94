"""``examples/ablation.py`` and what it rests on: sets, exchanged sets, tables, on a small made-up world."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import training_world
from training_world import DIM, World, directions

from amr.arrays import Float32Array as Floats
from amr.cli.main import run
from amr.cli.train import parse_settings
from amr.encoders import registry
from amr.encoders.base import TextFeatures
from amr.encoders.yamnet.encoder import YamnetEncoder
from amr.formats.features.open import open_features
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.training.plan import TrainingPlan, nested

EXAMPLES = Path(__file__).parents[2] / "examples"
SYSTEMS = ("am-detr", "lcs-detr, gate on values")
IDENTITY = replace(training_world.IDENTITY, joint_dimension=DIM)


class Joint:
    """The made-up world's encoder: frames and sentences are directions in one space."""

    def __init__(self, **_: object) -> None:
        self.identity = IDENTITY

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        vectors = [directions()[int(query.split()[-1])] for query in queries]
        return [TextFeatures(vector[None], vector) for vector in vectors]

    def joint_audio(self, frames: Floats) -> Floats:
        return frames.astype(np.float32)

    def joint_text(self, pooled: Floats) -> Floats:
        return pooled.astype(np.float32)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Load a script and what it imports from beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    loaded: list[str] = []

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        loaded.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in (*loaded, "exchange", "heldout_annotations"):
        sys.modules.pop(name, None)


def in_process(*words: object) -> str:
    """What ``amr`` prints."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out):
        assert run([str(word) for word in words]) == 0
    out.seek(0)
    return out.read()


@pytest.fixture
def ablation(example: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with ``amr`` in this process."""
    module: ModuleType = example("ablation")

    def score(*words: object) -> Any:
        return json.loads(in_process("score", *words, "--format", "json", "-q"))

    monkeypatch.setattr(module, "amr", in_process)
    monkeypatch.setattr(module, "score", score)
    return module


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Train and scenes, with features under their names."""
    monkeypatch.setattr(training_world, "IDENTITY", IDENTITY)
    monkeypatch.setitem(registry.BUILT_IN, IDENTITY.name, f"{__name__}:Joint")
    world = World(tmp_path)
    for name, count, seed in (("train", 8, 0), ("scenes", 4, 1)):
        world.fill(name, count, seed=seed)
        (tmp_path / f"{name}.h5").write_bytes(world.features.read_bytes())
    return tmp_path


def tables(
    ablation: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> list[list[str]]:
    """The cells of what the script prints."""
    monkeypatch.setattr(sys, "argv", ["ablation.py", *map(str, words)])
    ablation.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_every_system_has_a_row_in_each_table(
    ablation: ModuleType, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--epochs", "1", "--hidden", "16", "--seeds", "2", "--exchange", "--only"]
    words = (sets, sets / "out", *sizes, *SYSTEMS)
    rows = tables(ablation, monkeypatch, capsys, *words)
    assert [row[0] for row in rows] == 2 * ["system", "---", *ablation.METHODS, *SYSTEMS]
    width = 2 + len(ablation.FIGURES) + len(ablation.COMPARED)
    scenes = rows[: len(rows) // 2]
    assert all(len(row) == width for row in scenes)
    assert [row[1] for row in scenes[2:]] == ["-", "-", "-", "2", "2"]
    assert all("p " in row[-1] for row in scenes[2:] if row[0] != "am-detr")
    assert all(len(row) == 4 for row in rows[len(rows) // 2 :])
    weights = {path.name: path.stat().st_mtime_ns for path in (sets / "out").glob("*.safetensors")}
    assert len(weights) == 4
    tables(ablation, monkeypatch, capsys, *words, "--no-table")
    assert weights == {path.name: path.stat().st_mtime_ns for path in (sets / "out").glob("*.safetensors")}


def test_every_variant_can_be_built(ablation: ModuleType, tmp_path: Path) -> None:
    """No switch of a row contradicts another, and no name is the file of two systems."""
    bench = ablation.Bench(tmp_path, tmp_path, 1, 32, 32, 1e-3, 1, ())
    assert len({ablation.plain(system.name) for system in ablation.SYSTEMS}) == len(ablation.SYSTEMS)
    for system in ablation.SYSTEMS:
        settings = parse_settings(list(bench.settings(system)))
        plan = TrainingPlan.of_preset(system.preset).with_fields(nested(settings), "test")
        assert plan.network.hidden_dim == 32


def test_exchanged_sets_keep_what_is_right(example: Any, sets: Path, tmp_path: Path) -> None:
    exchange = example("exchange")
    out = tmp_path / "exchanged"
    out.mkdir()
    assert exchange.exchanged_sets(sets, out, ["scenes"]) == ["scenes-other", "scenes-shuffled"]
    own, other, shuffled = (
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (sets / "scenes.jsonl", out / "scenes-other.jsonl", out / "scenes-shuffled.jsonl")
    )
    assert all(a["query"] != b["query"] for a, b in zip(own, other, strict=True))
    assert [each["relevant_windows"] for each in own] == [each["relevant_windows"] for each in other]
    with open_features(sets / "scenes.h5") as before, open_features(out / "scenes-shuffled.h5") as after:
        for record in shuffled:
            name = record["vid"].removeprefix("shuffled-")
            rows, moved = before.frames(name), after.frames(record["vid"])
            np.testing.assert_allclose(np.sort(rows, axis=0), np.sort(moved, axis=0), atol=2e-3)
            assert not np.allclose(rows, moved, atol=2e-3)


def test_features_are_halved(example: Any, tmp_path: Path) -> None:
    """The mean of each two frames, an odd one alone; texts as they were; another encoder's are refused."""
    scripts = example("ablation_sets")
    identity = YamnetEncoder(hop_s=scripts.HOP_S / 2).identity
    frames = np.arange(3, dtype=np.float32)[:, None].repeat(identity.dimension, axis=1)
    text = np.ones((1, identity.text_dimension), np.float32)
    write(tmp_path / "native.h5", identity.to_json(), frames, text)
    (tmp_path / "set.jsonl").write_text('{"query": "rain"}\n')
    scripts.halve(tmp_path / "native.h5", tmp_path / "set.jsonl", tmp_path / "half.h5")
    with open_features(tmp_path / "half.h5") as reader:
        np.testing.assert_array_equal(reader.frames("a")[:, 0], [0.5, 2.0])
        assert reader.has_text("rain")
        assert json.loads(reader.identity_json or "")["hop_samples"] == 2 * identity.hop_samples
    write(
        tmp_path / "other.h5",
        IDENTITY.to_json(),
        np.zeros((3, DIM), np.float32),
        np.ones((1, DIM), np.float32),
    )
    with pytest.raises(SystemExit, match="cannot be halved"):
        scripts.halve(tmp_path / "other.h5", tmp_path / "set.jsonl", tmp_path / "more.h5")


def write(path: Path, identity_json: str, frames: Any, text: Any) -> None:
    """A feature file of one recording ``a`` and the query ``rain``."""
    create_feature_file(path, identity_json=identity_json, store="float16")
    writer = FeatureWriter(path, identity_json=identity_json)
    writer.add("a", frames, duration_s=float(len(frames)))
    writer.add_text("rain", TextFeatures(text, text.mean(axis=0)))
    writer.close()
