"""A disk that is really full: complete and exit 0, or absent and exit 4 with the file's own name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import simulation_world
from archive_world import ToyEncoder, write_features
from fault_table import Seen, fault
from fault_world import FAKE, World
from training_world import World as TrainingWorld
from training_world import command as training

from amr.formats.exchange.dcase_form import TEMPLATE
from amr.formats.features.read import FeatureFile
from amr.retrieval.archive.index import build_index, find_index
from amr.retrieval.archive.spaces import JointSpace

DISK_BYTES = 8 * 2**20
ROOM_BYTES = (0, 4096, 20_000, 60_000, 300_000, 4 * 2**20)
"""What is left of the disk, each time; the last is enough for anything."""
OUR_OWN = (".part", ".lock", ".journal", "Traceback", "fault of amr")
"""Nothing that a message is to say."""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of its own in the folder ``disk``."""
    monkeypatch.chdir(tmp_path)
    Path("disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", "disk"]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs leave to mount a small disk: root in a container that may")
    yield Path("disk")
    subprocess.run(["umount", "-l", str(tmp_path / "disk")], check=True)


@pytest.fixture
def world(disk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> World:
    """Recordings, features and predictions, beside the disk, and the folder ``good`` for undisturbed work."""
    world = World(tmp_path, capfd)
    world.require_extracted()
    Path("good").mkdir()
    moments = [[0.1, 0.9, 0.5], [0.2, 0.4, 0.3]]
    predictions = [
        {"qid": n, "query": f"rain {n}", "vid": f"recording{n}", "pred_relevant_windows": moments}
        for n in range(6)
    ]
    truths = [
        {"qid": n, "query": f"rain {n}", "vid": f"recording{n}", "duration": 2, "relevant_windows": [[0, 1]]}
        for n in range(6)
    ]
    for name, records in (("p.jsonl", predictions), ("gt.jsonl", truths)):
        Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return world


def leave(disk: Path, num_bytes: int) -> None:
    """Empty the disk and take all of it but so much."""
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    state = os.statvfs(disk)
    with open(disk / "taken", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - num_bytes)


def files_of(path: Path) -> dict[str, bytes]:
    """What was made, by name: a file, or all files of a folder."""
    found = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return {str(each.relative_to(path.parent)): each.read_bytes() for each in found}


WRITERS = {
    "f.h5": ("extract", "audio", "-o", "f.h5", *FAKE),
    "merged.h5": ("extract", "--merge", "whole.h5", "-o", "merged.h5"),
    "tree": ("extract", "whole.h5", "--to-npz", "tree"),
    "p.jsonl": ("predict", "--queries", "gt.jsonl", "audio", "--model", "prior:tiles", "-o", "p.jsonl"),
    "s.json": ("score", "p.jsonl", "gt.jsonl", "--format", "json", "-o", "s.json"),
    "p.csv": ("convert", "p.jsonl", "--to", "csv", "-o", "p.csv"),
    "labels": ("convert", "p.jsonl", "--to", "audacity", "--dir", "labels"),
    "clips": ("convert", "p.jsonl", "--clips", "clips", "--audio", "audio", "--clip-form", "flac"),
    "p.png": ("plot", "p.jsonl", "--qid", "0", "-o", "p.png"),
    "p.html": ("plot", "p.jsonl", "--html", "p.html"),
}


def require_all_or_nothing(world: World, disk: Path, target: str, command: list[str]) -> Seen:
    """Run it with more and more room; what it said the last time that there was too little."""
    assert world.amr(*placed(command, target, "good")).code == 0
    expected, seen = files_of(Path("good") / target), Seen(None, "")
    for room in ROOM_BYTES:
        leave(disk, room)
        done = world.amr(*placed(command, target, "disk"))
        found = files_of(disk / target)
        if done.code == 0:
            assert found == expected, (target, room)
        else:
            assert done.code == 4, (target, room, done)
            assert f"error: disk/{target}" in done.text
            assert not [word for word in OUR_OWN if word in done.text], done.text
            assert (disk / target).is_dir() or not found, (target, room)
            assert found.items() <= expected.items(), (target, room)
            seen = done
    assert done.code == 0, done
    assert seen.code == 4, target
    return seen


def placed(command: list[str], target: str, folder: str) -> list[str]:
    """The command with its output in this folder."""
    last = max(place for place, word in enumerate(command) if word == target)
    return [f"{folder}/{word}" if place == last else word for place, word in enumerate(command)]


@fault(
    "disk",
    "a disk that is really full (a small tmpfs), or becomes so, behind any writer",
    code=4,
    says="error: disk/f.h5: no room to write on (No space left on device)",
    left="under the output's name what is complete, or nothing; no message names a file of amr's own",
)
def test_full_disk(world: World, disk: Path) -> Seen:
    seen = {
        target: require_all_or_nothing(world, disk, target, list(command))
        for target, command in WRITERS.items()
    }
    return seen["f.h5"]


def test_full_disk_behind_an_import(world: World, disk: Path) -> None:
    assert world.amr("extract", "whole.h5", "--to-npz", "npz").code == 0
    [tree] = Path("npz").iterdir()
    require_all_or_nothing(world, disk, "n.h5", ["extract", "--from-npz", str(tree), "-o", "n.h5"])


def test_full_disk_behind_a_submission(world: World, disk: Path) -> None:
    filled = [
        f"{line} {'a@b.c' if 'email' in line else '1'}" if line.endswith("=") else line
        for line in TEMPLATE.splitlines()
    ]
    Path("form.ini").write_text("\n".join(filled))
    Path("report.pdf").write_bytes(b"%PDF-1.7 ...")
    command = ["convert", "p.jsonl", "--dcase", "form.ini", "--queries", "gt.jsonl", "--report", "report.pdf"]
    require_all_or_nothing(world, disk, "s.zip", [*command, "-o", "s.zip"])


@pytest.mark.parametrize(
    "product", [("-o", "sim"), ("--features", "sim.h5", *FAKE)], ids=["audio", "features"]
)
def test_full_disk_behind_a_simulation(world: World, disk: Path, product: tuple[str, ...]) -> None:
    sources = simulation_world.draw_options(simulation_world.make_world(Path("sources")))
    command = ["simulate", *sources, "--count", "3", "--format", "json", *product]
    require_all_or_nothing(world, disk, product[1], command)


def test_full_disk_behind_a_training(disk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = TrainingWorld(tmp_path)
    made.fill("train", 6, seed=0)
    made.fill("val", 4, seed=1)
    world = World(tmp_path, capfd)
    for room in (0, 8192, 40_000):
        leave(disk, room)
        seen = world.amr(*training(made, "disk/m.safetensors", "-q"))
        assert seen.code == 4, seen
        assert f"error: {tmp_path}/disk/m.safetensors" in seen.text
        assert not [word for word in OUR_OWN if word in seen.text], seen.text
    leave(disk, ROOM_BYTES[-1])
    assert world.amr(*training(made, "disk/m.safetensors", "-q")).code == 0
    assert world.amr("info", "disk/m.safetensors").code == 0


def test_full_disk_behind_an_index(disk: Path) -> None:
    space = JointSpace(ToyEncoder())
    leave(disk, ROOM_BYTES[-1])
    path = write_features(disk / "toy.h5", [500])
    with open(disk / "more", "wb") as file:
        state = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize)
    with FeatureFile(path) as features:
        with pytest.raises(OSError, match="No space left") as raised:
            build_index(features, space)
        assert str(raised.value.filename) == "disk/toy.h5.index/000000.segment"
        assert find_index(features, space) is None
        (disk / "more").unlink()
        build_index(features, space)
        assert find_index(features, space) is not None
    assert [each.name for each in disk.rglob("*") if ".part" in each.name] == []
