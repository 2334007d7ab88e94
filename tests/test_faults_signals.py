"""Ctrl-C, SIGTERM and SIGKILL: one line, a documented code, and every finished recording in the file."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import World, end, ids_in, start, wait_for

SLOW = ("--encoder", "feature_fakes:SlowestEncoder", "--device", "cpu", "--workers", "1")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


def many(world: World) -> None:
    """More recordings than are done before a signal comes."""
    for copy in range(60):
        os.link(world.audio / "recording3.wav", world.audio / f"copy{copy:02d}.wav")


def at_work(path: str = "f.h5.part") -> bool:
    return bool(ids_in(path))


@fault(
    "signals",
    "SIGTERM while `extract` works",
    code=143,
    says="terminated",
    left="the recording at hand is finished, the part closed; `--resume` goes on",
)
def test_sigterm_finishes_the_recording(world: World) -> Seen:
    many(world)
    work = start("extract", "audio", "-o", "f.h5", *SLOW)
    wait_for(at_work)
    work.send_signal(signal.SIGTERM)
    seen = end(work)
    assert "SIGTERM: stopping after this recording" in seen.text
    assert not Path("f.h5").exists()
    assert not Path("f.h5.part.journal").exists()
    before = ids_in("f.h5.part")
    assert 0 < len(before) < 66
    assert world.extract("audio", "-o", "f.h5", "--resume").code == 0
    assert len(ids_in("f.h5")) == 66
    return seen


@fault(
    "signals",
    "Ctrl-C twice while `extract` works: the second one stops it at once",
    code=130,
    says="SIGINT again: stopped at once",
    left="the part opens with every finished recording; `--resume` goes on",
)
def test_sigint_twice_stops_at_once(world: World) -> Seen:
    many(world)
    stuck = ("--encoder", "fault_fakes:StuckEncoder", "--device", "cpu", "--workers", "1")
    work = start("extract", "audio", "-o", "f.h5", *stuck)
    wait_for(lambda: Path("stuck").exists() and at_work())
    work.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        work.wait(timeout=1.0)  # the encoder is stuck, a clean end would have to wait for it
    work.send_signal(signal.SIGINT)
    seen = end(work)
    before = ids_in("f.h5.part")
    assert before
    assert world.extract("audio", "-o", "f.h5", "--resume").code == 0
    assert set(before) < set(ids_in("f.h5"))
    return seen


@fault(
    "signals",
    "Ctrl-C in `predict`",
    code=130,
    says="amr predict: error: interrupted",
    left="nothing stands under the output's name",
)
def test_sigint_in_another_tool(world: World) -> Seen:
    work = start("predict", "--query", "rain", "-", "-o", "p.jsonl", stdin=subprocess.PIPE)
    assert work.stdin is not None
    work.stdin.write(b"a name\n" * 50_000)  # more than a pipe holds: when it is gone, somebody reads it
    work.send_signal(signal.SIGINT)
    seen = end(work)
    assert seen.text.count("\n") == 1
    assert sorted(path.name for path in world.folder.iterdir()) == ["audio"]
    return seen


@fault(
    "signals",
    "SIGKILL while `predict` writes",
    code=-9,
    says="",
    left="nothing under the output's name; a hidden `.NAME.PID.part` may stay behind",
)
def test_killed_while_predicting(world: World) -> Seen:
    Path("q.txt").write_text("".join(f"question {number}\n" for number in range(20_000)))
    command = ["predict", "--queries", "q.txt", "audio", "--model", "prior:tiles", "-o", "p.jsonl"]
    work = start(*command)
    wait_for(lambda: any(path.stat().st_size for path in world.folder.glob(".p.jsonl.*.part")))
    work.kill()
    seen = end(work)
    assert not Path("p.jsonl").exists()
    assert len(list(world.folder.glob(".p.jsonl.*.part"))) == 1
    Path("q.txt").write_text("question\n")
    assert world.amr(*command).code == 0
    assert len(Path("p.jsonl").read_text().splitlines()) == 6
    return seen
