"""Too little memory, a clock that jumps, other processes at the same file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fault_fakes import MOST_AT_ONCE
from fault_table import Seen, fault
from fault_world import IDS, World, ids_in, patched

from amr.encoders.running.threads import EncoderThreads
from amr.formats.features.atomic import JournaledFile
from amr.formats.features.write import FeatureWriter
from amr.tasks.extract import work


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


def same_lengths(world: World) -> None:
    """Recordings that share passes of the network: all are as long as the last."""
    for name in IDS[:-1]:
        (world.audio / f"{name}.wav").write_bytes((world.audio / f"{IDS[-1]}.wav").read_bytes())


@fault(
    "machine",
    "a GPU has no memory for the batch",
    code=0,
    says="warning: not enough memory for the batch; going on with 2 segments at once",
    left="all of it: the batch is halved, and the numbers are the same",
)
def test_batch_halves(world: World) -> Seen:
    same_lengths(world)
    with patched(work, "set_up_threads", lambda *_, **__: EncoderThreads(workers=1, batch=5)):
        seen = world.amr(
            "extract", "audio", "-o", "f.h5", "--encoder", "fault_fakes:SmallMemoryEncoder", "--device", "cpu"
        )
    assert MOST_AT_ONCE == 2
    assert seen.text.count("not enough memory") == 1
    world.require_all()
    return seen


@fault(
    "machine",
    "there is no memory for a single segment of a recording",
    code=5,
    says="audio/recording5.wav: not enough memory to encode a single segment",
    left="the recordings that there is room for; the others are named, and done by a device with more",
)
def test_no_memory_at_all(world: World) -> Seen:
    encoder = ["--encoder", "fault_fakes:NoMemoryEncoder", "--device", "cpu"]
    seen = world.amr("extract", "audio", "-o", "f.h5", "--keep-going", *encoder)
    assert 0 < len(ids_in("f.h5")) < len(IDS)
    assert seen.text.count(": not enough memory") == len(IDS) - len(ids_in("f.h5"))
    world.resume()
    return seen


@fault(
    "machine",
    "the clock is set back and forth during the work",
    code=0,
    says="6 recordings",
    left="all of it, the same bytes",
)
def test_clock_jumps(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    assert world.extract("audio", "-o", "whole.h5").code == 0
    turns = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (next(turns) % 3))
    seen = world.extract("audio", "-o", "f.h5")
    assert Path("f.h5").read_bytes() == Path("whole.h5").read_bytes()
    return seen


@fault(
    "machine",
    "two writers at one file",
    code=3,
    says="f.h5: another process is writing this file",
    left="the first writer's work, undisturbed",
)
def test_two_writers(world: World) -> Seen:
    assert world.extract("audio/recording0.wav", "-o", "f.h5").code == 0
    before = Path("f.h5").read_bytes()
    with JournaledFile(Path("f.h5")):
        seen = world.extract("audio", "-o", "f.h5", "--append")
    assert Path("f.h5").read_bytes() == before
    world.resume("--append")
    return seen


@fault(
    "machine",
    "a reader comes while `extract` writes",
    code=0,
    says="6 recordings",
    left="the reader sees whole recordings, as of the last commit",
)
def test_reader_beside_writer(world: World) -> Seen:
    seen_by_reader = []
    plain = FeatureWriter.commit

    def commit(self: FeatureWriter) -> None:
        plain(self)
        seen_by_reader.append(len(ids_in("f.h5.part")))

    with patched(FeatureWriter, "commit", commit), patched(FeatureWriter, "_is_due", lambda _: True):
        seen = world.extract("audio", "-o", "f.h5")
    assert sorted(set(seen_by_reader)) == list(range(7))
    world.require_all()
    return seen
