"""What goes into the network and what comes out: records of padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Inputs:
    """A batch of (stretch of audio, query) pairs, padded at the end.

    Args:
        audio: ``(stretches, frames, audio_dim)``.
        text: ``(texts, tokens, text_dim)``; the first ``batch`` belong to the items, more may follow that
            only serve as negatives.
        audio_mask: ``(stretches, frames)`` bool, true where a frame is real; ``None`` when all are.
        text_mask: ``(texts, tokens)`` bool; ``None`` when all are real.
        curves: ``(batch, frames, similarity_channels)``, for networks that take them.
        middles: ``(batch, frames)`` where each frame's middle lies, as a fraction of the stretch; evenly
            spaced when left out.
        stretch: ``(batch,)`` int64, the row of ``audio`` that each item hears: many queries of one stretch
            share it. Left out: each item its own.
        taught: ``(batch,)`` in [0, 1], in training: how much of what the training data say of an item's own
            meaning its prototype may use. Clips of its own meaning sound more alike than new ones will.
    """

    audio: Tensor
    text: Tensor
    audio_mask: Tensor | None = None
    text_mask: Tensor | None = None
    curves: Tensor | None = None
    middles: Tensor | None = None
    stretch: Tensor | None = None
    taught: Tensor | None = None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Inputs:
        """The same batch on another device."""

        def moved(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device, non_blocking=non_blocking)

        return Inputs(
            audio=self.audio.to(device, non_blocking=non_blocking),
            text=self.text.to(device, non_blocking=non_blocking),
            audio_mask=moved(self.audio_mask),
            text_mask=moved(self.text_mask),
            curves=moved(self.curves),
            middles=moved(self.middles),
            stretch=moved(self.stretch),
            taught=moved(self.taught),
        )

    def of_items(self, x: Tensor) -> Tensor:
        """What is known of each stretch, ``(stretches, ...)``, as ``(batch, ...)``."""
        return x if self.stretch is None else x[self.stretch]

    def apart(self) -> Inputs:
        """The same batch with a row of audio for each item."""
        mask = None if self.audio_mask is None else self.of_items(self.audio_mask)
        return replace(self, audio=self.of_items(self.audio), audio_mask=mask, stretch=None)

    def frame_mask(self) -> Tensor:
        """``(batch, frames)``, made where it was left out."""
        mask = self.audio_mask
        if mask is None:
            mask = torch.ones(self.audio.shape[:2], dtype=torch.bool, device=self.audio.device)
        return self.of_items(mask)

    def frame_middles(self) -> Tensor:
        """``(batch, frames)``, evenly spaced where they were left out."""
        if self.middles is not None:
            return self.middles
        mask = self.frame_mask()
        index = torch.arange(mask.shape[1], device=mask.device)
        return (index + 0.5) / mask.sum(1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Outputs:
    """What the network says of a batch; decoder layers stand in front, the last one is the answer.

    Args:
        spans: ``(layers, batch, queries, 2)`` float32, (centre, width) as fractions of each item's stretch.
        logits: ``(layers, batch, queries, 2)`` float32, foreground first.
        saliency: ``(batch, frames)`` float32 logits, 0 at padding; its sigmoid is the frame's score.
        frames: ``(batch, frames, hidden_dim)``, the encoded frames, for heads that build on them.
        negative_saliency: as ``saliency``, for the same audio with another item's text.
        negative_valid: ``(batch,)`` bool, false where that text was the item's own.
        middles: ``(batch, frames)`` of :class:`Inputs`, where every frame proposes.
    """

    spans: Tensor
    logits: Tensor
    saliency: Tensor
    frames: Tensor
    negative_saliency: Tensor | None = None
    negative_valid: Tensor | None = None
    middles: Tensor | None = None

    @property
    def score_logits(self) -> Tensor:
        """``(layers, batch, queries)``; their sigmoid is the confidence c of eq. 5 (AM-DETR paper)."""
        return self.logits[..., 0] - self.logits[..., 1]


def pad(items: Sequence[FloatArray]) -> tuple[Tensor, Tensor | None]:
    """Arrays ``(length_i, dim)`` as one ``(items, longest, dim)`` and its mask, ``None`` if all are full."""
    lengths = [len(item) for item in items]
    longest = max(lengths)
    out = np.zeros((len(items), longest, items[0].shape[1]), dtype=np.float32)
    for row, item in zip(out, items, strict=True):
        row[: len(item)] = item
    if min(lengths) == longest:
        return torch.from_numpy(out), None
    mask = np.arange(longest)[None, :] < np.asarray(lengths)[:, None]
    return torch.from_numpy(out), torch.from_numpy(mask)


def pad_inputs(
    audio: Sequence[FloatArray],
    text: Sequence[FloatArray],
    curves: Sequence[FloatArray] | None = None,
    middles: Sequence[FloatArray] | None = None,
    stretch: Sequence[int] | None = None,
) -> Inputs:
    """A batch of ``(frames_i, audio_dim)``, ``(tokens_i, text_dim)``, ``(frames_i, channels)`` and
    ``(frames_i,)`` arrays; ``stretch`` says which of ``audio`` each item hears, where not its own."""
    frames, audio_mask = pad(audio)
    tokens, text_mask = pad(text)
    return Inputs(
        audio=frames,
        text=tokens,
        audio_mask=audio_mask,
        text_mask=text_mask,
        curves=None if curves is None else pad(curves)[0],
        middles=None if middles is None else pad([each[:, None] for each in middles])[0].squeeze(-1),
        stretch=None if stretch is None else torch.tensor(stretch),
    )


def similarity_curves(similarity: FloatArray, channels: int) -> npt.NDArray[np.float32]:
    """``(frames, channels)`` from a recording's joint-space similarity to a query, ``(frames,)``.

    The first channel is the similarity, the second how far it lies above the recording's median: the level of
    a query's curve says little, since some sentences are near everything.

    Raises:
        ValueError: more channels than these two.
    """
    if not 1 <= channels <= 2:
        raise ValueError(f"{channels} similarity channels, expected 1 or 2")
    curve = np.asarray(similarity, dtype=np.float32)
    return np.stack((curve, curve - np.median(curve)), axis=1)[:, :channels]
