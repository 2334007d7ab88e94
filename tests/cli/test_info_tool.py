"""``amr info``: kinds by content, integrity by exit code."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import Amr
from safetensors.numpy import save_file

from amr.errors import InputError
from amr.formats.describe import describe
from amr.formats.features.write import FeatureWriter, create_feature_file

IDENTITY = {
    "name": "toy",
    "weights_sha256": "ab" * 32,
    "sample_rate_hz": 16_000,
    "window_samples": 16_000,
    "hop_samples": 16_000,
    "dimension": 4,
    "text_dimension": 3,
    "joint_dimension": 2,
    "normalisation": "none",
    "framing": "windows of 1 s",
}
ANNOTATION = {"qid": 1, "query": "a dog", "duration": 60, "vid": "v", "relevant_windows": [[1, 3], [10, 20]]}


def write_features(path: Path, values: float = 1.0) -> Path:
    """``values`` past the writer, which refuses undefined ones."""
    identity = json.dumps(IDENTITY, sort_keys=True)
    create_feature_file(path, identity_json=identity, store="float32")
    writer = FeatureWriter(path, identity_json=identity)
    for name, count in (("street", 30), ("forest", 42)):
        writer.add(name, np.ones((count, 4), np.float32), duration_s=float(count))
    writer.close()
    with h5py.File(path, "r+") as file:
        file["audio/frames"][:] = values
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.x" for name in ("annotations", "predictions", "queries", "metrics")}
    paths["annotations"].write_text(json.dumps(ANNOTATION) + "\n")
    prediction = {"qid": 1, "query": "a dog", "vid": "v", "pred_relevant_windows": [[1, 2, 0.5]]}
    paths["predictions"].write_text(json.dumps(prediction) + "\n")
    paths["queries"].write_text(json.dumps({"qid": 1, "query": "a dog", "vid": "v", "duration": 9}) + "\n")
    paths["metrics"].write_text(json.dumps({"brief": {"MR-full-R1@0.5": 50.0}, "full": {}}, indent=4))
    paths["features"] = write_features(tmp_path / "features.x")
    paths["weights"] = tmp_path / "weights.x"
    save_file({"a": np.ones((3, 2), np.float32)}, paths["weights"])
    paths["model"] = tmp_path / "model.x"
    metadata = {"amr_format": "model", "schema": "1", "preset": "best", "encoder": json.dumps(IDENTITY)}
    save_file({"a": np.ones((3, 2), np.float32)}, paths["model"], metadata=metadata)
    paths["foreign"] = tmp_path / "foreign.x"
    torch.save({"model": {"a": torch.zeros(3)}}, paths["foreign"])
    paths["item"] = tmp_path / "item.npz"
    np.savez(paths["item"], features=np.ones((5, 4), np.float32))
    paths["tree"] = tmp_path / "tree"
    paths["tree"].mkdir()
    np.savez(paths["tree"] / "v.npz", features=np.ones((5, 4), np.float32))
    return paths


@pytest.mark.parametrize(
    ("name", "kind", "facts"),
    [
        ("annotations", "annotations", {"queries": 1, "moments": 2, "median moment_s": 6.0}),
        ("predictions", "predictions", {"queries": 1, "moments": 1}),
        ("queries", "queries", {"queries": 1, "recordings": 1}),
        ("metrics", "metrics", {"brief": {"MR-full-R1@0.5": 50.0}}),
        ("features", "features", {"recordings": 2, "frames": 72, "hours": 0.02, "encoder": IDENTITY}),
        ("weights", "weights, not one of our models", {"tensors": 1, "numbers": 6}),
        ("model", "a model", {"preset": "best", "encoder": IDENTITY, "numbers": 6}),
        ("foreign", "a checkpoint of torch.save, not one of ours", {}),
        ("item", "features of one item (.npz)", {"arrays": {"features": [5, 4]}}),
        ("tree", "features, a tree of .npz files", {"recordings": 1, "frames": 5, "encoder": None}),
    ],
)
def test_kinds_are_told_by_content(
    files: dict[str, Path], name: str, kind: str, facts: dict[str, object]
) -> None:
    description = describe(files[name])
    assert description.kind == kind
    assert facts.items() <= dict(description.facts).items()
    assert description.problems == ()


def test_recipes_of_both_kinds(tmp_path: Path) -> None:
    published = Path(__file__).parents[1] / "data" / "recipe_small.json"
    scenes = json.loads(published.read_text())
    assert describe(published).kind == "a recipe as Clotho-Moment publishes them"
    assert describe(published).facts["scenes"] == len(scenes)
    (tmp_path / "r.jsonl").write_text(json.dumps({"amr_format": "recipe", "schema": 99}) + "\n")
    with pytest.raises(InputError, match="schema"):
        describe(tmp_path / "r.jsonl")


@pytest.mark.parametrize("values", [np.nan, np.inf])
def test_undefined_numbers_are_found_unless_quick(tmp_path: Path, values: float) -> None:
    path = write_features(tmp_path / "a.h5", values)
    assert describe(path).problems == (
        "recording 'street' holds undefined numbers",
        "recording 'forest' holds undefined numbers",
    )
    assert describe(path, quick=True).problems == ()
    save_file({"a": np.full(3, values, np.float32)}, tmp_path / "a.safetensors")
    assert describe(tmp_path / "a.safetensors").problems == ("a holds undefined numbers",)


@pytest.mark.parametrize("name", ["features", "foreign", "item"])
def test_cut_files_are_damaged(files: dict[str, Path], name: str) -> None:
    data = files[name].read_bytes()
    files[name].write_bytes(data[: len(data) - len(data) // 4])
    with pytest.raises(InputError, match=str(files[name])):
        describe(files[name])


def test_a_cut_model_is_a_problem(files: dict[str, Path]) -> None:
    data = files["model"].read_bytes()
    files["model"].write_bytes(data[:-3])
    [problem] = describe(files["model"]).problems
    assert problem == f"has {len(data) - 3} bytes, its header asks for {len(data)}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a kind of file"),
        (b"hello", "not a kind of file"),
        (b'{"a": 1}\n', "its keys are a"),
        (b"[]", "is an empty list"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=message):
        describe(tmp_path / "x")


def test_the_tool_speaks_json_in_a_pipe_and_tables_to_people(files: dict[str, Path], amr: Amr) -> None:
    done = amr("info", files["features"], files["annotations"])
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["kind"], first["problems"], second["kind"]) == ("features", [], "annotations")
    done = amr("info", "--format", "table", files["features"])
    assert done.stdout.splitlines()[0] == f"{files['features']}: features, whole"
    assert "toy (abababababab…), windows of 1 s" in done.stdout


def test_the_exit_code_tells_damage_and_the_rest_is_told(
    files: dict[str, Path], tmp_path: Path, amr: Amr
) -> None:
    broken = write_features(tmp_path / "broken.h5", np.nan)
    done = amr("info", broken, tmp_path / "nothing", files["metrics"])
    assert done.returncode == 3
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["features", "metrics"]
    assert done.stderr.count("amr info: error: ") == 3
    assert "no such file" in done.stderr
