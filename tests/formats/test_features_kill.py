"""A writer of features that is killed, at every write and by real signals, loses nothing finished."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pytest
from fault_table import fault
from feature_fakes import identity, made_frames, text_features

from amr.formats.features.journal import journal_path
from amr.formats.features.output import Begin, open_feature_output, partial_path
from amr.formats.features.read import FeatureFile
from amr.formats.features.write import FeatureWriter, create_feature_file

IDENTITY = identity().to_json()
COUNTS = {f"recording {'x' * (n * 5)}{n}": 37 * n % 220 for n in range(14)}
REAL_KILLS = int(os.environ.get("AMR_KILLS", "40"))


@dataclass
class Disk:
    """Every change that was made to the file and its journal, in order, and what was finished by then."""

    writer: FeatureWriter | None = None
    changes: list[tuple[str, int, bytes]] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)

    def note(self, handle: int, offset: int, data: bytes | None) -> None:
        assert self.writer is not None
        which = "journal" if handle == self.writer._journaled.journal else "file"
        self.changes.append((which, offset, b"" if data is None else data))
        self.finished.append(self.writer.committed)

    def replay(self, path: Path, base: bytes, upto: int, *, torn: bool) -> None:
        """The state of the disk after so many changes; ``torn``: of the last one only the first half."""
        contents = {"file": bytearray(base), "journal": bytearray()}
        for number, (which, offset, data) in enumerate(self.changes[:upto]):
            content = contents[which]
            if data == b"":  # a truncation
                del content[offset:]
                content.extend(bytes(offset - len(content)))
                continue
            if torn and number == upto - 1:
                data = data[: len(data) // 2]
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        path.write_bytes(contents["file"])
        journal_path(path).write_bytes(contents["journal"])


@contextmanager
def recorded(disk: Disk) -> Iterator[None]:
    write, cut = os.pwrite, os.ftruncate

    def pwrite(handle: int, data: memoryview, offset: int) -> int:
        disk.note(handle, offset, bytes(data))
        return write(handle, data, offset)

    def ftruncate(handle: int, size: int) -> None:
        disk.note(handle, size, None)
        cut(handle, size)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(os, "pwrite", pwrite)
        monkeypatch.setattr(os, "ftruncate", ftruncate)
        yield


def write_all(writer: FeatureWriter) -> None:
    for number, (recording_id, count) in enumerate(COUNTS.items()):
        if recording_id not in writer.sources:
            with writer.recording(recording_id, source=f"folder/{recording_id}.wav") as recording:
                frames = made_frames(recording_id, count)
                recording.append(frames[: count // 2])
                recording.append(frames[count // 2 :])
                recording.finish(count * 0.48)
        writer.add_text(f"query {number}", text_features(f"query {number}"))


def require_whole(path: Path, at_least: int) -> int:
    """The first recordings, as many as were finished or more, each with all that belongs to it."""
    with FeatureFile(path) as reader:
        assert len(reader) >= at_least
        assert list(reader.ids) == list(COUNTS)[: len(reader)]
        for recording in reader:
            assert np.array_equal(recording.frames, made_frames(recording.id, COUNTS[recording.id]))
            assert reader.source(recording.id) == f"folder/{recording.id}.wav"
        for query in reader.queries:
            assert np.array_equal(reader.text(query).tokens, text_features(query).tokens)
        return len(reader)


@fault(
    "signals",
    "SIGKILL between, or within, any two writes to a feature file",
    code=None,
    says="",
    left="a file that opens, with every committed recording",
)
def test_a_kill_between_or_within_any_two_writes(tmp_path: Path) -> None:
    path, base = tmp_path / "f.h5", tmp_path / "base.h5"
    create_feature_file(base, identity_json=IDENTITY, store="float16")
    path.write_bytes(base.read_bytes())
    disk = Disk()
    writer = disk.writer = FeatureWriter(path, identity_json=IDENTITY)
    with recorded(disk):
        write_all(writer)
        writer.close()
    assert require_whole(path, 0) == len(COUNTS)
    assert len(disk.changes) > 60
    opened_by_hdf5_alone = 0
    for upto in range(len(disk.changes) + 1):
        for torn in (False, True):
            disk.replay(path, base.read_bytes(), upto, torn=torn)
            finished = disk.finished[upto - 1] if upto else 0
            require_whole(path, finished)
            opened_by_hdf5_alone += opens_alone(path, finished)
            if upto % 9 == 0:
                again = FeatureWriter(path, identity_json=IDENTITY)
                write_all(again)
                again.close()
                assert require_whole(path, 0) == len(COUNTS)
                assert not journal_path(path).exists()
    assert opened_by_hdf5_alone > len(disk.changes)


def opens_alone(path: Path, finished: int) -> bool:
    """Whether a program that knows nothing of the journal can read what is finished."""
    try:
        with h5py.File(path, "r") as file:
            return len(file["audio/id"][:]) >= finished
    except (OSError, RuntimeError, KeyError):
        return False


def work_until_killed(path: Path) -> None:
    """What the killed process does: go on with the file and tell how many recordings are finished."""
    with open_feature_output(path, identity_json=IDENTITY, store="float16", begin=Begin.RESUME) as writer:
        print(writer.committed, flush=True)
        for recording_id, count in COUNTS.items():
            if recording_id not in writer.sources:
                writer.add(
                    recording_id,
                    made_frames(recording_id, count),
                    duration_s=count * 0.48,
                    source=f"folder/{recording_id}.wav",
                )
                writer.commit()
                print(writer.committed, flush=True)


def kill_at_work(folder: Path, lines_to_wait_for: int, moment_s: float) -> int:
    """Fork, let the child work, kill it after so many lines and a moment: how many it said were finished."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        work_until_killed(folder / "f.h5")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = [line for _, line in zip(range(lines_to_wait_for), pipe, strict=False)]
        time.sleep(moment_s)
        os.kill(child, signal.SIGKILL)
        said += pipe.readlines()
    os.waitpid(child, 0)
    return int(said[-1]) if said and said[-1].endswith(b"\n") else 0


def kill_many_times(folder: Path, kills: int) -> None:
    draw = random.Random(5)
    completed = mid_work = alone = 0
    target, part = folder / "f.h5", partial_path(folder / "f.h5")
    for _ in range(kills):
        finished = kill_at_work(folder, draw.randint(0, 7), draw.uniform(0, 0.02))
        if target.exists():
            assert require_whole(target, finished) == len(COUNTS)
            completed += 1
            target.unlink()
        elif part.exists():
            alone += opens_alone(part, finished)
            mid_work += 0 < require_whole(part, finished) < len(COUNTS)
        else:
            assert finished == 0
    print(
        f"{kills} kills, {mid_work} in the middle of the work, {completed} times completed;"
        f" {alone} of {kills - completed} open without the journal"
    )


def test_real_kills_at_random_moments(tmp_path: Path) -> None:
    """In a process of its own: forking is for programs without threads."""
    command = [sys.executable, __file__, str(tmp_path), str(REAL_KILLS)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths}
    )
    assert run.returncode == 0, run.stderr
    mid_work = int(run.stdout.split()[2])
    assert mid_work > REAL_KILLS // 4, run.stdout


def resume(path: Path) -> None:
    with open_feature_output(path, identity_json=IDENTITY, store="float16", begin=Begin.RESUME) as writer:
        write_all(writer)


@fault(
    "disk",
    "the disk is full again and again, a little later each time",
    code=None,
    says="File too large",
    left="every committed recording, each time",
)
def test_a_disk_that_fills_up_keeps_what_is_finished(tmp_path: Path) -> None:
    """The file may not grow beyond a limit, as on a full disk; with room again the work goes on."""
    path = tmp_path / "f.h5"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in range(9_000, 200_000, 23_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(OSError, match="File too large") as caught:
                resume(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.errno == errno.EFBIG
        assert not path.exists()
        if partial_path(path).exists():
            require_whole(partial_path(path), 0)
    resume(path)
    assert require_whole(path, 0) == len(COUNTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.h5"]


if __name__ == "__main__":
    kill_many_times(Path(sys.argv[1]), int(sys.argv[2]))
