"""A curve of many recordings, one behind the other: what is done to each by itself, for all at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from amr.processors import free_processors
from amr.retrieval.archive.spaces import Offsets, Vector

ROWS_AT_ONCE = 131_072  # of which a processor's cache holds a few curves


def for_recordings(start: Offsets, work: Callable[[range], None]) -> None:
    """``work`` on the numbers of neighbouring recordings, in threads; numpy's loops leave Python's lock.

    Args:
        start: ``(recordings + 1,)``, where each begins.
    """
    with ThreadPoolExecutor(free_processors()) as pool:
        list(pool.map(work, recordings_at_once(start)))


def recordings_at_once(start: Offsets) -> Iterator[range]:
    """Neighbours with about ``ROWS_AT_ONCE`` frames in all, or one recording."""
    first = 0
    while first < len(start) - 1:
        last = int(np.searchsorted(start, start[first] + ROWS_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        yield range(first, last)
        first = last


def rows_of(chosen: Offsets, start: Offsets) -> tuple[Offsets, Offsets]:
    """The rows of some recordings, one behind the other, and where each of them then begins, as ``start``."""
    lengths = start[chosen + 1] - start[chosen]
    inner = np.concatenate(([0], np.cumsum(lengths)))
    rows: Offsets = np.arange(inner[-1]) + np.repeat(start[chosen] - inner[:-1], lengths)
    return rows, inner


def highest_smoothed(curve: Vector, start: Offsets, half_foot: float) -> Vector:
    """``(recordings,)``: how high each one's smoothed curve reaches; minus infinity where it has no frame.

    Args:
        curve: ``(frames,)`` of all recordings.
        start: ``(recordings + 1,)``, where each begins.
        half_foot: as in :func:`amr.retrieval.window.smoothed`.
    """
    highest = np.empty(len(start) - 1, dtype=np.float32)

    def block(some: range) -> None:
        bounds = start[some.start : some.stop + 1]
        smooth = smoothed_apart(curve[bounds[0] : bounds[-1]], bounds - bounds[0], half_foot)
        highest[some.start : some.stop] = recording_maxima(smooth, bounds - bounds[0])

    for_recordings(start, block)
    return highest


def smoothed_apart(curve: Vector, start: Offsets, half_foot: float) -> Vector:
    """``window.smoothed`` of each recording by itself, for all at once.

    Args:
        curve: ``(frames,)`` of all recordings.
        start: ``(recordings + 1,)``, where each begins.
        half_foot: as in :func:`amr.retrieval.window.smoothed`.
    """
    reach = math.ceil(half_foot) - 1
    if reach < 1 or len(curve) == 0:
        return curve
    offsets = np.arange(-reach, reach + 1)
    weights = (1.0 - np.abs(offsets) / half_foot).astype(np.float32)
    weights /= weights.sum()
    held = np.pad(curve, reach, mode="edge")
    smooth = np.zeros_like(curve)
    for weight, shift in zip(weights, range(2 * reach + 1), strict=True):
        smooth += weight * held[shift : shift + len(curve)]
    # Near its ends a recording's own first and last frames are held, not the neighbours'.
    owner = np.repeat(np.arange(len(start) - 1), np.minimum(np.diff(start), 2 * reach))
    rows = edge_rows(start, reach)
    around = np.clip(rows[:, None] + offsets, start[owner][:, None], start[owner + 1][:, None] - 1)
    smooth[rows] = curve[around] @ weights
    return smooth


def edge_rows(start: Offsets, reach: int) -> Offsets:
    """The rows less than ``reach`` from an end of their recording, in order."""
    counts = np.minimum(np.diff(start), 2 * reach)
    place = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    length = np.repeat(np.diff(start), counts)
    from_end = (length > 2 * reach) & (place >= reach)
    rows: Offsets = np.repeat(start[:-1], counts) + place + np.where(from_end, length - 2 * reach, 0)
    return rows


def recording_maxima(curve: Vector, start: Offsets) -> Vector:
    """``(recordings,)``: the highest value of each; minus infinity where one has no frame."""
    highest = np.full(len(start) - 1, -np.inf, dtype=np.float32)
    filled = np.flatnonzero(np.diff(start) > 0)
    if len(filled):
        highest[filled] = np.maximum.reduceat(curve, start[filled])
    return highest
