"""``amr.tasks.train.train`` from Python: the command line's figures and bytes, and its callbacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_world import DIM, TINY_NETWORK, World

from amr.cli.main import run
from amr.errors import AmrError, InputError, StoppedError, UsageError
from amr.formats.annotations import read_annotations
from amr.models.checkpoint import read_checkpoint
from amr.tasks.callbacks import Progress
from amr.tasks.train import train
from amr.tasks.train_report import TrainProgress, TrainReport
from amr.training.job import RunFiles

SETTINGS = {f"network.{name}": value for name, value in TINY_NETWORK.items() if value != DIM}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.fill("train", 8, seed=0)
    made.fill("val", 4, seed=1)
    return made


def trained(world: World, model: str, **more: Any) -> TrainReport:
    """A tiny network after two epochs."""
    arguments: dict[str, Any] = {
        "features": world.features,
        "validation": world.folder / "val.jsonl",
        "preset": "am-detr",
        "settings": SETTINGS,
        "batch_size": 4,
        "epochs": 2,
        "threads": 1,
    }
    return train(world.folder / "train.jsonl", world.folder / model, **(arguments | more))


def command(world: World, model: str, *more: str) -> list[str]:
    """The same as a command line."""
    folder = world.folder
    words = ["train", folder / "train.jsonl", "--features", world.features, "-o", folder / model]
    words += ["--preset", "am-detr"]
    words += ["--validation", folder / "val.jsonl", "--batch-size", 4, "--epochs", 2, "--threads", 1]
    words += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    return [*map(str, words), *more]


def test_python_and_the_command_line_give_the_same_model(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = command(world, "one.safetensors", "-q")
    monkeypatch.setattr("sys.argv", ["amr", *words])
    assert run(words) == 0
    printed = json.loads(capsys.readouterr().out)
    one, two = world.folder / "one.safetensors", world.folder / "two.safetensors"
    stated = read_checkpoint(one).history[-1]
    assert stated.startswith("amr train ")
    report = trained(world, two.name, command=stated)
    assert report.record() == printed | {"model": str(two)}
    assert one.read_bytes() == two.read_bytes()
    assert "<td>" in report._repr_html_()


def test_a_model_says_which_call_made_it(world: World) -> None:
    learned = read_annotations(world.folder / "train.jsonl")
    held_out = world.folder / "val.jsonl"
    report = train(
        learned,
        world.folder / "m.safetensors",
        features=world.features,
        validation=held_out,
        settings={"network": {name.split(".")[1]: value for name, value in SETTINGS.items()}},
        epochs=1,
        batch_size=4,
    )
    kept = read_checkpoint(report.models[0].path)
    assert kept.history[0].startswith(f"amr.train(<8 annotations>, '{report.models[0].path}', features='")
    assert kept.history[0].endswith("epochs=1, batch_size=4)")
    assert set(kept.data_sha256) == {
        "annotations",
        "val.jsonl",
        "features (training)",
        "features (validation)",
    }
    assert kept.training["training"]["epochs"] == 1


def test_seeds_and_progress(world: World) -> None:
    seen: list[TrainProgress] = []
    report = trained(world, "m.safetensors", seeds=2, seed=5, on_progress=seen.append)
    assert [(each.path.name, each.seed) for each in report.models] == [
        ("m-1.safetensors", 5),
        ("m-2.safetensors", 6),
    ]
    assert set(report.record()) == {"runs", "mean", "sd"}
    ended = [each for each in seen if each.record["event"] == "epoch"]
    assert [(each.model.name, each.done, each.total, each.share) for each in ended] == [
        ("m-1.safetensors", 1, 4, 0.25),
        ("m-1.safetensors", 2, 4, 0.5),
        ("m-2.safetensors", 3, 4, 0.75),
        ("m-2.safetensors", 4, 4, 1.0),
    ]
    assert isinstance(ended[0], Progress)
    assert ended[1].record["metrics"].keys() == report.models[0].metrics.keys()


READING = (8 + 8 + 2) + (4 + 4 + 2)
"""Questions before the first step."""


def stop_after(questions: int) -> Callable[[], bool]:
    """Asked before each recording and each text that is read, and each block, then several times a step."""
    count = 0

    def should_stop() -> bool:
        nonlocal count
        count += 1
        return count == questions

    return should_stop


def test_a_stopped_training_goes_on_to_the_same_bytes(world: World) -> None:
    trained(world, "whole.safetensors", command="the same")
    with pytest.raises(StoppedError, match="stopped after step"):
        trained(world, "parts.safetensors", command="the same", should_stop=stop_after(READING + 5))
    with pytest.raises(StoppedError, match="stopped before the first step"):
        trained(world, "never.safetensors", should_stop=lambda: True)
    assert not list(world.folder.glob("never*"))
    assert RunFiles(world.folder / "parts.safetensors").state.exists()
    with pytest.raises(InputError, match="exists already"):
        trained(world, "parts.safetensors")
    trained(world, "parts.safetensors", command="the same", resume=True)
    whole, parts = (world.folder / f"{name}.safetensors" for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()


def test_what_has_no_features_is_raised_or_handed_over(world: World) -> None:
    source = world.folder / "train.jsonl"
    gone = {"qid": 99, "query": "sound number 0", "vid": "gone", "duration": 9, "relevant_windows": [[1, 2]]}
    source.write_text(source.read_text() + json.dumps(gone) + "\n")
    with pytest.raises(InputError, match="'gone'"):
        trained(world, "m.safetensors", epochs=1)
    failures: list[AmrError] = []
    trained(world, "m.safetensors", epochs=1, on_failure=failures.append)
    assert [failure.what for failure in failures] == [
        f"1 recording without features in {world.features}: 'gone'"
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"settings": {"network.gat": "values"}}, "is 'network.gate' meant"),
        ({"settings": {"training.epochs": 1, "training.epochs.x": 2}}, "it holds no others"),
        ({"epoch": 3}, "is 'training.epochs' meant"),
        ({"preset": "none"}, "no preset 'none'"),
    ],
)
def test_mistakes_are_errors_of_ours(world: World, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trained(world, "m.safetensors", **wrong)
