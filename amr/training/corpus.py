"""A training set in memory: every frame and every token in one array each, items as columns.

An item is an annotation: one query on one recording. Batches are gathered by index, so that no file is opened
and no record is parsed after this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from amr.encoders.base import EncoderIdentity
from amr.formats.annotations import Annotation
from amr.moments import FrameGrid
from amr.training.draws import IntArray
from amr.training.similarity import JointSpace

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Packed:
    """Vectors of many sequences in one tensor: sequence ``i`` is ``values[start[i]:start[i + 1]]``.

    Args:
        values: ``(total, dim)``, float16 or float32, on the CPU (perhaps mapped from a file) or a GPU.
        start: ``(sequences + 1,)``.
    """

    values: Tensor
    start: IntArray

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def counts(self) -> IntArray:
        """``(sequences,)`` the length of each."""
        return np.diff(self.start)

    def gather(
        self, sequences: IntArray, first: IntArray, count: IntArray, device: torch.device
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


def on_device(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """A numpy array as a tensor; the host does not wait for the copy to a GPU."""
    return sent(torch.from_numpy(np.ascontiguousarray(array)), device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on ``device``; the host does not wait for the copy to a GPU."""
    if tensor.device.type == device.type:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Corpus:
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
        heard: ``(pairs,)`` sorted ``recording * meanings + meaning`` of everything that is annotated.
        meanings: how many meanings there are.
        annotations: the items as in the file.
        joint: the same in the joint space, for networks that take similarities.
        encoder: what made the features; None where the files do not say.
        sha256: of the frames and tokens in use.
    """

    frames: Packed
    recordings: Sequence[str]
    durations_s: npt.NDArray[np.float64]
    window_s: float
    hop_s: float
    tokens: Packed
    recording: IntArray
    wordings: Sequence[IntArray]
    windows_start: IntArray
    windows_s: npt.NDArray[np.float64]
    meaning: IntArray
    heard: IntArray
    meanings: int
    annotations: Sequence[Annotation]
    joint: JointSpace | None
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
    def num_frames(self) -> IntArray:
        """``(items,)`` frames of each item's recording."""
        return self.frames.counts[self.recording]

    @property
    def num_windows(self) -> IntArray:
        """``(items,)`` moments of each item; 0: nothing in its recording answers the query."""
        return np.diff(self.windows_start)

    def windows_of(self, item: int) -> npt.NDArray[np.float64]:
        """``(windows, 2)`` of one item, in seconds."""
        return self.windows_s[self.windows_start[item] : self.windows_start[item + 1]]

    def grid(self, recording: int) -> FrameGrid:
        """Where a recording's frames lie in time."""
        return FrameGrid(self.window_s, self.hop_s, int(self.frames.counts[recording]))

    @cached_property
    def _by_meaning(self) -> tuple[IntArray, IntArray]:
        """The items in order of their meaning, and where each meaning begins."""
        order = np.argsort(self.meaning, kind="stable")
        return order, np.searchsorted(self.meaning[order], np.arange(self.meanings + 1))

    def same_meaning(self, items: IntArray, place: npt.NDArray[np.float32]) -> IntArray:
        """For each item one that means the same: the one at ``place`` in [0, 1) among them."""
        order, start = self._by_meaning
        first, stop = start[self.meaning[items]], start[self.meaning[items] + 1]
        found: IntArray = order[np.minimum(first + (place * (stop - first)).astype(np.int64), stop - 1)]
        return found

    def curves(
        self,
        recording: IntArray,
        text: IntArray,
        first: IntArray,
        count: IntArray,
        device: torch.device,
        *,
        alone: BoolArray | None = None,
    ) -> Tensor | None:
        """Similarities of stretches to texts ``(n, longest, channels)``; None for networks that take none."""
        if self.joint is None:
            return None
        return on_device(self.joint.curves(recording, text, first, count, alone), device)

    def middles(self, recording: IntArray, first: IntArray, count: IntArray, device: torch.device) -> Tensor:
        """Where the frames' middles lie, as fractions of their stretch: ``(n, longest)``, 0 at padding."""
        out = np.zeros((len(recording), int(count.max())), dtype=np.float32)
        for row, index, begin, length in zip(out, recording.tolist(), first, count, strict=True):
            frames = range(int(begin), int(begin + length))
            row[:length] = self.grid(index).middles(frames, float(self.durations_s[index]))
        return on_device(out, device)

    def is_heard(self, recording: IntArray, meaning: IntArray) -> BoolArray:
        """Whether a recording is annotated with a meaning, elementwise."""
        key = recording * self.meanings + meaning
        place = np.minimum(np.searchsorted(self.heard, key), max(len(self.heard) - 1, 0))
        return self.heard[place] == key if len(self.heard) else np.zeros(key.shape, dtype=np.bool_)
