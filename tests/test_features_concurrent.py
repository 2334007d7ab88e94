"""One process writes, others read: a reader sees whole commits, and what it has opened stays as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from feature_fakes import DIMENSION, identity

from amr.formats.features_read import FeatureFile
from amr.formats.features_write import COMMIT_FRAMES, create_feature_file

WRITE = """
import sys
import numpy as np
from pathlib import Path
from amr.formats.features_write import FeatureWriter

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
