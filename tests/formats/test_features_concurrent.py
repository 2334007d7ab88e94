"""One process writes, others read: a reader sees whole commits, and what it has opened stays as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from feature_fakes import DIMENSION, identity

from amr.formats.features.journal import commit_state
from amr.formats.features.read import FeatureFile
from amr.formats.features.write import COMMIT_FRAMES, FeatureWriter, create_feature_file

WRITE = """
import sys
import numpy as np
from pathlib import Path
from amr.formats.features.write import FeatureWriter

writer = FeatureWriter(Path(sys.argv[1]), identity_json=sys.argv[2])
for number in range(int(sys.argv[3])):
    frames = np.full((20, int(sys.argv[4])), number, np.float32)
    writer.add(f"r{number}" * (1 + number // 50), frames, duration_s=1.0, source="x" * number)
    if number == 20:
        print("begun", flush=True)
        sys.stdin.readline()
writer.close()
"""
RECORDINGS = 160


def check_whole(reader: FeatureFile) -> None:
    """Every recording that is told of is there, with its own numbers."""
    for number, name in enumerate(reader.ids):
        assert name == f"r{number}" * (1 + number // 50)
        frames = reader.frames(name)
        assert frames.shape == (20, DIMENSION)
        assert np.all(frames == number)
        assert reader.source(name) == "x" * number


def test_readers_beside_a_writing_process(tmp_path: Path) -> None:
    path, told = tmp_path / "f.h5", identity().to_json()
    create_feature_file(path, identity_json=told, store="float16")
    command = [sys.executable, "-c", WRITE, str(path), told, str(RECORDINGS), str(DIMENSION)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        with FeatureFile(path) as early:
            seen = [len(early)]
            check_whole(early)
        assert COMMIT_FRAMES // 20 < seen[0] <= 21  # the last commit before 21 recordings of 20 frames
        writer.stdin.write("\n")
        writer.stdin.flush()
        while writer.poll() is None:
            with FeatureFile(path) as reader:
                seen.append(len(reader))
                check_whole(reader)
    assert writer.returncode == 0
    with FeatureFile(path) as reader:
        seen.append(len(reader))
        check_whole(reader)
    assert seen == sorted(seen)
    assert seen[-1] == RECORDINGS


def test_a_reader_keeps_what_it_opened(tmp_path: Path) -> None:
    """In a process of its own, as HDF5 shares within one: the file grows under an open reader."""
    path, told = tmp_path / "f.h5", identity().to_json()
    create_feature_file(path, identity_json=told, store="float16")
    subprocess.run([sys.executable, "-c", WRITE, str(path), told, "20", str(DIMENSION)], check=True)
    with FeatureFile(path) as reader:
        add = WRITE.replace("range(int(sys.argv[3]))", "range(20, 60)").replace("number == 20", "False")
        subprocess.run([sys.executable, "-c", add, str(path), told, "0", str(DIMENSION)], check=True)
        assert len(reader) == 20
        check_whole(reader)
    with FeatureFile(path) as reader:
        assert len(reader) == 60


def test_what_is_added_between_commits_does_not_keep_a_reader_out(tmp_path: Path) -> None:
    path, told = tmp_path / "f.h5", identity().to_json()
    create_feature_file(path, identity_json=told, store="float16")
    unwritten = commit_state(path)
    writer = FeatureWriter(path, identity_json=told)
    states = [commit_state(path)]
    for number in range(3):
        writer.add(f"r{number}", np.ones((20, DIMENSION), np.float32), duration_s=1.0)
        assert commit_state(path) == states[-1]
        writer.commit()
        states.append(commit_state(path))
    writer.close()
    states.append(commit_state(path))
    assert len({unwritten, *states}) == 1 + len(states)


def test_a_reader_opens_only_between_two_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit while the file is being opened has it opened again; one behind that changes nothing."""
    path, told = tmp_path / "f.h5", identity().to_json()
    create_feature_file(path, identity_json=told, store="float16")
    add = WRITE.replace("number == 20", "False")
    load_head, load_columns, heads = FeatureFile._load_head, FeatureFile._load_columns, []

    def write(first: int, stop: int) -> None:
        code = add.replace("range(int(sys.argv[3]))", f"range({first}, {stop})")
        subprocess.run([sys.executable, "-c", code, str(path), told, "0", str(DIMENSION)], check=True)

    def beside_a_commit(reader: FeatureFile) -> None:
        load_head(reader)
        heads.append(reader)
        if len(heads) == 1:
            write(20, 40)

    def before_a_commit(reader: FeatureFile) -> None:
        write(40, 60)
        load_columns(reader)

    write(0, 20)
    monkeypatch.setattr(FeatureFile, "_load_head", beside_a_commit)
    monkeypatch.setattr(FeatureFile, "_load_columns", before_a_commit)
    with FeatureFile(path) as reader:
        assert len(heads) == 2
        assert len(reader) == 40
        check_whole(reader)
