"""The sliding-window baseline: a curve of similarity over time into scored moments.

The baseline of the AM-DETR paper (Munakata et al., arXiv 2409.15672, section V-A): similarity of query and
window frame by frame, a threshold, a median filter, runs of ones; a run's confidence is its mean similarity.
The paper leaves open how the threshold adapts, how gaps close and what an empty result becomes; here each has
a rule.

The threshold rises from the recording's median towards its peak. In a recording of hours with one short event
the median is the background, whatever the length, and the event stands alone; quieter events than
``fraction`` of the loudest are not reported beside it. A sound that never stops is its own median: there
``certain`` takes over, and where even that is not reached the answer is the loudest part. Time and memory are
linear in the number of frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from amr.arrays import BoolArray, Float32Array, FloatingArray, IntpArray
from amr.moments import FrameGrid, Moment

Runs = IntpArray


@dataclass(frozen=True)
class WindowOptions:
    """How a curve is cut. Similarities are those of the encoder's joint space.

    The defaults were tuned for ``yamnet`` on scenes made of the open training clips
    (``tests/benchmarks/scenes.py --set open-train``); docs/encoders.md reports on other sets.

    Args:
        threshold: a fixed similarity; None adapts to the recording: base + fraction * (peak - base).
        base_quantile: the base is this quantile of the curve. fraction: how far up from base to peak the
        threshold lies. certain: frames from this similarity on count whatever the adaptive threshold says, so
        that a sound that
            never stops is one long moment and not its own loudest splinters. It needs similarities of a known
            scale; None switches it off.
        smooth_s: half the foot of the triangle that smooths the curve; at most one hop switches it off.
        filter_s: length of the median filter over the binary curve; at most one hop switches it off. Over a
            smoothed curve it measured no better, and it swallows short sounds.
        gap_s: runs at most this far apart are one.
        min_length_s: shorter runs are dropped, unless none would be left.
        score_centre: the similarity whose score is 0.5; where a query that is there and one that is not are
            equally likely.
        score_scale: similarity from score 0.5 to 0.73: the score is logistic.
    """

    threshold: float | None = None
    base_quantile: float = 0.5
    fraction: float = 0.3
    certain: float | None = 4.0
    smooth_s: float = 1.2
    filter_s: float = 0.0
    gap_s: float = 2.0
    min_length_s: float = 0.0
    score_centre: float = 3.0
    score_scale: float = 2.0


# Cosines, as encoders of the CLAP family give them: no level means certainty, and scores spread around the
# cosine that separates their matching pairs from others. Not tuned.
COSINE_OPTIONS = WindowOptions(certain=None, score_centre=0.3, score_scale=0.1)


class CurveRuns(NamedTuple):
    """The runs of a curve, best first.

    Args:
        runs: ``(runs, 2)``, first frame and one past the last.
        scores: ``(runs,)`` in [0, 1].
        smooth: ``(frames,)``, the smoothed curve that they were found on.
    """

    runs: Runs
    scores: Float32Array
    smooth: Float32Array


def default_options(encoder_name: str) -> WindowOptions:
    """The options for an encoder's similarities; those of an unknown encoder are taken for cosines."""
    return WindowOptions() if encoder_name == "yamnet" else COSINE_OPTIONS


def find_moments(
    curve: Float32Array, grid: FrameGrid, duration_s: float, options: WindowOptions
) -> list[Moment]:
    """Moments by falling score, of equals the earlier first; at least one where there is a frame.

    The score is the run's highest smoothed similarity, that is, the mean over its best second or so. The
    paper's mean over the whole run lets one-frame splinters outrank full events; measured, it finds fewer.

    Args:
        curve: ``(frames,)`` similarity of each frame to the query.
        grid: where the frames lie; ``grid.num_frames`` of them.
        duration_s: the recording's length; moments end there at the latest.
        options: threshold, filters and score.
    """
    if len(curve) != grid.num_frames:
        raise ValueError(f"a curve of {len(curve)} frames on a grid of {grid.num_frames}")
    if len(curve) == 0:
        return []
    found = find_runs(curve, grid.hop_s, options)
    spans = [grid.span_s(int(first), int(stop) - 1, duration_s) for first, stop in found.runs]
    return [Moment(*span, float(score)) for span, score in zip(spans, found.scores, strict=True)]


def find_runs(curve: Float32Array, hop_s: float, options: WindowOptions) -> CurveRuns:
    """The runs of at least one frame, as :func:`find_moments` says."""
    smooth = smoothed(curve, options.smooth_s / hop_s)
    active = median_filter(smooth >= threshold_of(smooth, options), round(options.filter_s / hop_s))
    runs = close_gaps(runs_of(active), options.gap_s / hop_s)
    runs = drop_short(runs, options.min_length_s / hop_s)
    if len(runs) == 0:
        runs = peak_run(smooth)
    scores = to_score(run_peaks(smooth, runs), options)
    order = np.argsort(-scores, kind="stable")
    return CurveRuns(runs[order], scores[order], smooth)


def saliency(curve: Float32Array, options: WindowOptions) -> Float32Array:
    """``(frames,)`` similarity to ``(frames,)`` scores in [0, 1], on the scale of the moments' scores."""
    return to_score(curve, options)


def heights(curve: FloatingArray, hop_s: float, options: WindowOptions) -> FloatingArray:
    """``(frames,)``: the logit of the score that a moment with its peak at a frame would have."""
    return to_logit(smoothed(curve, options.smooth_s / hop_s), options)


def to_logit(similarity: FloatingArray, options: WindowOptions) -> FloatingArray:
    """The logit of :func:`to_score`."""
    return (similarity - options.score_centre) / options.score_scale


def to_score(similarity: FloatingArray, options: WindowOptions) -> Float32Array:
    """Logistic; knows nothing of the recording, so that scores compare from one to another."""
    steps = np.clip(to_logit(similarity, options), -60.0, 60.0)
    score: Float32Array = (1.0 / (1.0 + np.exp(-steps))).astype(np.float32)
    return score


def threshold_of(curve: Float32Array, options: WindowOptions) -> float:
    """The similarity from which on a frame counts; never above the peak."""
    peak = float(curve.max())
    if options.threshold is not None:
        return options.threshold
    base = float(np.quantile(curve, options.base_quantile))
    adaptive = base + options.fraction * (peak - base)
    return adaptive if options.certain is None else min(adaptive, options.certain)


def smoothed(curve: Float32Array, half_foot: float) -> Float32Array:
    """Weighted mean over a triangle that reaches ``half_foot`` frames to either side; the ends are held."""
    reach = math.ceil(half_foot) - 1
    if reach < 1:
        return curve
    weights = 1.0 - np.abs(np.arange(-reach, reach + 1)) / half_foot
    held = np.pad(curve.astype(np.float64), reach, mode="edge")
    result: Float32Array = np.convolve(held, weights / weights.sum(), mode="valid").astype(np.float32)
    return result


def median_filter(active: BoolArray, num_frames: int) -> BoolArray:
    """Majority within ``num_frames`` (made odd, upwards) around each frame; at the ends, of what is there.

    On ones and zeros the median is the majority; where a cut window is even and tied, the frame keeps its
    value.
    """
    half = num_frames // 2
    if half == 0:
        return active
    total = np.concatenate(([0], np.cumsum(active)))
    index = np.arange(len(active))
    first, stop = np.maximum(index - half, 0), np.minimum(index + half + 1, len(active))
    twice_ones = 2 * (total[stop] - total[first])
    size = stop - first
    filtered: BoolArray = np.where(twice_ones == size, active, twice_ones > size)
    return filtered


def runs_of(active: BoolArray) -> Runs:
    """``(runs, 2)``: first frame and one past the last of each run of ones."""
    edges = np.diff(np.concatenate(([0], active.astype(np.int8), [0])))
    return np.stack((np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)), axis=1)


def close_gaps(runs: Runs, num_frames: float) -> Runs:
    """Runs with at most ``num_frames`` frames between them become one."""
    if len(runs) == 0:
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] > num_frames
    first, last = np.concatenate(([True], apart)), np.concatenate((apart, [True]))
    return np.stack((runs[first, 0], runs[last, 1]), axis=1)


def drop_short(runs: Runs, min_frames: float) -> Runs:
    """Runs of at least ``min_frames`` frames."""
    kept: Runs = runs[runs[:, 1] - runs[:, 0] >= min_frames]
    return kept


def peak_run(curve: Float32Array) -> Runs:
    """The one frame of highest similarity, the first of equals."""
    peak = int(np.argmax(curve))
    return np.array([[peak, peak + 1]], dtype=np.intp)


def run_peaks(curve: Float32Array, runs: Runs) -> Float32Array:
    """``(runs,)``: the highest similarity inside each run."""
    edges = runs.ravel()
    # reduceat takes stretches from edge to edge; every other one is a gap. An edge at the very end is
    # implied.
    peaks: Float32Array = np.maximum.reduceat(curve, edges[edges < len(curve)])[::2]
    return peaks
