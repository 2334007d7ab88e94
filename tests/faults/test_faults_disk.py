"""Disks that are full, slow, or may not be written."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import World, ids_in, patched

Pwrite = Callable[[int, memoryview, int], int]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


def failing_after(writes: int, code: int) -> Pwrite:
    """``os.pwrite`` on a disk that takes so many writes and no more."""
    plain, count = os.pwrite, 0

    def pwrite(handle: int, data: memoryview, offset: int) -> int:
        nonlocal count
        count += 1
        if count > writes:
            raise OSError(code, os.strerror(code))
        return plain(handle, data, offset)

    return pwrite


@fault(
    "disk",
    "the disk is full at any of `extract`'s writes",
    code=4,
    says="f.h5: no room to write on (No space left on device)",
    left="what was committed; `--resume` goes on when there is room",
)
def test_no_room_at_any_write(world: World) -> Seen:
    seen, ends = Seen(None, ""), 0
    for writes in range(0, 40, 3):
        with patched(os, "pwrite", failing_after(writes, errno.ENOSPC)):
            done = world.extract("audio", "-o", "f.h5", "--resume", "-q")
        if done.code == 0:
            break
        seen, ends = done, ends + 1
        assert done.code == 4, done.text
        assert "hint: make room" in done.text
        Path("f.h5.part").unlink(missing_ok=True)  # from the start, so that each write is the last one once
        Path("f.h5.part.journal").unlink(missing_ok=True)
    assert ends > 2
    world.resume()
    return seen


@fault(
    "disk",
    "the disk fills up while a complete file is added to",
    code=4,
    says="f.h5: no room to write on",
    left="the file as it was, complete; the same command goes on when there is room",
)
def test_no_room_to_append(world: World) -> Seen:
    assert world.extract("audio/recording0.wav", "-o", "f.h5").code == 0
    for writes in (0, 1, 2):
        with patched(os, "pwrite", failing_after(writes, errno.EDQUOT)):
            seen = world.extract("audio", "-o", "f.h5", "--append")
        assert seen.code == 4
        assert ids_in("f.h5")[:1] == ["recording0"]
    world.resume("--append")
    return seen


@fault(
    "disk",
    "the output's folder may not be written",
    code=3,
    says="/proc/…",
    left="nothing was begun",
)
def test_read_only(world: World) -> Seen:
    return world.extract("audio", "-o", "/proc/f.h5")


@fault(
    "disk",
    "a slow disk: each write takes its time",
    code=0,
    says="6 recordings",
    left="all of it",
)
def test_slow_disk(world: World) -> Seen:
    plain = os.pwrite

    def slow(handle: int, data: memoryview, offset: int) -> int:
        time.sleep(0.01)
        return plain(handle, data, offset)

    with patched(os, "pwrite", slow):
        seen = world.extract("audio", "-o", "f.h5")
    world.require_all()
    return seen


@fault(
    "disk",
    "the disk behind `predict -o` is full",
    code=4,
    says="No space left on device",
    left="nothing under the output's name, nothing beside it",
)
def test_no_room_for_predictions(world: World) -> Seen:
    Path("q.txt").write_text("question\n")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    command = ["predict", "--queries", "q.txt", "audio", "--model", "prior:tiles", "-o", "p.jsonl"]
    with patched(os, "fsync", full):
        seen = world.amr(*command)
    assert sorted(path.name for path in world.folder.iterdir()) == ["audio", "q.txt"]
    assert world.amr(*command).code == 0
    return seen
