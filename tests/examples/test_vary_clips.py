"""Copies of clips: the same labels, other sounds, no source in two splits."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

SCRIPT = Path(__file__).parents[2] / "examples" / "vary_clips.py"
RATE_HZ = 16_000
COLUMNS = ("file", "label", "captions", "duration_s", "split", "domain", "group", "onsets")


def clip(path: Path, seconds: float, frequency_hz: float) -> None:
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * frequency_hz * time_s), RATE_HZ)


def make_data(folder: Path) -> Path:
    rows = [
        ("train/a.wav", "beep", "a beep|beeping", "1.0", "train", "object", "g1", "2"),
        ("train/b.wav", "hum", "a hum", "2.0", "train", "object", "g2", "1"),
        ("train/c.wav", "laser", "a laser", "1.0", "train", "designed", "g3", "1"),
        ("val/d.wav", "beep", "a beep", "1.0", "val", "object", "g4", "1"),
    ]
    for name, *_ in rows:
        clip(folder / name, 2.0 if name.endswith("b.wav") else 1.0, 440.0)
    with open(folder / "foreground.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return folder


def run(data: Path, out: Path) -> list[dict[str, str]]:
    subprocess.run([sys.executable, SCRIPT, data, out], check=True, capture_output=True)
    with open(out / "foreground.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_copies_are_slower_and_faster_and_as_loud(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    rows = run(data, tmp_path / "out")
    assert [row["file"] for row in rows] == [f"audio/{n}_{c}.flac" for n in "ab" for c in (1, 2)]
    assert {(row["label"], row["captions"], row["group"], row["split"]) for row in rows} == {
        ("beep", "a beep|beeping", "g1", "train"),
        ("hum", "a hum", "g2", "train"),
    }
    for row, seconds, is_slow in zip(rows, (1, 1, 2, 2), (True, False) * 2, strict=True):
        samples, rate_hz = soundfile.read(tmp_path / "out" / row["file"])
        part = len(samples) / rate_hz / seconds
        assert (1.05 < part <= 1.26) if is_slow else (0.79 <= part < 0.95)
        assert abs(float(row["duration_s"]) - len(samples) / rate_hz) < 0.01
        assert abs(np.sqrt(np.mean(samples**2)) - 0.3 / np.sqrt(2)) < 0.01
        peak_hz = np.abs(np.fft.rfft(samples)).argmax() * rate_hz / len(samples)
        assert abs(peak_hz * part / 440 - 1) < 0.01


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    for name in ("one", "other"):
        run(data, tmp_path / name)
    for path in sorted((tmp_path / "one" / "audio").iterdir()):
        assert path.read_bytes() == (tmp_path / "other" / "audio" / path.name).read_bytes()
