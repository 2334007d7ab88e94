"""What a network takes from its training data in closed form, before any gradient: how frames are whitened,
and what sentences sound like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from amr.arrays import Int64Array
from amr.models.frames.network import FrameNetwork, compressed
from amr.models.frames.prototypes import Prototypes, even
from amr.training.dataset import Dataset

MEASURED_FRAMES = 65_536
"""Training frames whose mean and covariance stand for all."""
BLOCK_FRAMES = 16_384
"""Frames that are whitened at once."""


def measure(
    network: FrameNetwork,
    dataset: Dataset,
    on_block: Callable[[], None] = lambda: None,
    *,
    whiten: bool = True,
) -> None:
    """Set what ``network`` does not learn by gradients.

    Args:
        on_block: called before each block of frames; where it raises, the work ends.
        whiten: also how frames are whitened; False for a network whose weights know them as they are.
    """
    known = network.prototypes
    if known is None:
        return
    with torch.no_grad():
        if whiten:
            known.whitening.fit(even(compressed(sample(dataset.frames.values))))
        prototypes = prototypes_of(known, dataset, on_block)
        text, meaning = sentences_of(dataset, set(prototypes), capacity=len(known.support))
        if len(text) == 0:
            return
        row = {each: place for place, each in enumerate(prototypes)}
        tokens, mask = dataset.tokens.gather(
            text,
            np.zeros_like(text),
            np.minimum(dataset.tokens.counts[text], network.config.max_tokens),
            dataset.tokens.values.device,
        )
        known.fit(
            known.sentences(tokens.cpu(), None if mask is None else mask.cpu()),
            torch.tensor([row[each] for each in meaning.tolist()]),
            torch.stack(list(prototypes.values())),
        )


def sample(frames: Tensor) -> Tensor:
    """At most ``MEASURED_FRAMES`` of ``frames (count, dim)``, evenly over all, float32 on the CPU."""
    places = torch.linspace(0, len(frames) - 1, min(len(frames), MEASURED_FRAMES), dtype=torch.float64)
    return frames.index_select(0, places.long().to(frames.device)).float().cpu()


def prototypes_of(
    known: Prototypes, dataset: Dataset, on_block: Callable[[], None] = lambda: None
) -> dict[int, Tensor]:
    """The mean direction of the whitened frames in the moments of each meaning, unit vectors ``(axes,)``.

    Each item counts the same, however long its moments are.
    """
    items = np.flatnonzero(dataset.num_windows > 0)
    rows = [rows_of(dataset, item) for item in items.tolist()]
    total = torch.zeros(dataset.meanings, known.duals.shape[1])
    for first, stop in blocks([len(each) for each in rows]):
        on_block()
        place = torch.from_numpy(np.concatenate(rows[first:stop]))
        values = dataset.frames.values
        directions = known.directions(
            compressed(values.index_select(0, place.to(values.device)).float().cpu())
        )
        counts = torch.tensor([len(each) for each in rows[first:stop]])
        owner = torch.repeat_interleave(torch.from_numpy(dataset.meaning[items[first:stop]]), counts)
        share = torch.repeat_interleave(1 / counts, counts).unsqueeze(-1)
        total.index_add_(0, owner, directions * share)
    found = np.unique(dataset.meaning[items]).tolist()
    return {each: functional.normalize(total[each], dim=0) for each in found}


def rows_of(dataset: Dataset, item: int) -> Int64Array:
    """The frames of a training set that lie in an item's moments, each once."""
    recording = int(dataset.recording[item])
    grid = dataset.grid(recording)
    inside = [grid.frames_between(start_s, end_s) for start_s, end_s in dataset.windows_of(item).tolist()]
    found: Int64Array = np.unique(np.concatenate([np.arange(each.start, each.stop) for each in inside]))
    return found + int(dataset.frames.start[recording])


def blocks(sizes: list[int]) -> list[tuple[int, int]]:
    """Neighbours with about ``BLOCK_FRAMES`` frames together, as (first, stop)."""
    ends = np.cumsum(sizes)
    found, first = [], 0
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, before + BLOCK_FRAMES, side="right")))
        found.append((first, stop))
        first = stop
    return found


def sentences_of(dataset: Dataset, meanings: set[int], *, capacity: int) -> tuple[Int64Array, Int64Array]:
    """The texts that ask for one of ``meanings``, each once, and what they ask for; ``capacity`` at most,
    evenly over all."""
    meant = {
        int(text): int(meaning)
        for meaning, texts in zip(dataset.meaning.tolist(), dataset.wordings, strict=True)
        if meaning in meanings
        for text in texts
    }
    places = sorted(meant.items(), key=lambda pair: (pair[1], pair[0]))
    if len(places) > capacity:
        places = [places[int(place)] for place in np.linspace(0, len(places) - 1, capacity)]
    texts, found = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return texts, found
