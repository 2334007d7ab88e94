"""A small archive of numbers: an encoder with a joint space, and feature files of wandering frames."""

from __future__ import annotations

import io
import json
import sys
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from amr.arrays import Float32Array
from amr.cli.main import run
from amr.encoders.base import EncoderIdentity, TextFeatures
from amr.formats.features.write import FeatureWriter, create_feature_file

Floats = Float32Array

DIMENSION = 12
TEXT_DIMENSION = 6
AXES = 10


def identity() -> EncoderIdentity:
    return EncoderIdentity(
        name="toy",
        weights_sha256="ab" * 32,
        sample_rate_hz=1000,
        window_samples=1000,
        hop_samples=500,
        dimension=DIMENSION,
        text_dimension=TEXT_DIMENSION,
        joint_dimension=AXES,
    )


class ToyEncoder:
    """The joint space bends the frames, as ``yamnet``'s does, and a word points anywhere in it.

    Args:
        twist: another number is another joint space of the same frames.
    """

    def __init__(self, twist: int = 0) -> None:
        self.identity = identity()
        generator = np.random.default_rng(twist)
        self.map = generator.normal(size=(DIMENSION, AXES)).astype(np.float32)
        self.text_map = generator.normal(size=(TEXT_DIMENSION, AXES)).astype(np.float32)

    def encode_audio(self, samples: Floats) -> Floats:
        raise AssertionError("no sound is heard here")

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        return [text_features(query) for query in queries]

    def joint_audio(self, frames: Floats) -> Floats:
        bent: Floats = np.tanh(frames.astype(np.float32) @ self.map) * 4
        return bent

    def joint_text(self, pooled: Floats) -> Floats:
        vectors: Floats = pooled @ self.text_map
        return vectors

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        return []


def text_features(query: str) -> TextFeatures:
    generator = np.random.default_rng(zlib.crc32(query.encode()))
    tokens = generator.normal(size=(3, TEXT_DIMENSION)).astype(np.float32)
    return TextFeatures(tokens=tokens, pooled=tokens.mean(axis=0))


def wandering(num_frames: int, seed: int) -> Floats:
    """Frames that change slowly, so that moments have a length."""
    steps = np.random.default_rng([seed, num_frames]).normal(size=(num_frames + 8, DIMENSION))
    smooth = np.stack([steps[k : k + num_frames] for k in range(8)]).mean(axis=0)
    return smooth.astype(np.float16).astype(np.float32)


def write_features(path: Path, lengths: list[int], *, first: int = 0) -> Path:
    """Recordings ``r0, r1, ...`` of these numbers of frames; added where the file is there already."""
    text = identity().to_json()
    if not path.exists():
        create_feature_file(path, identity_json=text, store="float16")
    writer = FeatureWriter(path, identity_json=text)
    for number, count in enumerate(lengths, start=first):
        writer.add(f"r{number}", wandering(count, number), duration_s=0.5 * count + 0.5)
    writer.close()
    return path


class Done(NamedTuple):
    """How a run of the tool ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


class Tool:
    """Runs ``amr`` inside this process: a process of its own costs many times what the small searches do."""

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capfd = capfd
        self.monkeypatch = monkeypatch

    def __call__(self, *arguments: object, stdin: str = "") -> Done:
        self.capfd.readouterr()
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = run([str(argument) for argument in arguments])
        sys.stdout.flush()
        return Done(int(code), *self.capfd.readouterr())
