"""``amr extract -`` as a long-lived reader: what came is in the file before the next name comes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import FAKE, IDS, World, end, ids_in, start, write_noise
from waiting import HANG_S, wait_for

Stdin = Callable[[bytes], None]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Lets standard input hold these bytes."""
    with ExitStack() as stack:

        def fill(data: bytes) -> None:
            reading, writing = os.pipe()
            os.write(writing, data)
            os.close(writing)
            monkeypatch.setattr("sys.stdin", stack.enter_context(os.fdopen(reading, "r")))

        yield fill


def pipeline(*options: str) -> subprocess.Popen[bytes]:
    return start("extract", "-", "-o", "f.h5", *(options or ("--append",)), *FAKE, stdin=subprocess.PIPE)


def name(work: subprocess.Popen[bytes], *names: str, ending: bytes = b"\n") -> None:
    assert work.stdin is not None
    work.stdin.write(b"".join(os.fsencode(each) + ending for each in names))
    work.stdin.flush()


@fault(
    "input",
    "a pipeline of names: one is nonsense, one file is broken, one comes twice",
    code=5,
    says="2 broken, the rest is done",
    left="each is told when it comes, the others are in the file; a broken one may be named again",
)
def test_what_came_is_readable_before_the_next_comes(world: World) -> Seen:
    work = pipeline()
    name(work, "audio/recording0.wav")
    wait_for(lambda: ids_in("f.h5") == ["recording0"])  # under its own name, while the pipeline waits
    shutil.copy(world.audio / "recording4.wav", "kept.wav")
    (world.audio / "recording4.wav").write_bytes(Path("kept.wav").read_bytes()[:5000])
    name(work, "no/such.wav", "audio/recording0.wav", "audio/recording4.wav", "audio/recording1.wav")
    wait_for(lambda: "recording1" in ids_in("f.h5"))
    shutil.copy("kept.wav", world.audio / "recording4.wav")
    name(work, *(f"audio/{each}.wav" for each in IDS[1:]))
    seen = end(work)
    assert "no/such.wav: no such file" in seen.text
    assert "audio/recording4.wav: is cut" in seen.text
    assert "audio/recording0.wav: is in the file already, skipped" in seen.text
    assert "skipped (2 times, this is the first)" in seen.text
    world.require_all()
    return seen


def held(pid: int) -> tuple[int, int]:
    """Open files, and memory in kB, of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), int(status.split("VmRSS:")[1].split()[0])


def test_a_pipeline_holds_no_more_the_longer_it_runs(world: World) -> None:
    """``tests/benchmarks/stream_memory.py`` does the same for ten minutes."""
    work, seen = pipeline(), []
    (world.audio / "broken.wav").write_bytes(b"RIFF")
    for part in range(3):
        for number in range(200):
            os.link(world.audio / "recording0.wav", world.audio / f"part{part}_{number}.wav")
            name(work, f"audio/part{part}_{number}.wav", *["audio/broken.wav"] * (number % 20 == 0))
        wait_for(lambda part=part: len(ids_in("f.h5")) == 200 * (part + 1))  # type: ignore[misc]
        seen.append(held(work.pid))
    end(work)
    assert seen[2][0] == seen[1][0]
    assert seen[2][1] - seen[1][1] < 4 * 1024


@fault(
    "signals",
    "SIGTERM while a pipeline waits for names",
    code=143,
    says="hint: what is finished is kept; repeat the command to continue",
    left="everything that was named before",
)
def test_sigterm_ends_a_pipeline_that_waits(world: World) -> Seen:
    work = pipeline()
    name(work, "audio/recording0.wav", "audio/recording1.wav", ending=b"\0")
    wait_for(lambda: len(ids_in("f.h5")) == 2)
    work.send_signal(signal.SIGTERM)
    assert work.wait(timeout=HANG_S) == 143
    seen = end(work)
    assert not Path("f.h5.journal").exists()
    world.resume("--append")
    return seen


@fault(
    "signals",
    "SIGKILL while a pipeline waits for names",
    code=-9,
    says="",
    left="everything that was named before; the same command goes on",
)
def test_killed_pipeline(world: World) -> Seen:
    work = pipeline()
    name(work, "audio/recording0.wav")
    wait_for(lambda: ids_in("f.h5") == ["recording0"])
    work.kill()
    seen = end(work)
    world.resume("--append")
    return seen


def test_limit_shard_and_folders_as_they_come(world: World, stdin: Stdin) -> None:
    parts = []
    for part in ("1/2", "2/2"):
        stdin(b"audio\n")
        parts.append(part.replace("/", "of") + ".h5")
        assert world.extract("-", "-o", parts[-1], "--shard", part).code == 0
    assert sorted(ids_in(parts[0]) + ids_in(parts[1])) == IDS
    stdin(b"audio\naudio\n")
    assert world.extract("-", "-o", "two.h5", "--limit", "2").code == 0
    assert ids_in("two.h5") == IDS[:2]


def test_a_list_of_nothing_leaves_nothing(world: World, stdin: Stdin) -> None:
    stdin(b"\n")
    seen = world.extract("-", "-o", "f.h5", "--append")
    assert (seen.code, Path("f.h5").exists()) == (3, False)
    assert "<stdin>: lists no file" in seen.text


def test_a_file_of_the_same_name_is_called_by_its_path(world: World, stdin: Stdin) -> None:
    Path("other").mkdir()
    write_noise(Path("other/recording1.wav"), 1)
    stdin(b"audio/recording1.wav\nother/recording1.wav\naudio/recording2.wav\n")
    seen = world.extract("-", "-o", "f.h5")
    assert seen.code == 0
    assert "other/recording1.wav: is called by its path" in seen.text
    assert ids_in("f.h5") == ["recording1", "other/recording1", "recording2"]
    stdin(b"other/recording1.wav\naudio/recording1.wav\n")
    assert "is in the file already" in world.extract("-", "-o", "f.h5", "--append").text
    assert ids_in("f.h5") == ["recording1", "other/recording1", "recording2"]
