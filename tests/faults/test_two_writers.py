"""Two writers that begin one output: the second is refused at once, the first does not notice."""

from __future__ import annotations

import contextvars
import errno
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import FAKE, World, end, start

from amr.errors import InputError
from amr.formats.features.atomic import JournaledFile
from amr.formats.features.read import FeatureFile
from amr.formats.lock import lock_path, sole_writer, sole_writer_in, warn_of_no_locks
from amr.formats.streams import open_output


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


def wait_for(path: Path, work: subprocess.Popen[bytes]) -> None:
    while not (path.exists() and path.stat().st_size):
        assert work.poll() is None, end(work)
        time.sleep(0.02)


@contextmanager
def held_elsewhere(target: Path, *, is_folder: bool = False) -> Iterator[None]:
    """The lock of an output, held by work that is not ours."""
    elsewhere, lock = contextvars.Context(), (sole_writer_in if is_folder else sole_writer)(target)
    elsewhere.run(lock.__enter__)
    try:
        yield
    finally:
        elsewhere.run(lock.__exit__, None, None, None)


@fault(
    "machine",
    "two `extract --resume`, or `--append`, begin one new file",
    code=3,
    says="f.h5: process … is writing this file",
    left="the first writer's work, undisturbed; the second was refused before it looked at anything",
)
def test_two_begin_one_file(world: World) -> Seen:
    first = start("extract", "-", "--resume", "-o", "f.h5", *FAKE, stdin=subprocess.PIPE)
    wait_for(lock_path(Path("f.h5")), first)
    for begin in ("--resume", "--append", "--force", "--quiet"):
        seen = world.extract("audio/recording0.wav", begin, "-o", "f.h5")
        assert seen.code == 3, begin
        assert f"process {first.pid} is writing" in seen.text
    assert first.stdin is not None
    first.stdin.write(b"".join(f"{path}\n".encode() for path in sorted(world.audio.iterdir())))
    first.stdin.close()
    first.stdin = None
    assert end(first).code == 0
    world.require_all()
    assert not lock_path(Path("f.h5")).exists()
    return seen


@fault(
    "machine",
    "two `predict -o`, `score -o` or `convert -o` of one name",
    code=3,
    says="out.jsonl: process … is writing this file",
    left="the first one's answer",
)
def test_two_answers(world: World) -> Seen:
    Path("gt.jsonl").write_text(record(relevant_windows=[[0, 1]]))
    Path("preds.jsonl").write_text(record(pred_relevant_windows=[[0, 1, 0.5]]))
    with held_elsewhere(Path("out.jsonl")):
        for command in (
            ("score", "preds.jsonl", "gt.jsonl"),
            ("convert", "preds.jsonl", "--to", "csv"),
            ("predict", "--model", "prior", "--queries", "gt.jsonl", "audio"),
        ):
            for option in ((), ("-f",)):
                seen = world.amr(*command, *option, "-o", "out.jsonl")
                assert (seen.code, "is writing" in seen.text) == (3, True), (command, seen)
    assert not Path("out.jsonl").exists()
    return seen


def record(**windows: object) -> str:
    return json.dumps({"qid": 1, "query": "a dog", "vid": "recording0", "duration": 4.0, **windows}) + "\n"


@fault(
    "machine",
    "two `train -o` of one name",
    code=3,
    says="m.safetensors: process … is writing this file",
    left="the first one's model, log and state; the second has read nothing",
)
def test_two_trainings(world: World) -> Seen:
    Path("m.safetensors.state").write_bytes(b"the first one's")
    with held_elsewhere(Path("m.safetensors")):
        for option in ("--resume", "--force", "--quiet"):
            seen = world.amr("train", "none.jsonl", option, "-o", "m.safetensors")
            assert seen.code == 3, seen
            assert "is writing" in seen.text
    assert Path("m.safetensors.state").read_bytes() == b"the first one's"
    return seen


def test_folders_are_held_as_a_whole(world: World) -> None:
    Path("preds.jsonl").write_text(record(pred_relevant_windows=[[0, 0.5, 0.5]]))
    Path("out").mkdir()
    with held_elsewhere(Path("out"), is_folder=True):
        for command in (("--clips", "out", "--audio", "audio"), ("--to", "audacity", "--dir", "out")):
            seen = world.amr("convert", "preds.jsonl", *command)
            assert (seen.code, "is writing this folder" in seen.text) == (3, True), seen
    assert not list(Path("out").iterdir())


@fault(
    "machine",
    "two `simulate -o` of one folder, or `--features` of one file",
    code=3,
    says="out: process … is writing this folder",
    left="the first one's recordings; the second was refused before it drew anything",
)
def test_two_simulations(world: World) -> Seen:
    """The sources are missing: whoever looks at them first says so."""
    command = ("simulate", "--foreground", "none.csv", "--background", "nowhere")
    Path("out").mkdir()
    with held_elsewhere(Path("f.h5")):
        assert "f.h5: process" in world.amr(*command, "--features", "f.h5").text
    with held_elsewhere(Path("out/recipe.jsonl")):
        seen = world.amr(*command, "-o", "out")
    Path("out/annotations.jsonl").touch()
    assert "out/annotations.jsonl: exists already" in world.amr(*command, "-o", "out").text
    assert "none.csv" in world.amr(*command, "-o", "new").text
    assert not Path("new").exists()
    return seen


@fault(
    "machine",
    "a file is added to by two of its names (hard links)",
    code=3,
    says="other.h5: another process is writing this file",
    left="the first writer's work, undisturbed",
)
def test_two_names_of_one_file(world: World) -> Seen:
    assert world.extract("audio/recording0.wav", "-q", "-o", "f.h5").code == 0
    Path("other.h5").hardlink_to("f.h5")
    first = JournaledFile(Path("f.h5"))
    seen = world.extract("audio/recording1.wav", "--append", "-o", "other.h5")
    first.close()
    assert world.extract("audio/recording1.wav", "--append", "-q", "-o", "other.h5").code == 0
    with FeatureFile("f.h5") as features:
        assert list(features.ids) == ["recording0", "recording1"]
    return seen


def test_lock_of_a_killed_writer_is_taken_over(tmp_path: Path) -> None:
    target = tmp_path / "out"
    lock_path(target).write_text(f"{os.getpid()} here\n")
    with open_output(target) as file:
        file.write(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_and_its_target_are_one_output(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("out")
    assert lock_path(tmp_path / "link") == lock_path(tmp_path / "out")
    again = open_output(tmp_path / "link")
    with held_elsewhere(tmp_path / "out"), pytest.raises(InputError, match="is writing"), again:
        pass


@fault(
    "machine",
    "the file system has no locks",
    code=0,
    says="warning: the file system of the output has no locks: two writers of one file would not notice",
    left="all of it",
)
def test_no_locks(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    def flock(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    warn_of_no_locks.cache_clear()
    monkeypatch.setattr(fcntl, "flock", flock)
    seen = world.extract("audio", "-o", "f.h5")
    assert seen.text.count("no locks") == 1
    world.require_all()
    return seen
