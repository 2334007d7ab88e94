"""Long recordings in overlapping windows: where to cut, and how to put the answers together again.

A recording that fits into one window is never cut, so its answer is the network's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from amr.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from amr.moments import FrameGrid, Moment, Span, interval_iou

# Half a window: every moment of up to half a window's length lies whole in at least one of them.
OVERLAP = 0.5
# Two windows that see the same sound rarely place it further apart than this.
SAME_MOMENT_IOU = 0.5
# A moment that ends this near a cut is taken to go on beyond it.
EDGE_FRAMES = 2.0
# A piece that lies this far inside another window's moment is a part of it.
INSIDE = 0.8
# Two pieces are joined only when neither is much surer than the other.
JOIN_SCORE_RATIO = 0.5

Table = Float64Array
Numbers = Int64Array


@dataclass(frozen=True)
class WindowAnswer:
    """What one window answered.

    Args:
        frames: the frames it saw.
        moments: in seconds of the recording.
        saliency: ``(len(frames),)`` in [0, 1].
    """

    frames: range
    moments: list[Moment]
    saliency: Float32Array


def cut(num_frames: int, window_frames: int) -> list[range]:
    """Windows of ``window_frames`` over all frames, half overlapping, the last one flush with the end."""
    if num_frames == 0:
        return []
    if num_frames <= window_frames:
        return [range(num_frames)]
    step = max(1, int(window_frames * (1 - OVERLAP)))
    starts = [*range(0, num_frames - window_frames, step), num_frames - window_frames]
    return [range(start, start + window_frames) for start in starts]


def extent(frames: range, grid: FrameGrid, duration_s: float) -> Span:
    """The stretch of the recording that a window's spans are fractions of; all of it for the whole grid."""
    return grid.span_s(frames.start, frames.stop - 1, duration_s)


def merge_moments(answers: Sequence[WindowAnswer], grid: FrameGrid, duration_s: float) -> list[Moment]:
    """The moments of all windows, best first: pieces of one moment joined, repeats dropped.

    A lone window's moments come back as they are, in order of their scores.
    """
    if len(answers) == 1:
        return by_score(answers[0].moments)
    windows = join_cut_moments(answers, grid, duration_s)
    moments = [moment for found in windows for moment in found]
    window_of = np.repeat(np.arange(len(windows)), [len(found) for found in windows])
    at_cut = [
        near_cut(moments[k], answers[window_of[k]].frames, grid, duration_s) for k in range(len(moments))
    ]
    table = np.array(moments, dtype=np.float64).reshape(-1, 3)
    near_s = EDGE_FRAMES * grid.hop_s
    whole = ~fragments(table, window_of, np.array(at_cut, dtype=bool), near_s)
    return greedy(table[whole], SAME_MOMENT_IOU, window_of[whole])


def join_cut_moments(
    answers: Sequence[WindowAnswer], grid: FrameGrid, duration_s: float
) -> list[list[Moment]]:
    """The moments of each window, where one that runs into a cut has been joined with its continuation.

    The joined moment stands with the later window, so that it may go on into a third.
    """
    near_s = EDGE_FRAMES * grid.hop_s
    joined = [list(answers[0].moments)]
    for before, after in pairwise(answers):
        right_s = extent(before.frames, grid, duration_s).end_s - near_s
        left_s = extent(after.frames, grid, duration_s).start_s + near_s
        earlier, later = joined[-1], []
        for moment in after.moments:
            piece = continued(moment, earlier, right_s) if moment.start_s <= left_s else None
            if piece is None:
                later.append(moment)
            else:
                earlier.remove(piece)
                score = (piece.score + moment.score) / 2
                later.append(Moment(piece.start_s, max(piece.end_s, moment.end_s), score))
        joined.append(later)
    return joined


def near_cut(moment: Moment, window: range, grid: FrameGrid, duration_s: float) -> bool:
    """Whether a moment of a window ends where the window does and the recording does not."""
    seen = extent(window, grid, duration_s)
    near_s = EDGE_FRAMES * grid.hop_s
    starts = window.start > 0 and moment.start_s <= seen.start_s + near_s
    return starts or (window.stop < grid.num_frames and moment.end_s >= seen.end_s - near_s)


def fragments(table: Table, window_of: Numbers, at_cut: BoolArray, near_s: float) -> BoolArray:
    """Which moments a cut has shortened, while another window saw a longer or a whole one that holds nearly
    all of them.

    Args:
        table: ``(moments, 3)``: start, end, score.
        window_of: ``(moments,)``, the window that each is from.
        at_cut: ``(moments,)``, whether it ends at a cut.
        near_s: two windows may place the same end so far apart; it decides where little of a moment was seen.
    """
    start_s, end_s, score = table.T
    length_s = end_s - start_s
    out = np.zeros(len(table), dtype=bool)
    for k in np.flatnonzero(at_cut):
        shared_s = np.minimum(end_s + near_s, end_s[k]) - np.maximum(start_s - near_s, start_s[k])
        # Ends are off by a little: a short moment that is whole may look no longer than most of it.
        holds = (shared_s >= INSIDE * length_s[k]) & ((length_s > length_s[k]) | ~at_cut)
        out[k] = bool((holds & (window_of != window_of[k]) & (score >= JOIN_SCORE_RATIO * score[k])).any())
    return out


def continued(moment: Moment, earlier: Sequence[Moment], right_s: float) -> Moment | None:
    """The surest of the ``earlier`` moments that reaches the cut and that ``moment`` goes on with."""
    candidates = [
        piece
        for piece in earlier
        if piece.end_s >= right_s
        and piece.start_s <= moment.start_s <= piece.end_s
        and min(piece.score, moment.score) >= JOIN_SCORE_RATIO * max(piece.score, moment.score)
    ]
    return max(candidates, key=lambda piece: piece.score, default=None)


def merge_saliency(answers: Sequence[WindowAnswer], num_frames: int) -> Float32Array:
    """``(num_frames,)``: where windows overlap, a mean that trusts frames far from a cut the most."""
    if len(answers) == 1:
        return answers[0].saliency
    total, weight = np.zeros(num_frames), np.zeros(num_frames)
    for window in answers:
        length = len(window.frames)
        trust = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float64)
        total[window.frames.start : window.frames.stop] += trust * window.saliency
        weight[window.frames.start : window.frames.stop] += trust
    return (total / weight).astype(np.float32)


def suppress(moments: Sequence[Moment], max_iou: float) -> list[Moment]:
    """Non-maximum suppression: best first, none overlapping a better one by more than ``max_iou``."""
    table = np.array(moments, dtype=np.float64).reshape(-1, 3)
    return greedy(table, float(np.nextafter(max_iou, 2.0)), np.arange(len(moments)))


def greedy(table: Table, least_iou: float, window_of: Numbers) -> list[Moment]:
    """Best first, without those that overlap a better one of another window by ``least_iou`` or more.

    Args:
        table: ``(moments, 3)``: start, end, score.
        least_iou: from here on two moments are one.
        window_of: ``(moments,)``; moments with the same number do not rule each other out.
    """
    order = np.argsort(-table[:, 2], kind="stable")
    table, window_of = table[order], window_of[order]
    alive = np.ones(len(table), dtype=bool)
    for k in range(len(table)):
        if alive[k]:
            ious = interval_iou(table[k, :2], table[k + 1 :, :2])
            alive[k + 1 :] &= (ious < least_iou) | (window_of[k + 1 :] == window_of[k])
    return [Moment(*row) for row in table[alive].tolist()]


def by_score(moments: Sequence[Moment]) -> list[Moment]:
    """Best first; equal scores keep their order."""
    return sorted(moments, key=lambda moment: -moment.score)
