"""One bad thing among many: a folder is answered for all of it that can be read, what cannot is named."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import IDS, World, end, start
from feature_fakes import FakeEncoder

import amr
from amr.errors import InputError

OTHERS = sorted(set(IDS) - {"recording2"})
DEEP = 20
"""Folders below each other, of 250 letters each: more than the 4096 bytes that a path may have."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path, capfd)
    os.truncate(world.audio / "recording2.wav", 1000)
    return world


def answered(path: str) -> list[str]:
    return [json.loads(line)["vid"] for line in Path(path).read_text().splitlines()]


@fault(
    "input",
    "a recording of a folder is broken, and `predict` is given the folder, or a pattern",
    code=5,
    says="1 broken, the rest is done: audio/recording2.wav",
    left="the answers for all others",
)
def test_a_folder_is_searched_but_for_what_is_broken(world: World) -> Seen:
    for model in ("prior:tiles", "window"):
        seen = world.amr("predict", "--query", "rain", "audio", "--model", model, "-o", "p.jsonl", "-f")
        assert answered("p.jsonl") == OTHERS
        assert "amr predict: error: audio/recording2.wav: is cut" in seen.text
    assert world.amr("predict", "--query", "rain", "audio/*.wav", "--model", "prior:tiles").code == 5
    return seen


@fault(
    "input",
    "a recording of a folder is broken, and `extract` is given the folder",
    code=5,
    says="1 broken, the rest is done: audio/recording2.wav",
    left="the features of all others; `--resume` adds it when it is mended",
)
def test_a_folder_is_extracted_but_for_what_is_broken(world: World) -> Seen:
    seen = world.extract("audio", "-o", "f.h5")
    world.require_all(without=("recording2",))
    return seen


@fault(
    "input",
    "a recording that is named itself is broken",
    code=3,
    says="audio/recording2.wav: is cut",
    left="what is finished, for `--resume`; `--keep-going` does the others",
)
def test_what_is_named_stays_an_error(world: World) -> Seen:
    names = sorted(map(str, world.audio.iterdir()))
    names = [os.path.relpath(name) for name in names]
    asked = ("predict", "--query", "rain", "--model", "prior:tiles", "-o", "p.jsonl")
    assert world.amr(*asked, *names).code == 3
    assert world.amr(*asked, *names, "--keep-going").code == 5
    assert answered("p.jsonl") == OTHERS
    seen = world.extract(*names, "-o", "f.h5")
    assert world.extract(*names, "-o", "f.h5", "--resume", "--keep-going").code == 5
    world.require_all(without=("recording2",))
    return seen


@fault(
    "input",
    "a path, named or below a folder, is longer than the system's limit",
    code=5,
    says="2 broken, the rest is done",
    left="all that can be reached",
)
def test_a_path_that_is_too_long(world: World) -> Seen:
    here = Path.cwd()
    os.chdir("audio")
    for _ in range(DEEP):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    os.chdir(here)
    long_name = "x" * 5000 + ".wav"
    seen = world.amr("predict", "--query", "rain", "audio", "--model", "prior:tiles", "-o", "p.jsonl")
    assert seen.code == 5
    assert "ddd: cannot be read: File name too long" in seen.text
    assert answered("p.jsonl") == OTHERS
    assert world.extract("audio/recording1.wav", long_name, "-o", "f.h5").code == 3
    piped = start("extract", "-", "-o", "f.h5", "-f", "--encoder", "feature_fakes:FakeEncoder",
                  stdin=subprocess.PIPE)  # fmt: skip
    assert piped.stdin is not None
    piped.stdin.write(f"{long_name}\naudio/recording1.wav\n".encode())
    piped.stdin.close()
    piped.stdin = None
    assert end(piped).code == 5
    Path("f.h5").unlink()
    (world.audio / "loop.wav").symlink_to("loop.wav")
    assert "4 broken" in world.extract("audio", long_name, "-o", "f.h5", "--keep-going").text
    (world.audio / "loop.wav").unlink()
    seen = world.extract("audio", "-o", "f.h5", "-f")
    world.require_all(without=("recording2",))
    return seen


def test_python_leaves_out_what_it_found_and_raises_what_was_named(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "amr"):
        found = list(amr.predict("rain", "audio", model="prior:tiles"))
        report = amr.extract("audio", "f.h5", encoder=FakeEncoder())
    assert [each.vid for each in found] == OTHERS
    assert [error.where for error in report.failed] == ["audio/recording2.wav"]
    assert len(caplog.records) == 2
    with pytest.raises(InputError, match="is cut"):
        list(amr.predict("rain", [f"audio/{name}.wav" for name in IDS], model="prior:tiles"))
    failed: list[Exception] = []
    names = [f"audio/{name}.wav" for name in IDS]
    assert len(list(amr.predict("rain", names, model="prior:tiles", on_failure=failed.append))) == 5
    assert len(failed) == 1
