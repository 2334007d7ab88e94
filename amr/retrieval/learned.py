"""Sounds learned from examples for and against, with or without words: one linear system, solved at once.

A network with prototypes (:mod:`amr.models.frames.prototypes`) compares whitened frames, unit vectors x, with
the direction m of what a sentence sounds like. Examples turn that direction. With the mean over the frames of
each accepted and rejected moment, so that each counts the same,

    w = argmin  sum_accepted mean (w.x - 1)^2 + REJECTED sum_rejected mean (w.x)^2 + RIDGE |w - m|^2

which is ridge regression towards the words. The less training knows of a sentence, the shorter is m, and the
more examples count; without words m is zero. Frames are white already: the background adds no more than a
multiple of the identity, which RIDGE stands for. Both constants were chosen on the validation split
(``docs/examples.md``, with the measurements against other ways).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amr.arrays import Float32Array, Float64Array
from amr.errors import InputError
from amr.functional import LEAST_LENGTH

RIDGE = 2.0
REJECTED = 3.0
SURE = 0.9
"""Length of what examples sound like: about that of a sentence of training."""


def learn_meaning(
    words: Float32Array | None, accepted: Sequence[Float32Array], rejected: Sequence[Float32Array]
) -> Float32Array:
    """``(axes,)``: the direction that words and examples have in common.

    Args:
        words: ``(axes,)`` what the words sound like; None without words.
        accepted, rejected: whitened frames ``(frames, axes)`` of each example, unit vectors.

    Raises:
        InputError: there are neither words nor accepted examples.
    """
    if words is None and not accepted:
        raise InputError("a search needs a query or an accepted example; there is neither")
    axes = len(words if words is not None else accepted[0][0])
    towards = np.zeros(axes) if words is None else words.astype(np.float64)
    left, right = RIDGE * np.eye(axes), RIDGE * towards
    for frames in accepted:
        left += second_moment(frames)
        right = right + frames.mean(axis=0, dtype=np.float64)
    for frames in rejected:
        left += REJECTED * second_moment(frames)
    solved: Float64Array = np.linalg.solve(left, right).astype(np.float64)
    direction = solved / max(float(np.linalg.norm(solved)), LEAST_LENGTH)
    length = max(SURE if accepted else 0.0, 0.0 if words is None else float(np.linalg.norm(words)))
    meaning: Float32Array = (length * direction).astype(np.float32)
    return meaning


def second_moment(frames: Float32Array) -> Float64Array:
    """``(axes, axes)``: the mean of x x^T."""
    wide = frames.astype(np.float64)
    moment: Float64Array = wide.T @ wide / len(wide)
    return moment
