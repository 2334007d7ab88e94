"""What goes into the network and what comes out: records of padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from amr.arrays import FloatingArray

if TYPE_CHECKING:
    from amr.models.targets import Targets


@dataclass(frozen=True)
class NetworkInputs:
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
        stretch: ``(batch,)`` int64, the row of ``audio`` that each item is about: many queries of one stretch
            share it. Left out: each item its own.
        own_share: ``(batch,)`` in [0, 1], in training: how much its prototype may use of what training
            data say of the item's own meaning. Clips of its own meaning sound more alike than new ones will.
        meaning: ``(batch, axes)`` what the items sound like where that is known without their text, for
            networks with prototypes; rows of NaN where it is not.
    """

    audio: Tensor
    text: Tensor
    audio_mask: Tensor | None = None
    text_mask: Tensor | None = None
    curves: Tensor | None = None
    middles: Tensor | None = None
    stretch: Tensor | None = None
    own_share: Tensor | None = None
    meaning: Tensor | None = None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> NetworkInputs:
        """The same batch on another device."""

        def moved(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device, non_blocking=non_blocking)

        return NetworkInputs(
            audio=self.audio.to(device, non_blocking=non_blocking),
            text=self.text.to(device, non_blocking=non_blocking),
            audio_mask=moved(self.audio_mask),
            text_mask=moved(self.text_mask),
            curves=moved(self.curves),
            middles=moved(self.middles),
            stretch=moved(self.stretch),
            own_share=moved(self.own_share),
            meaning=moved(self.meaning),
        )

    def of_items(self, x: Tensor) -> Tensor:
        """What is known of each stretch, ``(stretches, ...)``, as ``(batch, ...)``."""
        return x if self.stretch is None else x[self.stretch]

    def apart(self) -> NetworkInputs:
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
class NetworkOutputs:
    """What the network says of a batch; decoder layers stand in front, the last one is the answer.

    Args:
        spans: ``(layers, batch, queries, 2)`` float32, (centre, width) as fractions of each item's stretch.
        logits: ``(layers, batch, queries, 2)`` float32, foreground first.
        saliency: ``(batch, frames)`` float32 logits, 0 at padding; its sigmoid is the frame's score.
        frames: ``(batch, frames, hidden_dim)``, the encoded frames, for heads that build on them.
        negative_saliency: as ``saliency``, for the same audio with another item's text.
        negative_valid: ``(batch,)`` bool, false where that text was the item's own.
        middles: ``(batch, frames)`` of :class:`NetworkInputs`, where every frame proposes.
        segments: ``(batch, frames, frames)`` score of the moment from one frame to another, where moments are
            segments.
        has_quality: whether logits say how well the spans fit; of segments that are ordered by their
            marginals alone they do not.
    """

    spans: Tensor
    logits: Tensor
    saliency: Tensor
    frames: Tensor
    negative_saliency: Tensor | None = None
    negative_valid: Tensor | None = None
    middles: Tensor | None = None
    segments: Tensor | None = None
    has_quality: bool = True

    @property
    def score_logits(self) -> Tensor:
        """``(layers, batch, queries)``; their sigmoid is the confidence c of eq. 5 (AM-DETR paper)."""
        return self.logits[..., 0] - self.logits[..., 1]

    def added_losses(self, targets: Targets, frame_mask: Tensor) -> dict[str, Tensor]:
        """Parts of the loss that only this network has, by name, weighted; ours have none."""
        del targets, frame_mask
        return {}


def pad(items: Sequence[FloatingArray]) -> tuple[Tensor, Tensor | None]:
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
    audio: Sequence[FloatingArray],
    text: Sequence[FloatingArray],
    curves: Sequence[FloatingArray] | None = None,
    middles: Sequence[FloatingArray] | None = None,
    stretch: Sequence[int] | None = None,
    meaning: Sequence[FloatingArray] | None = None,
) -> NetworkInputs:
    """A batch of ``(frames_i, audio_dim)``, ``(tokens_i, text_dim)``, ``(frames_i, channels)`` and
    ``(frames_i,)`` arrays; ``stretch`` says which of ``audio`` each item is about, where not its own."""
    frames, audio_mask = pad(audio)
    tokens, text_mask = pad(text)
    return NetworkInputs(
        audio=frames,
        text=tokens,
        audio_mask=audio_mask,
        text_mask=text_mask,
        curves=None if curves is None else pad(curves)[0],
        middles=None if middles is None else pad([each[:, None] for each in middles])[0].squeeze(-1),
        stretch=None if stretch is None else torch.tensor(stretch),
        meaning=None if meaning is None else torch.from_numpy(np.stack(meaning).astype(np.float32)),
    )
