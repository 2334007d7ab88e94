"""Two processes under torchrun give what one gives; where one dies the others stop, and say which it was."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import IDS, TESTS, World, end, ids_in, start, write_noise
from feature_fakes import contents
from training_world import World as TrainingWorld
from training_world import command
from waiting import HANG_S, SOON_S, wait_for

from amr.cli.main import run
from amr.models.checkpoint import read_checkpoint

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


def two(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*LAUNCHER, "-m", "amr", *arguments],
        input=stdin,
        capture_output=True,
        timeout=HANG_S,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
    )


def ours(done: subprocess.CompletedProcess[bytes]) -> str:
    """What amr said; torchrun says much besides."""
    lines = done.stderr.decode().splitlines()
    return "\n".join(line for line in lines if line.startswith(("amr extract", "amr predict", "hint:")))


@fault(
    "group",
    "one of two processes of `torchrun … -m amr extract` is killed",
    code=1,
    says="amr extract [process 1 of 2]: error: process 2 of 2 went away before … was finished",
    left="both shares; the same command with `--resume` ends with the file that one process makes",
)
def test_extract_where_one_dies_and_goes_on(world: World) -> Seen:
    """The recordings are many, so that the first process is at work when it is told of the death."""
    for number in range(120):
        write_noise(world.audio / f"more{number:03d}.wav", 1, seed=number)
    Path("q.txt").write_text("rain\nwind\nsnow\nhail\n")
    options = ["audio", "--queries", "q.txt", "--device", "cpu", "--workers", "1"]
    dying = ["--encoder", "fault_fakes:DyingEncoder"]
    done = two("extract", *options, *dying, "-o", "f.h5")
    assert not Path("f.h5").exists()
    assert {path.name for path in world.folder.glob("f.h5*.part")} <= {
        f"f.h5.process-{number}-of-2.part" for number in (1, 2)
    }
    again = two("extract", *options, *dying, "-o", "f.h5", "--resume", "-q")
    assert again.returncode == 0, again.stderr
    assert ours(again) == ""
    assert sorted(path.name for path in world.folder.iterdir()) == [
        "at_work",
        "audio",
        "died",
        "f.h5",
        "q.txt",
    ]
    assert run(["extract", *options, *dying, "-o", "whole.h5", "-q"]) == 0
    whole, shared = contents("whole.h5"), contents("f.h5")
    assert list(whole) == list(shared)
    for name, value in whole.items():
        assert (value == shared[name]) if isinstance(value, str) else (value == shared[name]).all(), name
    assert set(IDS) < set(ids_in("f.h5"))
    return Seen(done.returncode, ours(done))


def test_the_death_of_one_is_told_by_one_that_waits(world: World) -> None:
    """The first process has done its share when torchrun ends it."""
    options = ["audio", "--device", "cpu", "--workers", "1", "--encoder", "fault_fakes:DyingLateEncoder"]
    done = two("extract", *options, "-o", "f.h5")
    assert done.returncode == 1
    assert "process 2 of 2 went away before f.h5.process-2-of-2 was finished" in ours(done)
    assert two("extract", *options, "-o", "f.h5", "--resume", "-q").returncode == 0
    assert sorted(ids_in("f.h5")) == sorted(IDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@fault(
    "group",
    "SIGTERM to the first of two processes, while it waits for the other one's share or its first word",
    code=143,
    says="hint: what is finished is kept; repeat the command with --resume to continue",
    left="both shares; `--resume` with as many processes goes on",
)
def test_a_process_that_waits_answers_signals(world: World) -> Seen:
    command = ["extract", "audio", "--device", "cpu", "--workers", "1", "-o", "f.h5"]
    command += ["--encoder", "fault_fakes:HangingEncoder"]
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    first = start(*command, **group, RANK="0")
    other = start(*command, **group, RANK="1")
    try:
        wait_for(lambda: Path("stuck").exists() and Path("f.h5.process-1-of-2").exists())
        first.send_signal(signal.SIGTERM)
        first.wait(timeout=SOON_S)
        return end(first)
    finally:
        other.kill()
        end(other)


def test_predict_writes_the_same_bytes(world: World) -> None:
    """Recordings on standard input, one of them broken, and the best over all."""
    names = b"".join(f"audio/{name}.wav\n".encode() for name in IDS)
    (world.audio / "recording4.wav").write_bytes(b"no sound")
    options = ["--query", "rain", "--query", "wind", "-", "--keep-going", "--saliency", "--top", "5"]
    (world.folder / "names").write_bytes(names)
    one = subprocess.run(
        [sys.executable, "-m", "amr", "predict", *options, "-o", "one.jsonl"],
        input=names,
        capture_output=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS.parent)},
    )
    done = two("predict", *options, "-o", "two.jsonl", stdin=names)
    assert one.returncode == 5, one.stderr
    assert Path("two.jsonl").read_bytes() == Path("one.jsonl").read_bytes()
    assert "recording4.wav" in ours(done)
    assert "1 broken, the rest is done" in ours(done)


def test_train_reaches_the_weights_of_one(tmp_path: Path) -> None:
    """Through the command line; how near two processes come, tests of the training room hold."""
    made = TrainingWorld(tmp_path)
    made.fill("train", 12, seed=0)
    made.fill("val", 6, seed=1)
    chunked = ["--set", "training.chunk_frames=50", "--epochs", "1", "-q"]
    assert run(command(made, "one.safetensors", *chunked)) == 0
    done = two(*command(made, "two.safetensors", *chunked))
    assert done.returncode == 0, done.stderr
    one, both = (read_checkpoint(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert both.training["processes"] == 2
    for name, weights in one.weights.items():
        assert float((weights - both.weights[name]).abs().max()) < 1e-5, name
