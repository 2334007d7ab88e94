"""A stranger's folder in which the files beside an output are links, pipes or devices."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from archive_world import ToyEncoder, write_features
from fault_table import Seen, fault
from fault_world import World

from amr.errors import InputError
from amr.formats.features.journal import MOST_JOURNAL_BYTES, journal_path, read_journal
from amr.formats.features.read import FeatureFile
from amr.formats.side_files import open_side_file
from amr.retrieval.archive.index import build_index, find_index
from amr.retrieval.archive.index_file import MANIFEST, index_folder, segment_path
from amr.retrieval.archive.spaces import JointSpace
from amr.training.runlog import RunLog

PRECIOUS = b"a file that must not change, whatever is done in the other folder"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    Path("keys").write_bytes(PRECIOUS)
    return World(tmp_path, capfd)


@fault(
    "disk",
    "`f.h5.journal`, `f.h5.part` or `f.h5.part.journal` is a link that somebody planted",
    code=3,
    says="f.h5.journal: is a link, expected a file of amr's own",
    left="what it points to, and the features, unchanged",
)
def test_links_beside_a_feature_file(world: World) -> Seen:
    for name in ("f.h5.part", "f.h5.part.journal", ".f.h5.lock"):
        Path(name).symlink_to("keys")
        for begin in ("--quiet", "--force", "--resume"):
            seen = world.extract("audio/recording0.wav", begin, "-o", "f.h5")
            assert (seen.code, "is a link" in seen.text) == (3, True), (name, begin, seen)
        Path(name).unlink()
        assert sorted(path.name for path in Path().iterdir()) == ["audio", "keys"], name
    assert world.extract("audio/recording0.wav", "-o", "f.h5").code == 0
    before = Path("f.h5").read_bytes()
    Path("f.h5.journal").symlink_to("keys")
    seen = world.extract("audio", "--append", "-o", "f.h5")
    assert Path("f.h5").read_bytes() == before
    assert Path("keys").read_bytes() == PRECIOUS
    return seen


@fault(
    "disk",
    "one of these, the log of a training or a lock is a hard link to somebody's file",
    code=3,
    says="f.h5.journal: is a hard link, expected a file of amr's own",
    left="what it is a name of, and the features, unchanged",
)
def test_hard_links_beside_outputs(world: World) -> Seen:
    for name in ("f.h5.part", "f.h5.part.journal", ".f.h5.lock"):
        Path(name).hardlink_to("keys")
        for begin in ("--quiet", "--force", "--resume"):
            seen = world.extract("audio/recording0.wav", begin, "-o", "f.h5")
            assert (seen.code, f"{name}: is a hard link" in seen.text) == (3, True), (name, begin, seen)
        Path(name).unlink()
    for name in ("m.safetensors.log.jsonl", ".m.safetensors.lock"):
        Path(name).hardlink_to("keys")
        assert f"{name}: is a hard link" in world.amr("train", "none.jsonl", "-f", "-o", "m.safetensors").text
    assert world.extract("audio/recording0.wav", "-o", "f.h5").code == 0
    before = Path("f.h5").read_bytes()
    Path("f.h5.journal").hardlink_to("keys")
    seen = world.extract("audio", "--append", "-o", "f.h5")
    assert Path("f.h5").read_bytes() == before
    assert Path("keys").read_bytes() == PRECIOUS
    Path("f.h5.journal").unlink()
    Path("backup.h5").hardlink_to("f.h5")  # a file that the user named may have another name
    assert world.extract("audio", "--append", "-o", "f.h5").code == 0
    return seen


@fault(
    "disk",
    "a named pipe stands where a side file would",
    code=3,
    says="f.h5.journal: is a named pipe, expected a file of amr's own",
    left="the pipe; nobody waits for it",
)
def test_pipes_are_not_waited_for(world: World) -> Seen:
    assert world.extract("audio/recording0.wav", "-o", "f.h5").code == 0
    os.mkfifo("f.h5.journal")
    assert world.amr("info", "f.h5").code == 3
    return world.extract("audio", "--append", "-o", "f.h5")


def test_device_in_place_of_a_side_file() -> None:
    with pytest.raises(InputError, match="is a device"):
        open_side_file(Path("/dev/null"), os.O_RDONLY)


def test_long_journal_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.h5"
    path.touch()
    with open(journal_path(path), "wb") as file:
        file.truncate(MOST_JOURNAL_BYTES + 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="is not the journal"):
        read_journal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 2**10


def test_links_in_an_index(world: World, caplog: pytest.LogCaptureFixture) -> None:
    write_features(Path("f.h5"), [40])
    space = JointSpace(ToyEncoder())
    folder = index_folder(Path("f.h5"))
    with FeatureFile("f.h5") as features:
        folder.mkdir()
        (folder / MANIFEST).symlink_to(Path("keys").absolute())
        for plant, what in ((None, "is a link"), (os.mkfifo, "is a named pipe")):
            if plant is not None:
                (folder / MANIFEST).unlink()
                plant(folder / MANIFEST)
            caplog.clear()
            assert find_index(features, space) is None
            assert find_index(features, space) is None
            assert [
                f"{what}, expected a file of amr's own; searched" in each for each in caplog.messages
            ] == [True]
            with pytest.raises(InputError, match=what):
                build_index(features, space)
        (folder / MANIFEST).unlink()
        segment_path(folder, 0).symlink_to(Path("keys").absolute())
        with pytest.raises(InputError, match="is a link"):
            build_index(features, space)
        segment_path(folder, 0).unlink()
        os.mkfifo(segment_path(folder, 0))
        with pytest.raises(InputError, match="is a named pipe"):
            build_index(features, space)
        segment_path(folder, 0).unlink()
        build_index(features, space)
        assert find_index(features, space) is not None
    folder.rename("elsewhere")
    folder.symlink_to("elsewhere")
    with FeatureFile("f.h5") as features, pytest.raises(InputError, match="is a link"):
        build_index(features, space)
    assert Path("keys").read_bytes() == PRECIOUS


def test_links_beside_a_model(world: World) -> None:
    for name in ("m.safetensors.state", "m.safetensors.log.jsonl", ".m.safetensors.lock"):
        Path(name).symlink_to("keys")
        for option in ("--quiet", "--force", "--resume"):
            seen = world.amr("train", "none.jsonl", option, "-o", "m.safetensors")
            assert (seen.code, "is a link" in seen.text) == (3, True), (name, seen)
        Path(name).unlink()
    Path("log").symlink_to("keys")
    with pytest.raises(InputError, match="is a link"):
        RunLog(Path("log"))
    assert Path("keys").read_bytes() == PRECIOUS
