"""Long recordings in overlapping windows: where to cut, and how to put the answers together again.

A recording that fits into one window is never cut, so its answer is the network's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from amr.moments import FrameGrid, Moment, ScoredMoment, interval_iou

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

Curve = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """What one window answered.

    Args:
        frames: the frames it saw.
        moments: in seconds of the recording.
        saliency: ``(len(frames),)`` in [0, 1].
    """

    frames: range
    moments: list[ScoredMoment]
    saliency: Curve


def cut(num_frames: int, window_frames: int) -> list[range]:
    """Windows of ``window_frames`` over all frames, half overlapping, the last one flush with the end."""
    if num_frames == 0:
        return []
    if num_frames <= window_frames:
        return [range(num_frames)]
    step = max(1, int(window_frames * (1 - OVERLAP)))
    starts = [*range(0, num_frames - window_frames, step), num_frames - window_frames]
    return [range(start, start + window_frames) for start in starts]


def extent(frames: range, grid: FrameGrid, duration_s: float) -> Moment:
    """The stretch of the recording that a window's spans are fractions of; all of it for the whole grid."""
    return grid.span_s(frames.start, frames.stop - 1, duration_s)


def merge_moments(heard: Sequence[Heard], grid: FrameGrid, duration_s: float) -> list[ScoredMoment]:
    """The moments of all windows, best first: pieces of one moment joined, repeats dropped.

    A lone window's moments come back as they are, in order of their scores.
    """
    if len(heard) == 1:
        return by_score(heard[0].moments)
    windows = drop_fragments(join_cut_moments(heard, grid, duration_s), heard, grid, duration_s)
    ranked = sorted(
        ((moment, number) for number, moments in enumerate(windows) for moment in moments),
        key=lambda pair: -pair[0].score,
    )
    kept: list[tuple[ScoredMoment, int]] = []
    for moment, number in ranked:
        rivals = [other for other, window in kept if window != number]
        if not repeats(moment, rivals, SAME_MOMENT_IOU):
            kept.append((moment, number))
    return [moment for moment, _ in kept]


def join_cut_moments(heard: Sequence[Heard], grid: FrameGrid, duration_s: float) -> list[list[ScoredMoment]]:
    """The moments of each window, where one that runs into a cut has been joined with its continuation.

    The joined moment stands with the later window, so that it may go on into a third.
    """
    near_s = EDGE_FRAMES * grid.hop_s
    joined = [list(heard[0].moments)]
    for before, after in pairwise(heard):
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
                later.append(ScoredMoment(piece.start_s, max(piece.end_s, moment.end_s), score))
        joined.append(later)
    return joined


def drop_fragments(
    windows: Sequence[list[ScoredMoment]], heard: Sequence[Heard], grid: FrameGrid, duration_s: float
) -> list[list[ScoredMoment]]:
    """Without the moments that a cut has shortened and that another window saw whole."""
    near_s = EDGE_FRAMES * grid.hop_s
    kept = []
    for number, moments in enumerate(windows):
        seen = extent(heard[number].frames, grid, duration_s)
        first_s = seen.start_s + near_s if number > 0 else -1.0
        last_s = seen.end_s - near_s if number < len(windows) - 1 else duration_s + 1.0
        others = [m for other, found in enumerate(windows) if other != number for m in found]
        kept.append(
            [
                moment
                for moment in moments
                if not ((moment.start_s <= first_s or moment.end_s >= last_s) and part_of(moment, others))
            ]
        )
    return kept


def part_of(moment: ScoredMoment, others: Sequence[ScoredMoment]) -> bool:
    """Whether a longer moment, about as sure, holds nearly all of ``moment``."""
    length_s = moment.end_s - moment.start_s
    return any(
        other.end_s - other.start_s > length_s
        and other.score >= JOIN_SCORE_RATIO * moment.score
        and min(other.end_s, moment.end_s) - max(other.start_s, moment.start_s) >= INSIDE * length_s
        for other in others
    )


def continued(moment: ScoredMoment, earlier: Sequence[ScoredMoment], right_s: float) -> ScoredMoment | None:
    """The surest of the ``earlier`` moments that reaches the cut and that ``moment`` goes on with."""
    candidates = [
        piece
        for piece in earlier
        if piece.end_s >= right_s
        and piece.start_s <= moment.start_s <= piece.end_s
        and min(piece.score, moment.score) >= JOIN_SCORE_RATIO * max(piece.score, moment.score)
    ]
    return max(candidates, key=lambda piece: piece.score, default=None)


def merge_saliency(heard: Sequence[Heard], num_frames: int) -> Curve:
    """``(num_frames,)``: where windows overlap, a mean that trusts frames the more, the further from a cut."""
    if len(heard) == 1:
        return heard[0].saliency
    total, weight = np.zeros(num_frames), np.zeros(num_frames)
    for window in heard:
        length = len(window.frames)
        trust = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float64)
        total[window.frames.start : window.frames.stop] += trust * window.saliency
        weight[window.frames.start : window.frames.stop] += trust
    return (total / weight).astype(np.float32)


def suppress(moments: Sequence[ScoredMoment], max_iou: float) -> list[ScoredMoment]:
    """Non-maximum suppression: best first, none overlapping a better one by more than ``max_iou``."""
    kept: list[ScoredMoment] = []
    for moment in by_score(moments):
        if not repeats(moment, kept, np.nextafter(max_iou, 2.0)):
            kept.append(moment)
    return kept


def repeats(moment: ScoredMoment, others: Sequence[ScoredMoment], least_iou: float) -> bool:
    """Whether ``moment`` overlaps one of ``others`` by ``least_iou`` or more."""
    if not others:
        return False
    spans = np.array([[other.start_s, other.end_s] for other in others])
    ious = interval_iou(np.array([moment.start_s, moment.end_s]), spans)
    return bool((ious >= least_iou).any())


def by_score(moments: Sequence[ScoredMoment]) -> list[ScoredMoment]:
    """Best first; equal scores keep their order."""
    return sorted(moments, key=lambda moment: -moment.score)
