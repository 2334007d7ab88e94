"""Which items stand in which batch: shuffled each epoch, recordings of like length together."""

from __future__ import annotations

import numpy as np

from amr.arrays import Int64Array
from amr.training.draws import key_of

POOL_BATCHES = 32
"""Batches that are sorted by length together: enough for little padding, few enough to stay random."""


def epoch_batches(lengths: Int64Array, *, batch_size: int, seed: int, epoch: int) -> list[Int64Array]:
    """Every item once, in batches; the last one may be smaller.

    The items are shuffled, cut into pools of ``POOL_BATCHES`` batches, sorted by length inside a pool (items
    of equal length stay shuffled), cut into batches, and the batches are shuffled.

    Args:
        lengths: ``(items,)`` frames of each item.
        batch_size: items a batch.
        seed, epoch: decide the order alone.
    """
    generator = np.random.Generator(np.random.PCG64(key_of(seed, epoch, "order")))
    order = generator.permutation(len(lengths))
    pool = POOL_BATCHES * batch_size
    if len(lengths) and lengths.min() < lengths.max():
        for first in range(0, len(order), pool):
            part = order[first : first + pool]
            order[first : first + pool] = part[np.argsort(lengths[part], kind="stable")]
    batches = [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
    return [batches[index] for index in generator.permutation(len(batches))]


def chunks(lengths: Int64Array, *, frames: int, processes: int = 1) -> list[slice]:
    """A batch cut into runs of items that are computed at once.

    Args:
        lengths: ``(batch,)`` frames of each item.
        frames: most frames a chunk, padding included; at least one item is in each.
        processes: a batch of fewer chunks than these is cut finer, so that each has something to do.
    """
    items = max(1, frames // max(int(lengths.max(initial=1)), 1))
    if -(-len(lengths) // items) < processes:
        items = -(-len(lengths) // processes)
    return [slice(first, min(first + items, len(lengths))) for first in range(0, len(lengths), items)]


def share(parts: int, rank: int, processes: int) -> range:
    """Which of ``parts`` chunks process ``rank`` works on: a run of them, as even as can be."""
    return range(rank * parts // processes, (rank + 1) * parts // processes)
