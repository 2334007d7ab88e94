"""One rule for ``-o``: a regular file or a new one, a link's target, a stream where a stream makes sense."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import World, end, start

from amr.errors import InputError
from amr.formats.labels import LabelFile
from amr.formats.streams import open_output


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


@fault(
    "disk",
    "`-o` of a feature file or a model names a pipe, a device or a socket",
    code=3,
    says="pipe: is a named pipe, expected a file name for the output",
    left="what it was",
)
def test_features_are_no_stream(world: World) -> Seen:
    os.mkfifo("pipe")
    for begin in ("--quiet", "--force", "--resume", "--append"):
        seen = world.extract("audio", begin, "-o", "pipe")
        assert seen.code == 3, begin
    assert world.amr("train", "none.jsonl", "-f", "-o", "pipe").text.count("is a named pipe") == 1
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
    assert sorted(path.name for path in Path().iterdir()) == ["audio", "pipe"]
    return seen


def test_socket_is_refused_by_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for stream in (False, True):
            output = open_output("socket", force=True, stream=stream)
            with pytest.raises(InputError, match="is a socket"), output:
                pass


@fault(
    "disk",
    "`extract -f -o` names a link",
    code=0,
    says="1 in link.h5",
    left="the link, and what it points to is replaced; the same with `--resume` and `--append`",
)
def test_link_stays(world: World) -> Seen:
    Path("far").mkdir()
    Path("far/real.h5").write_bytes(b"old")
    Path("link.h5").symlink_to("far/real.h5")
    assert world.extract("audio/recording0.wav", "-o", "link.h5").code == 3
    seen = world.extract("audio/recording0.wav", "-f", "-o", "link.h5")
    assert world.extract("audio", "--append", "-q", "-o", "link.h5").code == 0
    assert Path("link.h5").is_symlink()
    assert [path.name for path in Path("far").iterdir()] == ["real.h5"]
    world.require_all("far/real.h5")
    return seen


def test_link_that_leads_nowhere_is_begun_there(world: World) -> None:
    Path("far").mkdir()
    Path("link.h5").symlink_to("far/real.h5")
    assert world.extract("audio", "-q", "-o", "link.h5").code == 0
    assert Path("link.h5").is_symlink()
    world.require_all("far/real.h5")
    Path("lost.h5").symlink_to("nowhere/real.h5")
    assert "the folder of this output does not exist" in world.extract("audio", "-o", "lost.h5").text


def test_text_goes_into_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with open_output(tmp_path / "pipe", stream=True) as file:
        file.write(b"answer")
    reader.join()
    assert read == [b"answer"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_standard_output_by_another_name(world: World) -> None:
    annotation = {"qid": 1, "query": "a", "vid": "v", "duration": 4.0, "pred_relevant_windows": [[0, 1, 0.5]]}
    Path("p.jsonl").write_text(json.dumps(annotation) + "\n")
    work = start("convert", "p.jsonl", "--to", "csv", "-o", "/dev/stdout")
    printed = work.communicate()[0]
    assert (work.returncode, b"a" in printed) == (0, True)
    assert end(start("convert", "p.jsonl", "--to", "csv", "-o", "/dev/null")).code == 0
    assert Path("/dev/null").is_char_device()


def test_labels_are_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(InputError, match=r"is a (named pipe|folder|device), expected a file name"):
            LabelFile(place)
