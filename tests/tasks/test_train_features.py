"""The features that ``amr train`` is given in several parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_world import World, command

from amr.cli.main import run


def part(folder: Path, name: str, shard: str) -> World:
    """One part of a job array's features, with the annotations of its recordings as ``name.jsonl``."""
    folder.mkdir()
    world = World(folder)
    world.fill(name, 6, seed=0)
    world._writer.add_history({"command": "amr extract", "shard": shard})
    world.close()
    return world


def test_a_lost_part_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, three = part(tmp_path / "one", "train", "1/3"), part(tmp_path / "three", "val", "3/3")
    asked = command(one, "m.safetensors", "--features", three.features, "--epochs", 1)
    asked[asked.index("--validation") + 1] = str(three.folder / "val.jsonl")
    assert run(asked) == 0
    assert "amr train: warning: part 2/3 missing" in capsys.readouterr().err
    assert run([*asked, "-q", "--force"]) == 0
    assert capsys.readouterr().err == ""
    alone = command(one, "alone.safetensors", "--epochs", 1)
    alone[alone.index("--validation") + 1] = str(one.folder / "train.jsonl")
    assert run(alone) == 0
    assert "missing" not in capsys.readouterr().err
