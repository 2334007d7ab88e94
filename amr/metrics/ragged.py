"""Rows that belong to queries, many or none each, and walking over them in even blocks.

The data of 100,000 queries lie in flat arrays; nothing is padded. Queries of equal shape (as many predicted
and as many true windows) are worked on together, in blocks of bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from amr.arrays import BoolArray, Float64Array, Int64Array

MAX_BLOCK_CELLS = 1 << 21
"""Cells of the largest intermediate array of a block: 16 MB of float64."""


@dataclass(frozen=True)
class Ragged:
    """Item ``i`` owns the rows ``start[i]:start[i + 1]``.

    Args:
        start: ``(items + 1,)`` offsets, the first is 0.
        rows: ``(rows, ...)`` the values.
    """

    start: Int64Array
    rows: Float64Array

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def counts(self) -> Int64Array:
        """``(items,)`` how many rows each item owns."""
        return np.diff(self.start)

    @property
    def owner(self) -> Int64Array:
        """``(rows,)`` the item of each row."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def rank(self) -> Int64Array:
        """``(rows,)`` each row's place among those of its item, from 0."""
        ranks: Int64Array = np.arange(len(self.rows)) - np.repeat(self.start[:-1], self.counts)
        return ranks

    def block(self, items: Int64Array, count: int) -> Float64Array:
        """``(len(items), count, ...)`` the rows of items that own ``count`` each."""
        rows: Float64Array = self.rows[self.start[items][:, None] + np.arange(count)]
        return rows

    def take(self, items: Int64Array) -> Ragged:
        """The given items, in the given order."""
        counts = self.counts[items]
        start = offsets(counts)
        shift = np.repeat(self.start[items] - start[:-1], counts)
        return Ragged(start=start, rows=self.rows[np.arange(start[-1]) + shift])


def offsets(counts: Int64Array) -> Int64Array:
    """``(items + 1,)`` where each item's rows begin."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])


def gather(owner: Int64Array, rows: Float64Array, num_items: int) -> Ragged:
    """Rows in any order brought together by owner; those of one owner keep their order."""
    order = np.argsort(owner, kind="stable")
    return Ragged(start=offsets(np.bincount(owner, minlength=num_items)), rows=rows[order])


def even_blocks(*counts: Int64Array, cells_an_item: int) -> Iterator[tuple[Int64Array, tuple[int, ...]]]:
    """``(items, shape)`` where all items of a block have the same counts.

    Args:
        counts: arrays ``(items,)``; items that agree in all of them share blocks.
        cells_an_item: factor of a block's memory beside the product of its counts.
    """
    order = np.lexsort(counts)
    shapes = np.stack(counts, axis=1)[order]
    is_new = np.any(shapes[1:] != shapes[:-1], axis=1)
    edges = [0, *(np.flatnonzero(is_new) + 1).tolist(), len(order)]
    for begin, end in pairwise(edges):
        if begin == end:
            continue
        shape = tuple(shapes[begin].tolist())
        size = max(1, MAX_BLOCK_CELLS // max(1, cells_an_item * int(np.prod(np.maximum(shape, 1)))))
        for first in range(begin, end, size):
            yield order[first : min(first + size, end)], shape


def sum_selected(values: Float64Array, selected: BoolArray) -> Float64Array:
    """``(rows,)`` the sum of each row's selected values, grouped as ``np.sum`` of them alone would.

    A sum over zeros in between would group the additions differently and differ in the last bit.
    """
    sums = np.zeros(len(values))
    counts = selected.sum(axis=1)
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        packed = values[rows][selected[rows]].reshape(len(rows), int(count))
        sums[rows] = packed.sum(axis=1)
    return sums
