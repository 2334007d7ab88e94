"""Segments in numpy: the likeliest moments of a semi-Markov random field, without an import of torch.

The definition is :mod:`amr.models.frames.segments`. Windows of several queries go through the recursion side
by side; sums are in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amr.arrays import Float32Array, Float64Array, FloatingArray, IntpArray
from amr.models.config import NetworkConfig
from amr.models.frames.constants import (
    ALIKE_IOU,
    CANDIDATES,
    GONE,
    LEAST_CHANCE,
    LENGTH_CLASSES,
    MOST_CHANCE,
    NO_FIT,
    QUALITY_SHARE,
    RULED_OUT,
    SAME_MOMENT_IOU,
    VOTING_IOU,
)

HIGHEST = 300.0
"""Logarithm of the highest number that sums are made of; what is smaller by exp(700) is nothing beside it."""
# So that a span of no width overlaps nothing, as in amr.models.spans.
TINY = 1e-9


class Field(NamedTuple):
    """What the frames of a window are worth to moments, float64.

    Args:
        before: ``(frames,)``, what a moment has that begins there, but for what it shares with all that end
            where it ends.
        until: ``(frames,)``, what all have that end there.
    """

    before: Float64Array
    until: Float64Array

    @staticmethod
    def of(inside: FloatingArray, ends: FloatingArray) -> Field:
        """From what each frame of a moment adds ``(frames,)``, and what its first frame adds, and its last,
        ``(frames, 2)``."""
        inside, (first, last) = inside.astype(np.float64), ends.astype(np.float64).T
        so_far = inside.cumsum()
        return Field(first + inside - so_far, so_far + last)


def marginals(
    inside: Sequence[FloatingArray], ends: Sequence[FloatingArray], by_length: FloatingArray
) -> list[Float32Array]:
    """Each moment's chance by its first and last frame, ``(frames, frames)`` a window.

    Args:
        inside: ``(frames,)`` a window, what each frame of a moment adds.
        ends: ``(frames, 2)`` a window, what its first frame adds, and its last.
        by_length: ``(LENGTH_CLASSES,)``.
    """
    fields = list(map(Field.of, inside, ends))
    # Back is forward over the frames in reverse, so that both go side by side.
    back = [Field.of(each[::-1], both[::-1, ::-1]) for each, both in zip(inside, ends, strict=True)]
    of_length = by_length.astype(np.float64)[length_classes(max(map(len, inside)))]
    ahead = log_sums([*fields, *back], of_length)
    found = []
    for field, before, behind in zip(fields, ahead, ahead[len(fields) :], strict=False):
        frames = len(field.until)
        begun = field.before + before[:frames] - before[frames]
        chances = by_first_and_last(of_length[:frames])
        chances += begun[:, None]
        chances += field.until + behind[:frames][::-1]
        small = chances.astype(np.float32)
        found.append(np.exp(small, out=small))
    return found


def log_sums(fields: Sequence[Field], of_length: Float64Array) -> Float64Array:
    """Logarithms of the sums over all segmentations of the first frames, ``(windows, frames + 1)``.

    Args:
        fields: one a window.
        of_length: ``(frames,)``, what moments of 1, 2, 3 ... frames have for it.
    """
    longest, windows = len(of_length), len(fields)
    before, until = np.full((2, longest, windows), -np.inf)
    for number, each in enumerate(fields):
        before[: len(each.before), number], until[: len(each.until), number] = each
    most = of_length.max()
    falling = np.exp(of_length - most)[::-1]
    ahead = np.zeros((longest + 1, windows))
    # What begins at each frame, over exp(size): not its logarithm, so that a step is one product.
    begun, size = np.zeros((longest, windows)), np.full(windows, -np.inf)
    for end in range(longest):
        now = before[end] + ahead[end]
        if (now - size).max() > HIGHEST:
            raised = np.maximum(now, size)
            begun[:end] *= np.exp(size - raised)
            size = raised
        np.exp(now - size, out=begun[end])
        summed = falling[longest - 1 - end :] @ begun[: end + 1]
        ahead[end + 1] = np.logaddexp(ahead[end], until[end] + size + most + np.log(summed))
    return ahead.T


def length_classes(frames: int) -> IntpArray:
    """The class of moments of 1, 2, 3 ... frames, ``(frames,)``."""
    lengths = range(1, frames + 1)
    return np.array([min((length - 1).bit_length(), LENGTH_CLASSES - 1) for length in lengths], dtype=np.intp)


def by_first_and_last(of_length: Float64Array) -> Float64Array:
    """``(frames, frames)``: what a moment has for its length; -inf where its end comes before its start."""
    frames = len(of_length)
    padded = np.concatenate((np.full(frames - 1, -np.inf), of_length))
    return np.lib.stride_tricks.sliding_window_view(padded, frames)[::-1].copy()


def choose_segments(
    ends: Float32Array,
    middles: FloatingArray,
    chances: Float32Array,
    quality: Float32Array,
    config: NetworkConfig,
) -> tuple[Float32Array, Float32Array]:
    """The likeliest moments, best first: their ends ``(answers, 2)`` and logits.

    Args:
        ends: each frame's proposal, ``(frames, 2)``.
        middles: ``(frames,)``.
        chances: of :func:`marginals`.
        quality: ``(frames,)``, the logit of each proposal; looked at where the network has one.
        config: how many answers, and what calibration makes of them.
    """
    count = config.queries
    cells = likeliest(chances.ravel())
    chance = chances.ravel()[cells]
    start, end = fine_ends(ends, middles, *np.divmod(cells, len(chances)))
    alike = overlaps(start[:, None], end[:, None], start, end) >= ALIKE_IOU
    np.fill_diagonal(alike, True)
    weight = alike * chance
    together = weight.sum(axis=1)
    spans = weight @ np.stack((start, end), axis=1)
    spans /= np.maximum(together, np.finfo(np.float32).tiny)[:, None]
    start, end = spans.T
    certain = np.clip(together, LEAST_CHANCE, MOST_CHANCE)
    left = np.log(certain / (1 - certain))
    if config.quality:
        agrees = overlaps(start[:, None], end[:, None], ends[:, 0], ends[:, 1]) >= VOTING_IOU
        fit = np.where(agrees, quality, np.float32(NO_FIT)).max(axis=1)
        left = np.float32(QUALITY_SHARE) * fit + np.float32(1 - QUALITY_SHARE) * left
    kept, likely = np.zeros((count, 2), np.float32), np.full(count, GONE, np.float32)
    for number in range(min(count, len(cells))):
        place = left.argmax()
        if left[place] == GONE:
            break
        kept[number], likely[number] = spans[place], left[place]
        left[overlaps(start, end, start[place], end[place]) >= SAME_MOMENT_IOU] = GONE
        left[place] = GONE
    logits = config.moment_slope * likely + config.moment_shift if config.moment_slope else likely
    return kept, np.where(likely == GONE, np.float32(RULED_OUT), logits).astype(np.float32)


def likeliest(chances: Float32Array) -> IntpArray:
    """Where the ``CANDIDATES`` highest are that could be answers, by falling chance."""
    places = np.flatnonzero(chances > LEAST_CHANCE)
    if len(places) > CANDIDATES:
        places = places[np.argpartition(chances[places], -CANDIDATES)[-CANDIDATES:]]
    found: IntpArray = places[np.argsort(-chances[places], kind="stable")]
    return found


def fine_ends(
    ends: Float32Array, middles: FloatingArray, first: IntpArray, last: IntpArray
) -> tuple[Float32Array, Float32Array]:
    """Starts and ends of moments from frame ``first`` to frame ``last``, ``(moments,)`` each."""
    frame, middle = np.float32(1 / len(middles)), middles.astype(np.float32)
    begin, stop = middle - frame / 2, middle + frame / 2
    start = np.clip(ends[:, 0], begin - frame, begin + frame)[first]
    end = np.clip(ends[:, 1], stop - frame, stop + frame)[last]
    centre, half = (start + end) / 2, np.maximum(end - start, 0) / 2
    return centre - half, centre + half


def overlaps(
    start: Float32Array, end: Float32Array, other_start: Float32Array, other_end: Float32Array
) -> Float32Array:
    """IoU of spans with others."""
    shared = np.minimum(end, other_end) - np.maximum(start, other_start)
    np.maximum(shared, 0, out=shared)
    union = (end - start) + (other_end - other_start)
    union -= shared
    np.maximum(union, np.float32(TINY), out=union)
    found: Float32Array = np.divide(shared, union, out=shared)
    return found
