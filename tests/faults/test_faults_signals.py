"""Ctrl-C, SIGTERM and SIGKILL: one line, a documented code, and every finished recording in the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fault_table import Seen, fault
from fault_world import World, end, ids_in, start
from simulation_world import draw_options, files_of
from simulation_world import make_world as make_sources
from waiting import SOON_S, wait_for

from amr.formats.lock import lock_path

SNIFFED_BYTES = 100_000
"""More than is read of a file to see what it is."""

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
    "SIGTERM or Ctrl-C while something is imported for long, as torch is on a busy machine",
    code=143,
    says="amr predict: error: terminated",
    left="what was there before; nobody waits for the import",
)
def test_sigterm_does_not_wait_for_an_import(world: World) -> Seen:
    Path("slow.py").write_text("open('begun', 'w')\nimport time\nfor _ in range(6000): time.sleep(0.01)\n")
    work = start("predict", "audio", "--encoder", "slow:Encoder", "--query", "rain", "-o", "out.jsonl")
    wait_for(Path("begun").exists)
    work.send_signal(signal.SIGTERM)
    seen = end(work)
    assert not Path("out.jsonl").exists()
    return seen


@fault(
    "signals",
    "SIGTERM while `extract` works",
    code=143,
    says="terminated",
    left="every finished recording, the part closed; `--resume` goes on",
)
def test_sigterm_keeps_what_is_finished(world: World) -> Seen:
    many(world)
    work = start("extract", "audio", "-o", "f.h5", *SLOW)
    wait_for(at_work)
    work.send_signal(signal.SIGTERM)
    seen = end(work)
    assert "SIGTERM: stopping after this segment" in seen.text
    assert not Path("f.h5").exists()
    assert not Path("f.h5.part.journal").exists()
    before = ids_in("f.h5.part")
    assert 0 < len(before) < 66
    assert world.extract("audio", "-o", "f.h5", "--resume").code == 0
    assert len(ids_in("f.h5")) == 66
    return seen


@fault(
    "signals",
    "Ctrl-C while `extract` waits for an encoder that hangs",
    code=130,
    says="interrupted; repeat the command with --resume to continue f.h5",
    left="the part opens with every finished recording; `--resume` goes on",
)
def test_sigint_does_not_wait_for_the_encoder(world: World) -> Seen:
    many(world)
    stuck = ("--encoder", "fault_fakes:StuckEncoder", "--device", "cpu", "--workers", "1")
    work = start("extract", "audio", "-o", "f.h5", *stuck)
    wait_for(lambda: Path("stuck").exists() and at_work())
    work.send_signal(signal.SIGINT)
    work.wait(timeout=SOON_S)
    seen = end(work)
    before = ids_in("f.h5.part")
    assert before
    assert world.extract("audio", "-o", "f.h5", "--resume").code == 0
    assert set(before) < set(ids_in("f.h5"))
    return seen


def write_long(path: Path, hours: float) -> None:
    """Silence that takes no room on the disk: its samples are a hole."""
    soundfile.write(path, np.zeros(1, np.int16), 8000, subtype="PCM_16")
    num_bytes = round(hours * 3600) * 8000 * 2
    with open(path, "r+b") as file:
        for offset, size in ((4, num_bytes + 36), (40, num_bytes)):
            file.seek(offset)
            file.write(size.to_bytes(4, "little"))
        file.truncate(44 + num_bytes)


@fault(
    "signals",
    "SIGTERM while `extract` is in the middle of a recording of 20 hours",
    code=143,
    says="hint: what is finished is kept; repeat the command with --resume to continue",
    left="every finished recording; the one under way is not kept",
)
def test_sigterm_in_a_long_recording(world: World) -> Seen:
    write_long(world.audio / "z.wav", hours=20)
    work = start("extract", "audio", "-o", "f.h5", *SLOW)
    wait_for(lambda: reads(work, "z.wav"))
    work.send_signal(signal.SIGTERM)
    work.wait(timeout=SOON_S)
    assert set(ids_in("f.h5.part")) <= {f"recording{number}" for number in range(6)}
    return end(work)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "command",
    [
        ("predict", "--query", "rain", "audio", "--model", "window"),
        ("predict", "--query", "rain", "audio", "--model", "prior:tiles"),
        ("convert", "p.jsonl", "--clips", "clips", "--clip-form", "flac", "--audio", "audio"),
    ],
    ids=["predict", "prior", "convert"],
)
def test_a_long_recording_holds_up_no_signal(
    world: World, command: tuple[str, ...], number: signal.Signals
) -> None:
    write_long(world.audio / "a.wav", hours=20)
    answer = {"qid": 1, "query": "rain", "vid": "a", "pred_relevant_windows": [[0, 72_000, 0.5]]}
    Path("p.jsonl").write_text(json.dumps(answer))
    work = start(*command)
    wait_for(lambda: reads(work, "a."))
    work.send_signal(number)
    work.wait(timeout=SOON_S)
    assert end(work).code == 128 + number


def reads(work: subprocess.Popen[bytes], name: str) -> bool:
    """Whether a process is in the middle of a file of this name."""
    for link in Path(f"/proc/{work.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed by now
            if name in link.readlink().name:
                position = (link.parent.parent / "fdinfo" / link.name).read_text().split()[1]
                return int(position) > SNIFFED_BYTES
    return False


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_score_answers_signals(world: World, number: signal.Signals) -> None:
    """A million draws over a thousand recordings, which take hours."""
    pairs = {"gt.jsonl": {"relevant_windows": [[0, 1]]}, "p.jsonl": {"pred_relevant_windows": [[0, 2, 0.5]]}}
    for file, windows in pairs.items():
        lines = [{"qid": n, "query": "rain", "vid": f"r{n}", "duration": 4.0, **windows} for n in range(1000)]
        Path(file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    work = start("score", "p.jsonl", "gt.jsonl", "--bootstrap", "1000000", "-o", "out.json")
    lock = lock_path(Path("out.json"))
    wait_for(lambda: lock.exists() and lock.read_text() != "")  # it is taken, not only made
    work.send_signal(number)
    work.wait(timeout=SOON_S)
    assert end(work).code == 128 + number
    assert sorted(path.name for path in Path().iterdir()) == ["audio", "gt.jsonl", "p.jsonl"]


@fault(
    "signals",
    "SIGTERM or Ctrl-C while `simulate` renders",
    code=143,
    says="amr simulate: error: terminated",
    left="every finished recording, perhaps hidden parts; `--resume` ends as an uninterrupted run",
)
def test_simulate_answers_signals(world: World) -> Seen:
    options = draw_options(make_sources(Path("sources")))
    command = ("simulate", *options, "--count", "200", "--workers", "2", "--format", "json", "-o")
    assert world.amr(*command, "whole").code == 0
    whole, seen = files_of(Path("whole")), Seen(None, "")
    for number in (signal.SIGINT, signal.SIGTERM):
        work = start(*command, "out", *(() if number == signal.SIGINT else ("--resume",)))
        before = len(list(Path("out").rglob("*.flac")))
        wait_for(lambda before=before: len(list(Path("out").rglob("*.flac"))) > before)  # type: ignore[misc]
        work.send_signal(number)
        work.wait(timeout=SOON_S)
        seen = end(work)
        assert seen.code == 128 + number
        found = files_of(Path("out")).items()
        assert {name: data for name, data in found if "/." not in name}.items() < whole.items()
    assert world.amr(*command, "out", "--resume").code == 0
    assert files_of(Path("out")) == whole
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
