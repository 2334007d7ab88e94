"""What sentences sound like: directions among whitened frames, by regression from the sentences of training.

The prototype of what a sentence means is the mean direction of the frames that training calls by it, as in
prototypical networks (Snell et al. 2017). Sentences that training lacks get theirs by kernel ridge
regression, from sentences that are near. Both have a closed form: a label of three clips is not learned less
well than three clips allow, and not worse for being rare.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr.models.frames.constants import KERNEL, LEAST_PEAK, LENGTH_SCALE, LOGIT_SCALE, RISE_SCALE
from amr.models.pooling import MeanPooling

# The noise of a meaning's prototype beside KERNEL. Chosen on the validation split
# (docs/measurements/0016-prototypes.md).
RIDGE = 0.1
# Nearer than this, a sentence is one of training's.
SAME_SENTENCE = 0.99
# Added to each axis' variance, as a part of the mean one: axes of little variance are mostly noise. From 0.02
# to 0.5 it makes no difference (docs/measurements/0016-prototypes.md).
WHITENING_FLOOR = 0.15
LEAST_VARIANCE = 1e-8


class Whitening(nn.Module):
    """Principal axes of the training frames, each brought to unit variance.

    An encoder's numbers differ most in what is common: loudness, speech, noise. What tells rare sounds from
    each other is small beside it, and a few clips are too little for a network to find out. Axes of unit
    variance make it count from the first step; nothing here is learned by gradients. Until they are measured
    every frame is zero.

    Args:
        dim: size of a frame.
        axes: how many axes are kept, by falling variance.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, dim: int, axes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("axes", torch.zeros(dim, axes))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., dim)`` to ``(..., axes)``."""
        out: Tensor = (x - self.mean) @ self.axes
        return out

    def fit(self, frames: Tensor) -> None:
        """Measure ``frames (count, dim)``, of :func:`even`.

        The result is rounded to float16, so that the order of the sums, and with it the number of threads,
        does not show.
        """
        centred = frames.to(torch.float64, copy=True)
        mean = centred.mean(0)
        centred -= mean
        variance, axes = torch.linalg.eigh(centred.T @ centred / len(frames))
        variance, axes = variance.flip(0), axes.flip(1)[:, : self.axes.shape[1]]
        axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
        floor = WHITENING_FLOOR * variance.mean() + LEAST_VARIANCE
        scale = (variance[: axes.shape[1]].clamp(min=0) + floor).rsqrt()
        self.mean.copy_(mean.half())
        self.axes.copy_((axes * scale).half())


class PrototypeCurves(NamedTuple):
    """How near each frame comes to what its sentence sounds like.

    Args:
        cosine: ``(batch, frames)`` float32.
        logit: the same, scaled and shifted.
        curves: ``(batch, frames, PROTOTYPE_CURVES)`` float32: the logit, how far the cosine rises above
            the stretch's mean, the same as a part of its peak, that peak, and how sure the prototype is.
    """

    cosine: Tensor
    logit: Tensor
    curves: Tensor


class Prototypes(nn.Module):
    """The regression, and the curves that follow from it.

    Args:
        audio_dim: size of a frame.
        text_dim: size of a text token's feature.
        axes: size of a whitened frame.
        capacity: sentences of training that it keeps, at most.
    """

    support: Tensor
    duals: Tensor
    left_out: Tensor | None

    def __init__(self, audio_dim: int, text_dim: int, axes: int, capacity: int) -> None:
        super().__init__()
        self.whitening = Whitening(audio_dim, axes)
        self.register_buffer("support", torch.zeros(capacity, text_dim))
        self.register_buffer("duals", torch.zeros(capacity, axes))
        # Known while the training data are: what each sentence would get without its own meaning.
        self.register_buffer("left_out", None, persistent=False)
        self.pooling = MeanPooling()
        self.scale = nn.Parameter(torch.tensor(15.0))
        self.shift = nn.Parameter(torch.tensor(-3.0))
        # How far a curve must rise to count as a peak; learned.
        self.least_peak = nn.Parameter(torch.tensor(0.1))

    def forward(
        self,
        frames: Tensor,
        mask: Tensor | None,
        text: Tensor,
        text_mask: Tensor | None,
        own_share: Tensor | None = None,
        known: Tensor | None = None,
    ) -> PrototypeCurves:
        """Compare.

        Args:
            frames: unit vectors ``(batch, frames, axes)`` of :meth:`directions`.
            mask: ``(batch, frames)`` bool, or None.
            text: ``(batch, tokens, text_dim)``.
            text_mask: ``(batch, tokens)`` bool, or None.
            own_share: see :meth:`meaning`.
            known: ``(batch, axes)`` what items sound like whatever their text says; rows of NaN where their
                text is to say it.
        """
        with in_float32(frames.device):
            meant = self.meaning(text, text_mask, own_share)
            if known is not None:
                meant = torch.where(known.isnan(), meant, known)
            cosine = torch.einsum("btd,bd->bt", frames, functional.normalize(meant, dim=-1))
            real = torch.ones_like(cosine) if mask is None else mask.float()
            rise = cosine - (cosine * real).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp(min=1)
            peak = (rise * real).amax(1, keepdim=True).clamp(min=0)
            logit = self.scale * cosine + self.shift
            curves = (
                LOGIT_SCALE * logit,
                RISE_SCALE * rise,
                rise / (peak + self.least_peak.abs() + LEAST_PEAK),
                (RISE_SCALE * peak).expand_as(rise),
                (LENGTH_SCALE * meant.norm(dim=-1, keepdim=True)).expand_as(rise),
            )
            return PrototypeCurves(cosine, logit, torch.stack(curves, dim=-1))

    def directions(self, frames: Tensor) -> Tensor:
        """Frames ``(..., audio_dim)`` as directions, ``(..., axes)`` float32."""
        return functional.normalize(self.whitening(even(frames)).float(), dim=-1)

    def meaning(self, text: Tensor, text_mask: Tensor | None, own_share: Tensor | None = None) -> Tensor:
        """What sentences sound like, ``(texts, axes)`` float32; the shorter, the less is known of it.

        Args:
            text: ``(texts, tokens, text_dim)``.
            text_mask: ``(texts, tokens)`` bool, or None.
            own_share: ``(texts,)`` in [0, 1], how much of what training says of its own meaning counts;
                the rest comes from the other meanings. All of it where left out.
        """
        near = kernel(self.sentences(text, text_mask), self.support)
        meant = near @ self.duals
        if own_share is None or self.left_out is None:
            return meant
        nearest, place = near.max(1)
        part = torch.where(nearest > SAME_SENTENCE, own_share, 1.0).unsqueeze(-1)
        return part * meant + (1 - part) * self.left_out[place]

    def sentences(self, text: Tensor, text_mask: Tensor | None) -> Tensor:
        """``(texts, tokens, text_dim)`` to unit vectors ``(texts, text_dim)`` float32."""
        return functional.normalize(self.pooling(text.float(), text_mask), dim=-1)

    def fit(self, sentences: Tensor, meaning: Tensor, prototypes: Tensor) -> None:
        """Solve for the sentences of training, and for each with its meaning left out.

        Everything is rounded to float16, so that the order of sums does not show.

        Args:
            sentences: ``(texts, text_dim)`` unit vectors, no more than the capacity.
            meaning: ``(texts,)`` int64, row of ``prototypes``.
            prototypes: ``(meanings, axes)`` unit vectors.
        """
        count = len(sentences)
        support, wanted = sentences.half().double(), prototypes.double()[meaning]
        # Sentences that mean the same share one observation.
        noise = RIDGE * torch.bincount(meaning)[meaning].double()
        inverse = torch.linalg.inv(kernel(support, support) + noise.diag())
        duals = inverse @ wanted
        left_out = torch.empty_like(wanted)
        for each in range(len(prototypes)):
            own = (meaning == each).nonzero()[:, 0]
            left_out[own] = wanted[own] - torch.linalg.solve(inverse[own][:, own], duals[own])
        self.support.zero_()[:count] = support.float()
        self.duals.zero_()[:count] = duals.half().float()
        self.left_out = left_out.half().float()


def even(frames: Tensor) -> Tensor:
    """Frames ``(..., audio_dim)`` of mean 0 and variance 1 each: loudness aside."""
    return functional.layer_norm(frames.float(), frames.shape[-1:])


def in_float32(device: torch.device) -> AbstractContextManager[object]:
    """Products as they are, whatever the precision around: differences of sentences are small."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def kernel(one: Tensor, other: Tensor) -> Tensor:
    """``(n, m)``: how near unit vectors ``(n, dim)`` and ``(m, dim)`` are."""
    return torch.exp(-2 * KERNEL * (1 - one @ other.T).clamp(min=0))
