"""The nouns of moment retrieval, and arithmetic on intervals of seconds.

A *moment* is ``(start_s, end_s)``; a *frame* is one feature vector. :class:`FrameGrid` is the only place that
turns seconds into frames and back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from amr.arrays import Float64Array


class Span(NamedTuple):
    """A stretch of a recording, in seconds."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


class Moment(NamedTuple):
    """A predicted moment and its confidence in [0, 1]."""

    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True)
class FrameGrid:
    """Where the frames of a recording lie in time.

    Frame ``i`` sees ``[i * hop_s, i * hop_s + window_s)`` and *stands for* the hop-long cell around its
    centre: ``[i * hop_s + (window_s - hop_s) / 2, ... + hop_s)``. With ``window_s == hop_s`` the two are the
    same. The first cell reaches back to 0 and the last one to the recording's end: cells tile the recording.
    """

    window_s: float
    hop_s: float
    num_frames: int

    def __post_init__(self) -> None:
        if not (self.hop_s > 0 and self.window_s > 0 and math.isfinite(self.hop_s + self.window_s)):
            raise ValueError(f"window_s {self.window_s} and hop_s {self.hop_s} must be positive and finite")
        if self.num_frames < 0:
            raise ValueError(f"num_frames {self.num_frames} is negative")

    @property
    def offset_s(self) -> float:
        """Start of frame 0's inner cell; 0 where windows do not overlap."""
        return (self.window_s - self.hop_s) / 2

    def centre_s(self, frame: int) -> float:
        """The time in the middle of a frame."""
        return frame * self.hop_s + self.window_s / 2

    def span_s(self, first: int, last: int, duration_s: float) -> Span:
        """The moment of the run of frames ``first..last`` (both included), inside ``[0, duration_s]``."""
        start_s = 0.0 if first <= 0 else self.offset_s + first * self.hop_s
        end_s = duration_s if last >= self.num_frames - 1 else self.offset_s + (last + 1) * self.hop_s
        end_s = min(max(end_s, 0.0), duration_s)
        return Span(min(max(start_s, 0.0), end_s), end_s)

    def middles(self, frames: range, duration_s: float) -> Float64Array:
        """``(len(frames),)`` each frame's middle as a fraction of the stretch that the frames stand for."""
        span = self.span_s(frames.start, frames.stop - 1, duration_s)
        centre_s = np.arange(frames.start, frames.stop, dtype=np.float64) * self.hop_s + self.window_s / 2
        middles: Float64Array = (centre_s - span.start_s) / max(span.length_s, 1e-9)
        return middles

    def frames_between(self, start_s: float, end_s: float) -> range:
        """The frames whose centre lies in ``[start_s, end_s)``; the nearest one when there is none."""
        if self.num_frames == 0:
            return range(0)
        first = math.ceil((start_s - self.window_s / 2) / self.hop_s - 1e-9)
        stop = math.ceil((end_s - self.window_s / 2) / self.hop_s - 1e-9)
        first, stop = max(first, 0), min(stop, self.num_frames)
        if first < stop:
            return range(first, stop)
        nearest = round(((start_s + end_s) / 2 - self.window_s / 2) / self.hop_s)
        nearest = min(max(nearest, 0), self.num_frames - 1)
        return range(nearest, nearest + 1)

    @staticmethod
    def covering(duration_s: float, *, window_s: float, hop_s: float) -> FrameGrid:
        """The smallest grid whose windows cover every second of ``duration_s`` (at least one frame)."""
        frames = 1 + max(0, math.ceil((duration_s - window_s) / hop_s - 1e-9))
        return FrameGrid(window_s=window_s, hop_s=hop_s, num_frames=frames)


def intersection_s(a: Float64Array, b: Float64Array) -> Float64Array:
    """Overlap in seconds of intervals ``a (..., 2)`` and ``b (..., 2)``, broadcast against each other."""
    overlap: Float64Array = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
    return np.maximum(overlap, 0.0)


def interval_iou(a: Float64Array, b: Float64Array) -> Float64Array:
    """Intersection over union of intervals ``(..., 2)``; 0 where the union is empty.

    The official evaluator's two slightly different unions live in ``amr.metrics``; this is the plain one.
    """
    overlap = intersection_s(a, b)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - overlap
    iou: Float64Array = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return iou
