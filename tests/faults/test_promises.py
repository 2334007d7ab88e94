"""What is printed is true: the same command goes on where it says so, and what is complete is kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import IDS, World, end, ids_in, start
from feature_fakes import contents
from waiting import wait_for


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path, capfd)
    moments = [
        {"qid": n, "query": "rain", "vid": vid, "pred_relevant_windows": [[0.2, 0.9, 0.5]]}
        for n, vid in enumerate(IDS)
    ]
    Path("p.jsonl").write_text("".join(json.dumps(moment) + "\n" for moment in moments))
    return world


FOLDERS = {
    "labels": ("convert", "p.jsonl", "--to", "audacity", "--dir", "labels"),
    "clips": ("convert", "p.jsonl", "--clips", "clips", "--audio", "audio", "--clip-form", "ogg"),
    "tree": ("extract", "whole.h5", "--to-npz", "tree"),
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_files_is_gone_on_with(world: World, folder: str) -> None:
    world.require_extracted()
    command = FOLDERS[folder]
    assert world.amr(*command).code == 0
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    assert len(files) == 6
    complete = {path: path.read_bytes() for path in files}
    files[4].unlink()
    kept = [path.stat() for path in files if path.exists()]
    assert world.amr(*command).code == 3  # not without a word
    assert world.amr(*command, "--resume").code == 0
    assert [path.stat().st_ino for path in files if path != files[4]] == [stat.st_ino for stat in kept]
    sizes = {path: len(content) for path, content in complete.items()}
    assert {path: path.stat().st_size for path in files} == sizes
    files[1].write_bytes(b"a label that was corrected by hand")
    seen = world.amr(*command, "--resume")
    assert seen.code == 3
    assert f"{files[1]}: holds something other than this command writes" in seen.text
    assert files[1].read_bytes() == b"a label that was corrected by hand"


@fault(
    "signals",
    "SIGKILL while `convert --clips` cuts",
    code=-9,
    says="",
    left="the clips that are complete; `--resume` keeps them and cuts the others",
)
def test_killed_while_cutting_clips(world: World) -> Seen:
    moments = [[n / 1000, 2 + n / 1000, 0.5] for n in range(200)]
    answer = {"qid": 1, "query": "rain", "vid": "recording5", "pred_relevant_windows": moments}
    Path("p.jsonl").write_text(json.dumps(answer))
    command = ("convert", "p.jsonl", "--clips", "clips", "--audio", "audio")
    work = start(*command)
    wait_for(lambda: Path("clips").exists() and len(list(Path("clips").glob("*.wav"))) > 20)
    work.send_signal(signal.SIGKILL)
    seen = end(work)
    before = {path.name: path.stat().st_ino for path in Path("clips").glob("*.wav")}
    assert len(before) < 200
    assert world.amr(*command, "--resume").code == 0
    after = {path.name: path.stat().st_ino for path in Path("clips").glob("*.wav")}
    assert len(after) == 200
    assert after == {**after, **before}
    return seen


@pytest.mark.parametrize("way", ["--from-npz", "--merge"])
def test_an_import_and_a_merge_are_gone_on_with(world: World, way: str) -> None:
    world.require_extracted()
    assert world.amr("extract", "whole.h5", "--to-npz", "tree").code == 0
    command = ["extract", way, "tree/clap" if way == "--from-npz" else "whole.h5", "-o", "f.h5"]
    assert world.amr(*command).code == 0
    whole = contents("f.h5")
    Path("f.h5").unlink()
    some = ("audio/recording0.wav", "audio/recording3.wav")
    if way == "--merge":  # what a kill leaves: some of the recordings, in the part
        assert world.extract(*some, "-o", "f.h5").code == 0
    else:
        shutil.copytree("tree/clap", "less/clap")
        for number in (1, 2, 4, 5):
            Path(f"less/clap/recording{number}.npz").unlink()
        assert world.amr("extract", "--from-npz", "less/clap", "-o", "f.h5").code == 0
    Path("f.h5").rename("f.h5.part")
    seen = world.amr(*command)
    assert seen.code == 3
    assert "hint: --resume continues it" in seen.text
    assert world.amr(*command, "--resume").code == 0
    found = contents("f.h5")
    assert sorted(map(str, found["audio/id"])) == sorted(map(str, whole["audio/id"]))  # type: ignore[call-overload]


def test_what_goes_on_after_a_forced_run_is_said(world: World) -> None:
    for copy in range(60):
        os.link(world.audio / "recording3.wav", world.audio / f"copy{copy:02d}.wav")
    slow = ("--encoder", "feature_fakes:SlowestEncoder", "--device", "cpu", "--workers", "1")
    work = start("extract", "audio", "-o", "f.h5", "--force", *slow)
    wait_for(lambda: bool(ids_in("f.h5.part")))
    work.send_signal(signal.SIGTERM)
    assert (
        "hint: what is finished is kept; repeat the command with --resume in place of --force to continue"
        in (end(work).text)
    )
    assert world.extract("audio", "-o", "f.h5", "--resume").code == 0


def test_info_ends_as_its_help_says(world: World) -> None:
    world.require_extracted()
    os.mkfifo("pipe")
    for broken in ("pipe", "missing", "x" * 300, "audio", "audio/recording1.wav"):
        seen = world.amr("info", broken, "whole.h5", broken)
        assert seen.code == 3, seen
        assert seen.text.count(f"error: {broken}: ") == 2
    assert world.amr("info", "whole.h5").code == 0
