"""What is heard in a recording, without a question: the classes that an encoder knows by name, and when.

The score of a moment, its *presence*, is the chance that the class is there, given the highest level (log
probability above the usual one) that it has in the moment, where some eight of the classes are there in a
minute. It was counted on the open validation scenes (``tests/benchmarks/overview_presence.py``,
``docs/overview.md``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float32Array, Float64Array, FloatingArray
from amr.encoders.base import Encoder
from amr.moments import Moment
from amr.retrieval.recordings import RecordingFrames
from amr.retrieval.window import WindowOptions, find_runs

BLOCK_FRAMES = 8192
LEVELS = (2.94, 4.99, 6.81, 7.78, 8.53)
PRESENCES = (0.011, 0.04, 0.056, 0.293, 0.771)
"""Presence by level; between two of them its logit is a straight line, which goes on beyond the last ones."""


@dataclass(frozen=True)
class OverviewOptions:
    """What counts as heard.

    Args:
        min_score: classes from this presence on, above 0 and below 1.
        gap_s: moments of one class that are at most this far apart are one.
    """

    min_score: float = 0.2
    gap_s: float = 2.0


def presence_of(levels: FloatingArray) -> Float64Array:
    """The chance that a class is there, by its level."""
    presence: Float64Array = 1 / (1 + np.exp(-on_line(levels, LEVELS, [logit(each) for each in PRESENCES])))
    return presence


def level_of(presence: float) -> float:
    """The level that has a presence."""
    return float(on_line(np.array([logit(presence)]), [logit(each) for each in PRESENCES], LEVELS)[0])


def logit(chance: float) -> float:
    return math.log(chance / (1 - chance))


def on_line(x: FloatingArray, known_x: Sequence[float], known_y: Sequence[float]) -> Float64Array:
    """The broken line through points that rise in both; its first and last piece go on."""
    xs, ys = np.array(known_x), np.array(known_y)
    piece = np.clip(np.searchsorted(xs, x) - 1, 0, len(xs) - 2)
    slope = np.diff(ys) / np.diff(xs)
    y: Float64Array = ys[piece] + slope[piece] * (x - xs[piece])
    return y


def vocabulary(encoder: Encoder) -> list[str] | None:
    """The names of the classes that are the axes of an encoder's joint space; None where they have none."""
    classes: Sequence[object] | None = getattr(encoder, "classes", None)
    return None if classes is None else [str(getattr(each, "name", each)) for each in classes]


def heard(
    recording: RecordingFrames, encoder: Encoder, options: OverviewOptions
) -> Iterator[tuple[int, list[Moment]]]:
    """The number of each class that is heard, and its moments, best first; in the order of the classes.

    Args:
        recording: with frames of the encoder.
        encoder: one with a vocabulary.
    """
    if len(recording.frames) == 0:
        return
    least = level_of(options.min_score)
    cutting = WindowOptions(threshold=least, certain=None, gap_s=options.gap_s)
    blocks, highest = [], np.full(encoder.identity.joint_dimension, -np.inf, dtype=np.float32)
    for start in range(0, len(recording.frames), BLOCK_FRAMES):
        levels = encoder.joint_audio(recording.frames[start : start + BLOCK_FRAMES])
        highest = np.maximum(highest, levels.max(axis=0))
        blocks.append(levels if len(recording.frames) <= BLOCK_FRAMES else levels.astype(np.float16))
    # Smoothing never raises a curve above its highest point: most classes need no further look.
    for number in np.flatnonzero(highest >= least):
        curve = np.concatenate([block[:, number] for block in blocks]).astype(np.float32)
        moments = moments_of(curve, recording, cutting)
        if moments:
            yield int(number), moments


def moments_of(curve: Float32Array, recording: RecordingFrames, cutting: WindowOptions) -> list[Moment]:
    """Where a class's level ``(frames,)`` reaches the threshold, best first."""
    grid, found = recording.grid, find_runs(curve, recording.grid.hop_s, cutting)
    peaks = np.array([found.smooth[first:stop].max() for first, stop in found.runs])
    return [
        Moment(*grid.span_s(int(first), int(stop) - 1, recording.duration_s), float(presence_of(peak)))
        for (first, stop), peak in zip(found.runs, peaks, strict=True)
        if cutting.threshold is not None and peak >= cutting.threshold
    ]
