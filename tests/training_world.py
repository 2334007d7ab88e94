"""A small world to train in: sounds are directions in feature space, queries name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from amr.arrays import Float32Array
from amr.encoders.base import EncoderIdentity, TextFeatures
from amr.formats.annotations import Annotation, read_annotations
from amr.formats.features.open import open_features
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.notices import Notices
from amr.training.dataset import Dataset
from amr.training.loading import LoadOptions, load_dataset
from amr.training.plan import TrainingPlan

Floats = Float32Array

DIM = 8
SOUNDS = 4
IDENTITY = EncoderIdentity("made-up", "0" * 64, 1000, 1000, 1000, DIM, DIM, 0)
TINY_NETWORK = {
    "audio_dim": DIM,
    "text_dim": DIM,
    "hidden_dim": 16,
    "heads": 2,
    "feedforward_dim": 32,
    "cross_layers": 1,
    "encoder_layers": 1,
    "queries": 4,
    "unused_text_positions": 0,
}


def tiny_plan(preset: str = "am-detr", **changes: Any) -> TrainingPlan:
    """A preset with a tiny network; ``changes`` are training settings, or sections by name."""
    sections = {key: changes.pop(key) for key in ("network", "loss") if key in changes}
    network = TINY_NETWORK | sections.get("network", {})
    training = {"batch_size": 4, "epochs": 2, "learning_rate": 1e-3, **changes}
    fields = {"network": network, "loss": sections.get("loss", {}), "training": training}
    return TrainingPlan.of_preset(preset).with_fields(fields, "test")


def directions() -> Floats:
    """``(sounds, dim)`` what each sound adds to a frame."""
    return 3 * np.eye(SOUNDS, DIM, dtype=np.float32)


def query(sound: int) -> str:
    return f"sound number {sound}"


def recording(generator: np.random.Generator, frames: int, sounds: dict[int, tuple[int, int]]) -> Floats:
    """Noise, and each sound over its frames ``[first, stop)``."""
    values = generator.normal(0, 0.3, (frames, DIM)).astype(np.float32)
    for sound, (first, stop) in sounds.items():
        values[first:stop] += directions()[sound]
    return values


class World:
    """A folder with ``feats.h5`` and annotation files, filled bit by bit.

    Args:
        folder: where it is.
        store: type of the stored numbers.
    """

    def __init__(self, folder: Path, store: str = "float32") -> None:
        self.folder = folder
        self.features = folder / "feats.h5"
        create_feature_file(self.features, identity_json=IDENTITY.to_json(), store=store)
        self._writer = FeatureWriter(self.features, identity_json=IDENTITY.to_json())
        generator = np.random.default_rng(7)
        for sound in range(SOUNDS):
            tokens = np.concatenate([directions()[sound][None], generator.normal(size=(1 + sound % 3, DIM))])
            self.add_text(query(sound), tokens.astype(np.float32))

    def add_text(self, text: str, tokens: Floats) -> None:
        self._writer.add_text(text, TextFeatures(tokens, tokens.mean(axis=0)))

    def add(self, vid: str, frames: Floats, duration_s: float | None = None) -> None:
        self._writer.add(vid, frames, duration_s=float(len(frames)) if duration_s is None else duration_s)
        self._writer.commit()

    def fill(self, name: str, count: int, *, seed: int, frames: tuple[int, int] = (12, 25)) -> Path:
        """Recordings with two sounds each, and a query for one of them: ``name.jsonl``."""
        generator = np.random.default_rng(seed)
        records = []
        for index in range(count):
            length = int(generator.integers(*frames))
            half = length // 2
            first, second = generator.choice(SOUNDS, 2, replace=False).tolist()
            start, stop = sorted(generator.choice(half + 1, 2, replace=False).tolist())
            other = (half + 1, half + 2 + int(generator.integers(0, length - half - 1)))
            vid = f"{name}{index}"
            self._writer.add(
                vid,
                recording(generator, length, {first: (start, stop), second: other}),
                duration_s=float(length),
            )
            asked, window = (first, (start, stop)) if generator.random() < 0.5 else (second, other)
            records.append(record(index, query(asked), vid, length, [list(window)], label=f"s{asked}"))
        self._writer.commit()
        return self.write(name, records)

    def write(self, name: str, records: list[dict[str, Any]]) -> Path:
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in records))
        return path

    def dataset(
        self, source: Path, options: LoadOptions | None = None, notices: Notices | None = None
    ) -> Dataset:
        self._writer.commit()
        with open_features(self.features) as reader:
            return load_dataset(
                read_annotations(source),
                reader,
                options or LoadOptions(memory_bytes=1 << 30),
                notices or Notices(),
            )

    def close(self) -> None:
        self._writer.close()


def record(
    qid: int, text: str, vid: str, duration_s: float, windows: list[list[float]], **extra: Any
) -> dict[str, Any]:
    """An annotation's JSON object."""
    annotation = Annotation(qid, text, vid, duration_s, windows, extra=extra)
    return annotation.record()


TINY_OPTIONS = [
    argument
    for name, value in TINY_NETWORK.items()
    if name not in ("audio_dim", "text_dim")
    for argument in ("--set", f"network.{name}={value}")
]


def command(world: World, model: str, *more: object) -> list[str]:
    """A command line that trains a tiny network."""
    folder = world.folder
    return [
        "train",
        str(folder / "train.jsonl"),
        "--features",
        str(world.features),
        "--validation",
        str(folder / "val.jsonl"),
        "-o",
        str(folder / model),
        "--batch-size",
        "4",
        "--epochs",
        "2",
        *TINY_OPTIONS,
        *([] if "--config" in more else ["--preset", "am-detr"]),
        *map(str, more),
    ]
