"""Training or validation data in memory: every frame and every token in one array each, items as columns.

An item is an annotation: one query on one recording. Batches are gathered by index, so that no file is opened
and no record is parsed after this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from amr.arrays import AnyArray, BoolArray, Float32Array, Float64Array, FloatingArray, Int64Array
from amr.encoders.base import EncoderIdentity
from amr.formats.annotations import Annotation
from amr.metrics.ragged import offsets
from amr.moments import FrameGrid
from amr.training.curve_kinds import CurveDraws, CurveFeatures
from amr.training.similarity import JointFeatures

HASHED_BYTES = 64 * 2**20
"""At once, between two questions whether to go on."""
EXAMPLE_TRIES = 4
"""Items that are looked at for one of another recording."""
GPU_SHARE = 0.4
"""Part of a GPU's free memory that features may take; the rest is for activations."""


@dataclass(frozen=True)
class PackedVectors:
    """Vectors of many sequences in one tensor: sequence ``i`` is ``values[start[i]:start[i + 1]]``.

    Args:
        values: ``(total, dim)``, float16 or float32, on the CPU (perhaps mapped from a file) or a GPU.
        start: ``(sequences + 1,)``.
    """

    values: Tensor
    start: Int64Array

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def counts(self) -> Int64Array:
        """``(sequences,)`` the length of each."""
        return np.diff(self.start)

    def to(self, device: torch.device) -> PackedVectors:
        """The same on another device."""
        return PackedVectors(self.values.to(device), self.start)

    def gather(
        self, sequences: Int64Array, first: Int64Array, count: Int64Array, device: torch.device
    ) -> tuple[Tensor, Tensor | None]:
        """Stretches of sequences as ``(n, longest, dim)`` float32 and the mask of what is real.

        Args:
            sequences: ``(n,)`` which.
            first: ``(n,)`` where each stretch begins.
            count: ``(n,)`` how long it is, at least 1.
            device: where the result shall lie.

        Returns:
            values, zero at padding, and ``(n, longest)`` bool; ``None`` when all are equally long.
        """
        place = np.arange(int(count.max()))
        rows = (self.start[sequences] + first)[:, None] + np.minimum(place, count[:, None] - 1)
        values = self.values.index_select(0, on_device(rows.ravel(), self.values.device))
        values = sent(values, device).float().view(*rows.shape, -1)
        if int(count.min()) == len(place):
            return values, None
        mask = on_device(place < count[:, None], device)
        return values * mask.unsqueeze(-1), mask


def on_device(array: AnyArray, device: torch.device) -> Tensor:
    """A numpy array as a tensor; the host does not wait for the copy to a GPU."""
    return sent(torch.from_numpy(np.ascontiguousarray(array)), device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on ``device``; the host does not wait for the copy to a GPU."""
    if tensor.device.type == device.type:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Dataset:
    """Items, and the features that they refer to.

    Args:
        frames: of the recordings.
        recordings: their ids.
        durations_s: ``(recordings,)``.
        window_s, hop_s: of their frames.
        tokens: of the texts.
        recording: ``(items,)`` which recording an item is about.
        wordings: for each item, the texts that ask for it; its own query first.
        windows_start: ``(items + 1,)`` offsets into ``windows_s``.
        windows_s: ``(windows, 2)`` moments inside their recording, in file order, none twice.
        meaning: ``(items,)`` what an item asks for as a number: its ``label``, else its query.
        annotated: ``(pairs,)`` sorted ``recording * meanings + meaning`` of everything that is annotated.
        meanings: how many meanings there are.
        annotations: the items as in the file.
        joint: the same in the joint space, for networks that take similarities; for those without audio the
            spaces of several kinds of curves, and ``frames`` have no numbers.
        encoder: what made the features; None where the files do not say.
        sha256: of the frames and tokens in use.
    """

    frames: PackedVectors
    recordings: Sequence[str]
    durations_s: Float64Array
    window_s: float
    hop_s: float
    tokens: PackedVectors
    recording: Int64Array
    wordings: Sequence[Int64Array]
    windows_start: Int64Array
    windows_s: Float64Array
    meaning: Int64Array
    annotated: Int64Array
    meanings: int
    annotations: Sequence[Annotation]
    joint: JointFeatures | CurveFeatures | None
    encoder: EncoderIdentity | None
    sha256: str

    def __len__(self) -> int:
        return len(self.recording)

    @property
    def audio_dim(self) -> int:
        return self.frames.values.shape[1]

    @property
    def text_dim(self) -> int:
        return self.tokens.values.shape[1]

    @property
    def num_frames(self) -> Int64Array:
        """``(items,)`` frames of each item's recording."""
        return self.frames.counts[self.recording]

    @property
    def num_windows(self) -> Int64Array:
        """``(items,)`` moments of each item; 0: nothing in its recording answers the query."""
        return np.diff(self.windows_start)

    def windows_of(self, item: int) -> Float64Array:
        """``(windows, 2)`` of one item, in seconds."""
        return self.windows_s[self.windows_start[item] : self.windows_start[item + 1]]

    def asked(self, items: Int64Array, texts: Int64Array) -> Dataset:
        """Some items, each asked with a text that may be another's; what is right stays what it was."""
        windows = [self.windows_of(item) for item in items.tolist()]
        return replace(
            self,
            recording=self.recording[items],
            wordings=[np.array([text]) for text in texts.tolist()],
            windows_start=offsets(np.array([len(each) for each in windows])),
            windows_s=np.concatenate(windows),
            meaning=self.meaning[items],
            annotations=[self.annotations[item] for item in items.tolist()],
        )

    def grid(self, recording: int) -> FrameGrid:
        """Where a recording's frames lie in time."""
        return FrameGrid(self.window_s, self.hop_s, int(self.frames.counts[recording]))

    @cached_property
    def _by_meaning(self) -> tuple[Int64Array, Int64Array]:
        """The items in order of their meaning, and where each meaning begins."""
        order = np.argsort(self.meaning, kind="stable")
        return order, np.searchsorted(self.meaning[order], np.arange(self.meanings + 1))

    def same_meaning(self, items: Int64Array, place: Float32Array) -> Int64Array:
        """For each item one that means the same: the one at ``place`` in [0, 1) among them."""
        order, start = self._by_meaning
        first, stop = start[self.meaning[items]], start[self.meaning[items] + 1]
        found: Int64Array = order[np.minimum(first + (place * (stop - first)).astype(np.int64), stop - 1)]
        return found

    def curves(
        self,
        recording: Int64Array,
        text: Int64Array,
        first: Int64Array,
        count: Int64Array,
        device: torch.device,
        *,
        alone: BoolArray | None = None,
        draws: CurveDraws | None = None,
    ) -> Tensor | None:
        """Similarities of stretches to texts ``(n, longest, channels)``; None for networks that take none."""
        if self.joint is None:
            return None
        if isinstance(self.joint, CurveFeatures):
            return on_device(self.joint.curves(recording, text, first, count, alone, draws), device)
        return on_device(self.joint.curves(recording, text, first, count, alone), device)

    def curve_draws(self, items: Int64Array) -> CurveDraws | None:
        """What decides the curves of validation: kinds in turn, examples of another item."""
        if not isinstance(self.joint, CurveFeatures):
            return None
        return CurveDraws(items % len(self.joint.kinds), self.example_of(items, np.full(len(items), 0.5)))

    def example_of(self, items: Int64Array, place: FloatingArray) -> Int64Array:
        """For each item one of another recording that means the same, at ``place`` in [0, 1) among them or
        near it; the item itself where there is none."""
        found: Int64Array = items.copy()
        for attempt in range(EXAMPLE_TRIES):
            other = self.same_meaning(items, ((place + attempt / EXAMPLE_TRIES) % 1).astype(np.float32))
            fits = (found == items) & (self.recording[other] != self.recording[items])
            found = np.where(fits, other, found)
        return found

    def at_hop(self, hop_s: float) -> Dataset:
        """The same with frames that are ``hop_s`` apart, of datasets of curves."""
        if not isinstance(self.joint, CurveFeatures):
            raise ValueError("only curves are drawn at another hop")
        joint = self.joint.at_hop(hop_s)
        return replace(self, hop_s=hop_s, frames=blank_frames(joint.counts()), joint=joint)

    def middles(
        self, recording: Int64Array, first: Int64Array, count: Int64Array, device: torch.device
    ) -> Tensor:
        """Where the frames' middles lie, as fractions of their stretch: ``(n, longest)``, 0 at padding."""
        out = np.zeros((len(recording), int(count.max())), dtype=np.float32)
        for row, index, begin, length in zip(out, recording.tolist(), first, count, strict=True):
            frames = range(int(begin), int(begin + length))
            row[:length] = self.grid(index).middles(frames, float(self.durations_s[index]))
        return on_device(out, device)

    def is_annotated(self, recording: Int64Array, meaning: Int64Array) -> BoolArray:
        """Whether a recording is annotated with a meaning, elementwise."""
        key = recording * self.meanings + meaning
        place = np.minimum(np.searchsorted(self.annotated, key), max(len(self.annotated) - 1, 0))
        return self.annotated[place] == key if len(self.annotated) else np.zeros(key.shape, dtype=np.bool_)

    def near(self, device: torch.device) -> Dataset:
        """With frames and tokens on a GPU where they fit there beside the training itself; else as it is."""
        if device.type != "cuda":
            return self
        free_bytes, _ = torch.cuda.mem_get_info(device)
        if self.frames.values.nbytes + self.tokens.values.nbytes > GPU_SHARE * free_bytes:
            return self
        return replace(self, frames=self.frames.to(device), tokens=self.tokens.to(device))


def blank_frames(counts: Int64Array) -> PackedVectors:
    """Frames without numbers, for networks that are given none: only how many there are."""
    start = offsets(counts)
    return PackedVectors(torch.zeros(int(start[-1]), 0), start)


def fingerprint(*tensors: Tensor, on_block: Callable[[], None] = lambda: None) -> str:
    """sha256 of the bytes of tensors on the CPU.

    Args:
        on_block: called before each block; where it raises, the work ends.
    """
    digest = hashlib.sha256()
    for tensor in tensors:
        data = tensor.numpy().reshape(-1).view(np.uint8)
        for first in range(0, len(data), HASHED_BYTES):
            on_block()
            digest.update(data[first : first + HASHED_BYTES].data)
    return digest.hexdigest()
