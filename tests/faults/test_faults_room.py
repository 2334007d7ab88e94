"""Room that runs out, in any tool: complete and exit 0, or absent and exit 4 with the file's name."""

from __future__ import annotations

import errno
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fault_table import Seen, fault
from fault_world import World, patched

from amr.errors import MissingError
from amr.training.loading import allocate

CLIP = "recording3_00h00m00.000s-00h00m02.000s_rain"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path, capfd)
    queries = [{"qid": n, "query": f"rain {n}"} for n in range(40)]
    Path("q.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    moment = {"qid": 1, "query": "rain", "vid": "recording3", "pred_relevant_windows": [[0, 2, 0.5]]}
    Path("p.jsonl").write_text(json.dumps(moment) + "\n")
    return world


@contextmanager
def room_for(num_bytes: int) -> Iterator[None]:
    """No file may become longer than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@fault(
    "disk",
    "the disk is full while `convert --clips` writes a clip",
    code=4,
    says=f"clips/{CLIP}.mp3: File too large",
    left="the clips that are complete; nothing under this one's name",
)
def test_no_room_for_a_clip(world: World) -> Seen:
    command = ["convert", "p.jsonl", "--clips", "clips", "--audio", "audio", "--clip-form"]
    seen = Seen(None, "")
    for form in ("wav", "flac", "ogg", "mp3"):
        for room in (600, 2000, 5000):
            with room_for(room):
                seen = world.amr(*command, form)
            assert seen.code == 4, (form, room, seen)
            assert list(Path("clips").iterdir()) == []
    for form in ("wav", "flac", "ogg", "mp3"):
        assert world.amr(*command, form).code == 0
        assert soundfile.info(f"clips/{CLIP}.{form}").duration == pytest.approx(2, abs=0.1)
    return seen


COMMANDS = {
    "predict": ("p2.jsonl", "predict", "--queries", "q.jsonl", "audio", "--model", "prior:tiles", "-o"),
    "convert": ("p.csv", "convert", "whole.jsonl", "--to", "csv", "-o"),
    "--to-npz": ("tree", "extract", "whole.h5", "--to-npz"),
    "--merge": ("f.h5", "extract", "--merge", "whole.h5", "-o"),
    "plot": ("p.png", "plot", "p.jsonl", "-o"),
}


@pytest.mark.parametrize("tool", ["predict", "convert", "--to-npz", "--merge", "plot"])
def test_no_room_in_any_tool(world: World, tool: str) -> None:
    world.require_extracted()
    every = ["predict", "--queries", "q.jsonl", "audio", "--model", "prior:tiles", "-o", "whole.jsonl"]
    assert world.amr(*every).code == 0
    target, *command = COMMANDS[tool]
    command += [target] if command[-1] in ("-o", "--to-npz") else []
    with room_for(300 if tool == "--to-npz" else 1000):
        seen = world.amr(*command)
    assert seen.code == 4, seen
    assert f"error: {target}" in seen.text
    assert "File too large" in seen.text
    assert ".part" not in seen.text
    assert not Path(target).is_file()
    assert [str(path) for path in Path().rglob("*") if ".part" in path.name] == []


@fault(
    "disk",
    "training data are larger than the memory, and `$TMPDIR` has no room for them",
    code=4,
    says="no room for 0.008 GB of features (No space left on device); --memory holds 0 GB",
    left="nothing was begun",
)
def test_no_room_for_training_data(tmp_path: Path) -> Seen:
    def full(handle: int, offset: int, num_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert np.all(allocate((1000, 10), np.float32, 0) == 0)
    with patched(os, "posix_fallocate", full), pytest.raises(MissingError) as raised:
        allocate((1_000_000, 2), np.float32, 0)
    assert list(tmp_path.iterdir()) == []
    return Seen(raised.value.exit_code, str(raised.value))


def test_no_file_name_is_too_long_for_its_temporary_one(world: World) -> None:
    name = "p" * 240 + ".jsonl"
    command = ["predict", "--query", "rain", "audio", "--model", "prior:tiles", "-o"]
    assert world.amr(*command, name).code == 0
    assert len(Path(name).read_text().splitlines()) == 6
    seen = world.amr(*command, "/proc/p.jsonl")
    assert seen.code == 3
    assert "error: /proc/p.jsonl: " in seen.text


def test_what_is_replaced_keeps_its_permissions(world: World) -> None:
    world.require_extracted()
    every = ["predict", "--query", "rain", "audio", "--model", "prior:tiles", "-o", "p2.jsonl", "-f"]
    for command, target in (
        (every, "p2.jsonl"),
        (["extract", "audio", "-o", "whole.h5", "-f", "--encoder", "feature_fakes:FakeEncoder"], "whole.h5"),
    ):
        Path(target).touch()
        Path(target).chmod(0o640)
        assert world.amr(*command).code == 0
        assert Path(target).stat().st_mode & 0o777 == 0o640
