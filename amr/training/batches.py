"""Batches: what is drawn for each item of one (on the host, small), and its tensors gathered by index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from amr.models.inputs import Inputs
from amr.models.targets import Targets, make_targets
from amr.training.corpus import BoolArray, Corpus, on_device
from amr.training.draws import IntArray, key_of, uniform, whole
from amr.training.settings import TrainSettings

FloatArray = npt.NDArray[np.float32]
KeyOf = Callable[[str], int]

TRIES = 8
"""Queries of other items that are looked at for one that a recording does not answer."""
SHORTEST_CROP = 16
"""Frames of the shortest stretch that stands for a recording of its own; 8 s at a hop of 0.48 s."""


@dataclass(frozen=True)
class Batch:
    """What was drawn for the items of a batch; everything else follows from it.

    Args:
        items: ``(batch,)``.
        text: ``(batch,)`` which text asks.
        recording: ``(batch,)``.
        first, count: ``(batch,)`` the stretch of the recording's frames.
        cropped: ``(batch,)`` whether the stretch stands for a recording of its own.
        ends: ``(batch, windows, 2)`` (start, end) as fractions of the stretch, padded.
        is_window: ``(batch, windows)`` where ``ends`` is real.
        kept: ``(batch, targets)`` which of the windows are targets; -1 for none.
        negative: ``(batch,)`` place in the batch whose text is each item's negative; its own place where
            every text of the batch is answered by its recording.
        taught: ``(batch,)`` see :class:`amr.models.inputs.Inputs`.
        noise_key, jitter_key: of the draws that are made where the tensors are.
    """

    items: IntArray
    text: IntArray
    recording: IntArray
    first: IntArray
    count: IntArray
    cropped: BoolArray
    ends: FloatArray
    is_window: BoolArray
    kept: IntArray
    negative: IntArray
    taught: FloatArray
    noise_key: int
    jitter_key: int

    def __len__(self) -> int:
        return len(self.items)

    @property
    def num_targets(self) -> int:
        """Targets of the whole batch, at least 1: what the spans' losses are divided by."""
        return max(1, int((self.kept >= 0).sum()))

    @property
    def num_relevant(self) -> float:
        """Frames in the moments of the whole batch, about; at least 1."""
        widths = np.where(self.is_window, np.diff(self.ends, axis=2)[..., 0], 0.0) * self.count[:, None]
        return max(1.0, float(np.maximum(widths, self.is_window).sum()))


@dataclass(frozen=True)
class Chunk:
    """A part of a batch as tensors: the network's input and the labels."""

    inputs: Inputs
    negative_index: Tensor
    targets: Targets

    def __len__(self) -> int:
        return self.inputs.audio.shape[0]


def draw_batch(
    corpus: Corpus, items: IntArray, settings: TrainSettings, epoch: int, *, window_frames: int
) -> Batch:
    """Draw queries, stretches, targets and negatives for ``items``.

    Args:
        corpus: where they are.
        items: ``(batch,)``.
        settings: how much is drawn.
        epoch: number of the pass; each has draws of its own.
        window_frames: longest stretch that the network takes.
    """

    def key(purpose: str) -> int:
        return key_of(settings.seed, epoch, purpose)

    asking = draw_absent(corpus, items, settings.absent_share, key)
    text = draw_wordings(corpus, asking, items, settings.wordings, key)
    count, cropped = draw_lengths(corpus, items, window_frames, settings.crop_share, key)
    first = draw_stretches(corpus, items, count, key)
    ends, is_window = stretch_windows(corpus, items, first, count)
    is_window &= (asking == items)[:, None]
    meaning = corpus.meaning[asking]
    return Batch(
        items=items,
        text=text,
        recording=corpus.recording[items],
        first=first,
        count=count,
        cropped=cropped,
        ends=ends,
        is_window=is_window,
        kept=draw_targets(is_window, items, settings.max_windows, key("windows")),
        negative=find_negatives(corpus, corpus.recording[items], meaning),
        taught=uniform(key("taught"), items, 1)[:, 0],
        noise_key=key("frames"),
        jitter_key=key("jitter"),
    )


def draw_absent(corpus: Corpus, items: IntArray, part: float, key: KeyOf) -> IntArray:
    """``(batch,)`` the item whose query is asked: its own, or one that the recording does not answer.

    An item for which ``TRIES`` draws find none keeps its own query.
    """
    asking: IntArray = items.copy()
    if part == 0.0:
        return asking
    chosen = uniform(key("absent"), items, 1)[:, 0] < part
    for attempt in range(TRIES):
        others = whole(key(f"absent {attempt}"), items, np.full(len(items), len(corpus)))
        free = chosen & (asking == items) & ~corpus.is_heard(corpus.recording[items], corpus.meaning[others])
        asking = np.where(free, others, asking)
    return asking


def draw_wordings(corpus: Corpus, asking: IntArray, items: IntArray, wordings: str, key: KeyOf) -> IntArray:
    """``(batch,)`` one text of each asking item, or of another item that means the same."""
    if wordings == "label":
        asking = corpus.same_meaning(asking, uniform(key("same meaning"), items, 1)[:, 0])
    counts = np.array([len(corpus.wordings[item]) for item in asking], dtype=np.int64)
    chosen = np.zeros_like(items) if wordings == "own" else whole(key("wording"), items, counts)
    return np.array([corpus.wordings[i][c] for i, c in zip(asking, chosen, strict=True)], dtype=np.int64)


def draw_lengths(
    corpus: Corpus, items: IntArray, window_frames: int, crop_share: float, key: KeyOf
) -> tuple[IntArray, BoolArray]:
    """``(batch,)`` number of frames, and whether they are to stand for a recording of their own.

    A crop's length is drawn evenly over its logarithm, from ``SHORTEST_CROP`` frames to all.
    """
    count = np.minimum(corpus.num_frames[items], window_frames)
    cropped = (uniform(key("crop"), items, 1)[:, 0] < crop_share) & (count > SHORTEST_CROP)
    part = uniform(key("crop length"), items, 1)[:, 0].astype(np.float64)
    length = np.floor(SHORTEST_CROP * (count / SHORTEST_CROP) ** part).astype(np.int64)
    return np.where(cropped, length, count), cropped


def draw_stretches(corpus: Corpus, items: IntArray, count: IntArray, key: KeyOf) -> IntArray:
    """``(batch,)`` first of ``count`` frames: of a stretch about one of the item's moments where not all are
    taken."""
    total = corpus.num_frames[items]
    first = np.zeros_like(count)
    for place in np.flatnonzero(total > count):
        item = items[place : place + 1]
        length, room = int(count[place]), int(total[place] - count[place])
        place_in_room = float(uniform(key("stretch"), item, 1)[0, 0])
        windows_s = corpus.windows_of(int(item[0]))
        if len(windows_s):
            chosen = whole(key("stretch about"), item, np.array([len(windows_s)]))[0]
            middle = float(windows_s[chosen].mean())
            frame = corpus.grid(int(corpus.recording[item[0]])).frames_between(middle, middle).start
            first[place] = min(max(frame - int(place_in_room * length), 0), room)
        else:
            first[place] = int(place_in_room * (room + 1))
    return first


def stretch_windows(
    corpus: Corpus, items: IntArray, first: IntArray, count: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Moments as fractions of their item's stretch ``(batch, windows, 2)``, and which are real.

    A moment that the stretch cuts keeps the part inside; one outside is none.
    """
    number = corpus.num_windows[items]
    place = np.arange(max(1, int(number.max())))
    rows = np.minimum(corpus.windows_start[items][:, None] + place, max(len(corpus.windows_s) - 1, 0))
    is_window = place < number[:, None]
    if not len(corpus.windows_s):
        return np.zeros((*rows.shape, 2), dtype=np.float32), is_window
    bounds_s = stretch_bounds(corpus, corpus.recording[items], first, count)
    start_s, length_s = bounds_s[:, :1, None], np.diff(bounds_s, axis=1)[:, :, None]
    ends = np.clip((corpus.windows_s[rows] - start_s) / length_s, 0.0, 1.0)
    is_window &= ends[..., 1] > ends[..., 0]
    return np.where(is_window[..., None], ends, 0.0).astype(np.float32), is_window


def stretch_bounds(
    corpus: Corpus, recording: IntArray, first: IntArray, count: IntArray
) -> npt.NDArray[np.float64]:
    """``(batch, 2)`` start and end of each stretch in seconds; a whole recording is ``(0, duration)``."""
    bounds_s = np.zeros((len(recording), 2))
    bounds_s[:, 1] = corpus.durations_s[recording]
    for place in np.flatnonzero(count < corpus.frames.counts[recording]):
        index, begin = int(recording[place]), int(first[place])
        last = begin + int(count[place]) - 1
        bounds_s[place] = corpus.grid(index).span_s(begin, last, float(corpus.durations_s[index]))
    return bounds_s


def draw_targets(is_window: BoolArray, items: IntArray, most: int, key: int) -> IntArray:
    """``(batch, targets)`` places of the windows that are targets, at most ``most`` an item, -1 for none."""
    rank = np.where(is_window, uniform(key, items, is_window.shape[1]), 2.0)
    number = is_window.sum(axis=1)
    if int(number.max(initial=0)) <= most:
        rank = np.where(is_window, np.arange(is_window.shape[1]), is_window.shape[1])
    width = max(1, min(most, int(number.max(initial=0))))
    kept = np.argsort(rank, axis=1, kind="stable")[:, :width]
    return np.where(np.arange(width) < number[:, None], kept, -1)


def find_negatives(corpus: Corpus, recording: IntArray, meaning: IntArray) -> IntArray:
    """``(batch,)`` for each item the next in the batch whose query its recording does not answer.

    QD-DETR takes the next one whatever it asks; two queries on one recording then teach the opposite of what
    is true.
    """
    batch = len(recording)
    own = np.arange(batch)
    negative: IntArray = own.copy()
    for step in range(1, min(batch, TRIES + 1)):
        other = (own + step) % batch
        fits = (meaning[other] != meaning) & ~corpus.is_heard(recording, meaning[other])
        negative = np.where((negative == own) & fits, other, negative)
    return negative


def gather_chunk(
    corpus: Corpus,
    batch: Batch,
    part: slice,
    settings: TrainSettings,
    device: torch.device,
    *,
    max_tokens: int,
) -> Chunk:
    """The tensors of some items of a batch, on ``device``; tokens beyond ``max_tokens`` are cut off."""
    audio, audio_mask = corpus.frames.gather(
        batch.recording[part], batch.first[part], batch.count[part], device
    )
    mine = np.arange(len(batch))[part]
    strangers, negative_index = place_negatives(mine, batch.negative[part])
    texts = np.concatenate([batch.text[mine], batch.text[strangers]])
    text, text_mask = corpus.tokens.gather(
        texts, np.zeros_like(texts), np.minimum(corpus.tokens.counts[texts], max_tokens), device
    )
    frame_mask = audio_mask
    if frame_mask is None:
        frame_mask = torch.ones(audio.shape[:2], dtype=torch.bool, device=device)
    targets = make_targets(
        on_device(batch.ends[part], device),
        on_device(batch.is_window[part], device),
        frame_mask,
        on_device(uniform(batch.noise_key, batch.items[part], audio.shape[1]), device),
        relevant_windows=settings.relevant_windows,
        jitter=settings.span_jitter,
        jitter_noise=jitter_noise(batch, part, device) if settings.span_jitter else None,
    )
    curves = corpus.curves(
        batch.recording[part],
        batch.text[part],
        batch.first[part],
        batch.count[part],
        device,
        alone=batch.cropped[part],
    )
    middles = corpus.middles(batch.recording[part], batch.first[part], batch.count[part], device)
    return Chunk(
        inputs=Inputs(
            audio=audio,
            text=text,
            audio_mask=audio_mask,
            text_mask=text_mask,
            curves=curves,
            middles=middles,
            taught=on_device(batch.taught[part], device),
        ),
        negative_index=on_device(negative_index, device),
        targets=keep_targets(targets, batch.kept[part], device),
    )


def place_negatives(mine: IntArray, negative: IntArray) -> tuple[IntArray, IntArray]:
    """Places in the batch whose text a chunk needs beside its own, and where each negative then stands.

    Args:
        mine: ``(chunk,)`` places of the chunk's items.
        negative: ``(chunk,)`` places of their negatives.
    """
    strangers = np.setdiff1d(negative, mine)
    inside = (negative >= mine[0]) & (negative <= mine[-1])
    return strangers, np.where(inside, negative - mine[0], len(mine) + np.searchsorted(strangers, negative))


def jitter_noise(batch: Batch, part: slice, device: torch.device) -> Tensor:
    """``(chunk, windows, 2)`` in [-1, 1)."""
    windows = batch.ends.shape[1]
    noise = uniform(batch.jitter_key, batch.items[part], 2 * windows).reshape(-1, windows, 2)
    return on_device(2 * noise - 1, device)


def keep_targets(targets: Targets, kept: IntArray, device: torch.device) -> Targets:
    """``targets`` with the spans at ``kept`` only; relevant frames stay those of all windows."""
    place = on_device(np.maximum(kept, 0), device)
    return targets._replace(
        spans=targets.spans.gather(1, place.unsqueeze(-1).expand(-1, -1, 2)),
        span_mask=on_device(kept >= 0, device),
    )
