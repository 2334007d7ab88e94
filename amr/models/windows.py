"""Windows of recordings as networks answer for them, whichever library runs the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from amr.arrays import Float32Array, FloatingArray
from amr.models.config import NetworkConfig

LEAST_SCORE = 1e-12
"""Scores below it are no answers."""


class WindowItem(NamedTuple):
    """One query for one window.

    Args:
        stretch: number of the window's frames; items with the same number share them.
        frames: ``(frames, audio_dim)``.
        tokens: ``(tokens, text_dim)`` of the query.
        curves: ``(frames, similarity_channels)``, for networks that take them.
        middles: ``(frames,)`` where each frame's middle lies, as a fraction of the window.
        meaning: ``(axes,)`` what the query sounds like where that is known without its tokens, for networks
            with prototypes.
    """

    stretch: int
    frames: FloatingArray
    tokens: FloatingArray
    curves: FloatingArray | None
    middles: FloatingArray
    meaning: FloatingArray | None = None


class WindowAnswers(NamedTuple):
    """What a network says of one window.

    Args:
        ends: ``(answers, 2)``, (start, end) as fractions of the window.
        logits: ``(answers,)``; their sigmoid is the score.
        saliency: ``(frames,)`` or longer, logits of the frames' scores.
    """

    ends: FloatingArray
    logits: FloatingArray
    saliency: FloatingArray


class WindowNetwork(Protocol):
    """A trained network, ready to answer; called from several threads."""

    @property
    def config(self) -> NetworkConfig: ...

    @property
    def batch_size(self) -> int:
        """Windows in one pass that suit it."""
        ...

    @property
    def on_gpu(self) -> bool: ...

    def answers(self, items: Sequence[WindowItem]) -> list[WindowAnswers]:
        """One answer an item, in order; none depends on the others but by rounding."""
        ...


def similarity_curves(similarity: FloatingArray, channels: int) -> Float32Array:
    """``(frames, channels)`` from a recording's joint-space similarity to a query, ``(frames,)``.

    The first channel is the similarity, the second how far it lies above the recording's median: the level of
    a query's curve says little, since some sentences are near everything.

    Raises:
        ValueError: more channels than these two.
    """
    if not 1 <= channels <= 2:
        raise ValueError(f"{channels} similarity channels, expected 1 or 2")
    curve = np.asarray(similarity, dtype=np.float32)
    ordered = np.sort(curve)  # np.median would import numpy.ma, which costs as much as ten recordings
    median = ordered[(len(curve) - 1) // 2 : len(curve) // 2 + 1].mean()
    return np.stack((curve, curve - median), axis=1)[:, :channels]
