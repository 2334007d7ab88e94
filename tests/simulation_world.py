"""A small world of sources for the tests of simulation: tones with quiet ends over noise."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import soundfile

from amr.arrays import Float32Array
from amr.encoders.base import EncoderIdentity, TextFeatures
from amr.errors import InputError

RATE_HZ = 8000
LABELS = ("bell", "bell", "horn", "drill", "tap", "saw")
LENGTHS_S = (1.3, 2.0, 0.8, 3.1, 1.0, 2.4)
BACKGROUND_LENGTHS_S = (11.0, 9.5, 5.0)
"""Two that are long enough for recordings of 8 s, and one that is not."""


def tone(length_s: float, pitch_hz: float, rate_hz: int = RATE_HZ, seed: int = 0) -> Float32Array:
    """A tone with a little noise, 0.2 s of near silence before and after."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(length_s * rate_hz)) / rate_hz
    sound = 0.4 * np.sin(2 * np.pi * pitch_hz * time_s) + 0.05 * rng.standard_normal(len(time_s))
    ends = np.full(round(0.2 * rate_hz), 1e-4)
    return np.concatenate([ends, sound, ends]).astype(np.float32)


def noise(length_s: float, rate_hz: int = RATE_HZ, seed: int = 0, level: float = 0.1) -> Float32Array:
    """White noise."""
    rng = np.random.default_rng([7, seed])
    return (level * rng.standard_normal(round(length_s * rate_hz))).astype(np.float32)


def make_world(folder: Path) -> Path:
    """``fg/`` with six clips, ``bg/`` with three backgrounds, ``fg.csv`` and ``bg.csv``; the folder."""
    (folder / "fg").mkdir(parents=True)
    (folder / "bg").mkdir()
    rows = []
    for index, (label, length_s) in enumerate(zip(LABELS, LENGTHS_S, strict=True)):
        name = f"fg/{label}_{index}.wav"
        soundfile.write(folder / name, tone(length_s, 300.0 + 150 * index, seed=index), RATE_HZ)
        captions = f"a {label} sounds|the {label} number {index}"
        rows.append({"file": name, "label": label, "captions": captions, "group": f"g{index}", "size": index})
    write_csv(folder / "fg.csv", rows)
    beds = []
    for index, length_s in enumerate(BACKGROUND_LENGTHS_S):
        name = f"bg/street{index}.flac"
        soundfile.write(folder / name, noise(length_s, seed=index), RATE_HZ, subtype="PCM_16")
        beds.append({"file": name, "contains_labels": "horn;siren" if index == 0 else ""})
    write_csv(folder / "bg.csv", beds)
    return folder


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    """A CSV with a header."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw_options(world: Path) -> list[str]:
    """The options that draw short recordings from a world."""
    sources = ["--foreground", world / "fg.csv", "--background", world / "bg.csv"]
    form = ["--duration", "8", "--sample-rate", str(RATE_HZ), "--mean-gap", "1"]
    return [str(part) for part in [*sources, *form]]


def read_lines(path: Path) -> list[dict[str, object]]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class ToyEncoder:
    """Frames of one second at 8 kHz: mean and mean square. With ``TOY_FAILS`` set it fails on recordings."""

    def __init__(self, *, hop_s: float | None = None, device: str = "cpu") -> None:
        self.identity = EncoderIdentity(
            name="toy",
            weights_sha256="0" * 64,
            sample_rate_hz=8000,
            window_samples=8000,
            hop_samples=8000,
            dimension=2,
            text_dimension=3,
            joint_dimension=2,
        )

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        if os.environ.get("TOY_FAILS") and samples.shape[1] > 8000:
            raise InputError("the toy is broken")
        windows = samples.reshape(len(samples), -1, 8000)
        return np.stack([windows.mean(axis=2), np.square(windows).mean(axis=2)], axis=2)

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        one = np.ones((2, 3), np.float32)
        return [TextFeatures(one * len(query), one[0] * len(query)) for query in queries]

    def joint_audio(self, frames: Float32Array) -> Float32Array:
        return frames

    def joint_text(self, pooled: Float32Array) -> Float32Array:
        return pooled[:, :2]

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        return []
