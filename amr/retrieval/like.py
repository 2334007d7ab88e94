"""Query by example: a clip as a point of the joint space, alone or together with words.

Where a sentence is a mixture of classes (``yamnet``), so is a clip: t = softmax(3 m), where m is how far each
class lies above its usual level in the mean of the clip's frames. Similarities and scores then mean what they
mean for sentences. Elsewhere a clip is the direction of the mean of its frames, as sentences are directions.
``docs/archive.md`` has the measurements.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from amr.arrays import Float32Array
from amr.audio.level import SILENT_STEPS
from amr.audio.read import MonoStream
from amr.encoders.base import Encoder
from amr.encoders.running.stream import encode_stream
from amr.errors import InputError
from amr.formats.queries import Query
from amr.retrieval.window_finder import WindowFinder

log = logging.getLogger("amr")

PREFIX = "like:"
SHARPNESS = 3.0
SHORTEST_S = 0.1
LONGEST_S = 60.0

Vector = Float32Array


@dataclass(frozen=True)
class ExampleClip:
    """A sound that others should be like: its name and its frames ``(frames, dimension)``."""

    name: str
    frames: Float32Array


def read_clip(path: str | Path, encoder: Encoder) -> ExampleClip:
    """A clip through the encoder.

    Raises:
        InputError: it is missing, empty, broken, silent, too short or too long.
        MissingError: it needs an ffmpeg that is not here.
    """
    stream = _ClipStream(path, encoder.identity.sample_rate_hz)
    frames = np.concatenate(list(encode_stream(encoder, stream)))
    if stream.duration_s < SHORTEST_S:
        raise InputError(
            f"is {stream.duration_s:.3f} s long, an example needs at least {SHORTEST_S:g} s", where=path
        )
    if stream.peak <= SILENT_STEPS * stream.step:
        raise InputError("is silent: an example needs sound", where=path)
    for remark in stream.remarks:
        log.warning("%s: %s", path, remark)
    return ExampleClip(Path(path).name, frames)


class _ClipStream:
    """A clip's samples, and how loud and long they were; stops where a clip becomes a recording."""

    def __init__(self, path: str | Path, rate_hz: int) -> None:
        self._path = path
        self._rate_hz = rate_hz
        self._stream = MonoStream(path, rate_hz)
        self.peak = 0.0

    @property
    def duration_s(self) -> float:
        return self._stream.duration_s

    @property
    def step(self) -> float:
        return self._stream.step

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the clip; complete after the last block."""
        return self._stream.remarks

    def __iter__(self) -> Iterator[Float32Array]:
        count = 0
        for block in self._stream:
            count += len(block)
            if count > LONGEST_S * self._rate_hz:
                hint = "cut out the sound that is meant"
                raise InputError(f"is longer than {LONGEST_S:g} s", where=self._path, hint=hint)
            self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
            yield block


def is_mixture(encoder: Encoder) -> bool:
    """Whether the encoder's sentences are mixtures of classes, not directions."""
    return encoder.identity.name == "yamnet"


def vector_of(clips: Sequence[ExampleClip], encoder: Encoder) -> Vector:
    """``(joint_dimension,)``: what the clips have in common, each counting the same."""
    means = np.stack([encoder.joint_audio(clip.frames).mean(axis=0) for clip in clips])
    if not is_mixture(encoder):
        return direction(np.stack([direction(mean) for mean in means]).mean(axis=0))
    weights = np.exp(SHARPNESS * (means - means.max(axis=1, keepdims=True)))
    mixture: Vector = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0).astype(np.float32)
    return mixture


def together(words: Vector, example: Vector, encoder: Encoder) -> Vector:
    """Words and an example as one query, each counting half."""
    if is_mixture(encoder):
        mean: Vector = np.mean([words, example], axis=0, dtype=np.float32)
        return mean
    return direction(direction(words) + direction(example))


def direction(vector: Vector) -> Vector:
    """The unit vector; zero stays zero."""
    unit: Vector = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit


def add_clips(queries: Sequence[Query], clips: Sequence[ExampleClip], finder: WindowFinder) -> list[Query]:
    """The queries with the clips added to each, or the clips as the one query.

    Their text says so, ``like:bark.wav`` or ``a dog like:bark.wav``, and the finder knows it by that text.
    """
    name = " ".join(PREFIX + clip.name for clip in clips)
    example = vector_of(clips, finder.encoder)
    if not queries:
        finder.vectors[name] = example
        return [Query(text=name, where="--like")]
    texts = [f"{query.text} {name}" for query in queries]
    words = finder.joint_text([query.text for query in queries])
    for text, vector in zip(texts, words, strict=True):
        finder.vectors[text] = together(vector, example, finder.encoder)
    return [replace(query, text=text) for query, text in zip(queries, texts, strict=True)]
