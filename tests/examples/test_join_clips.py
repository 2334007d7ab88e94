"""``examples/join_clips.py``: more clips for training, validation and test as they were."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from test_judge_default import EXAMPLES

SCRIPT = EXAMPLES / "join_clips.py"
Row = tuple[str, str, str, str]
OPEN: list[Row] = [
    ("foreground/train/bell_001.ogg", "bell", "train", "g1"),
    ("foreground/test/bell_002.ogg", "bell", "test", "g2"),
]
MORE: list[Row] = [
    ("foreground/train/bell_501.ogg", "bell", "train", "g601"),
    ("foreground/train/snoring_501.ogg", "snoring", "train", "g602"),
]


def write(folder: Path, rows: list[Row]) -> None:
    for name, *_ in rows:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    with open(folder / "foreground.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "label", "split", "group"), *rows])


def join(data: Path, more: list[Row]) -> subprocess.CompletedProcess[str]:
    write(data / "open", OPEN)
    write(data / "open_more", more)
    (data / "open" / "background.csv").write_text("file,label\n")
    command = [sys.executable, SCRIPT, data, data / "out"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_training_gets_more_and_classes_that_measure_stay_out(tmp_path: Path) -> None:
    done = join(tmp_path, MORE)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out" / "foreground.csv", encoding="utf-8", newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [*OPEN, MORE[0]]
    assert all((tmp_path / "out" / name).read_text() == name for name, *_ in rows)
    assert (tmp_path / "out" / "background.csv").exists()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("foreground/test/bell_502.ogg", "bell", "test", "g603"), "for training only"),
        (("foreground/train/bell_001.ogg", "bell", "train", "g603"), "file foreground/train/bell_001.ogg"),
        (("foreground/train/bell_502.ogg", "bell", "train", "g2"), "group g2 is in both"),
    ],
)
def test_what_would_mix_splits_is_refused(tmp_path: Path, row: Row, said: str) -> None:
    done = join(tmp_path, [row])
    assert done.returncode != 0
    assert said in done.stderr
