"""Batches: what is drawn for each item of one (on the host, small), and its tensors gathered by index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from amr.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from amr.models.inputs import NetworkInputs
from amr.models.targets import Targets, make_targets
from amr.models.train_settings import TrainSettings
from amr.training.curve_kinds import CurveDraws, CurveFeatures, drawn
from amr.training.dataset import Dataset, on_device
from amr.training.draws import key_of, uniform, whole

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
        own_share: ``(batch,)`` see :class:`amr.models.inputs.NetworkInputs`.
        curves: what decides the curves, for networks without audio.
        noise_key, jitter_key: of the draws that are made where the tensors are.
    """

    items: Int64Array
    text: Int64Array
    recording: Int64Array
    first: Int64Array
    count: Int64Array
    cropped: BoolArray
    ends: Float32Array
    is_window: BoolArray
    kept: Int64Array
    negative: Int64Array
    own_share: Float32Array
    curves: CurveDraws | None
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

    inputs: NetworkInputs
    negative_index: Tensor
    targets: Targets

    def __len__(self) -> int:
        return self.inputs.audio.shape[0]


def draw_batch(
    dataset: Dataset, items: Int64Array, settings: TrainSettings, epoch: int, *, window_frames: int
) -> Batch:
    """Draw queries, stretches, targets and negatives for ``items``.

    Args:
        dataset: where they are.
        items: ``(batch,)``.
        settings: how much is drawn.
        epoch: number of the pass; each has draws of its own.
        window_frames: longest stretch that the network takes.
    """

    def key(purpose: str) -> int:
        return key_of(settings.seed, epoch, purpose)

    query_of = draw_absent(dataset, items, settings.absent_share, key)
    text = draw_wordings(dataset, query_of, items, settings.wordings, key)
    count, cropped = draw_lengths(dataset, items, window_frames, settings.crop_share, key)
    first = draw_stretches(dataset, items, count, key)
    ends, is_window = stretch_windows(dataset, items, first, count)
    is_window &= (query_of == items)[:, None]
    meaning = dataset.meaning[query_of]
    return Batch(
        items=items,
        text=text,
        recording=dataset.recording[items],
        first=first,
        count=count,
        cropped=cropped,
        ends=ends,
        is_window=is_window,
        kept=draw_targets(is_window, items, settings.max_windows, key("windows")),
        negative=find_negatives(dataset, dataset.recording[items], meaning),
        own_share=uniform(key("taught"), items, 1)[:, 0],  # the name decides the draws
        curves=draw_curves(dataset, items, query_of, key),
        noise_key=key("frames"),
        jitter_key=key("jitter"),
    )


def draw_curves(dataset: Dataset, items: Int64Array, query_of: Int64Array, key: KeyOf) -> CurveDraws | None:
    """Of which kind each item's curve is, and how it is bent; examples are of what its query means."""
    if not isinstance(dataset.joint, CurveFeatures):
        return None
    example = dataset.example_of(query_of, uniform(key("example"), items, 1)[:, 0])
    return drawn(key("curves"), items, example, len(dataset.joint.kinds))


def draw_absent(dataset: Dataset, items: Int64Array, part: float, key: KeyOf) -> Int64Array:
    """``(batch,)`` the item whose query it gets: its own, or one that the recording does not answer.

    An item for which ``TRIES`` draws find none keeps its own query.
    """
    query_of: Int64Array = items.copy()
    if part == 0.0:
        return query_of
    chosen = uniform(key("absent"), items, 1)[:, 0] < part
    for attempt in range(TRIES):
        others = whole(key(f"absent {attempt}"), items, np.full(len(items), len(dataset)))
        free = (
            chosen
            & (query_of == items)
            & ~dataset.is_annotated(dataset.recording[items], dataset.meaning[others])
        )
        query_of = np.where(free, others, query_of)
    return query_of


def draw_wordings(
    dataset: Dataset, query_of: Int64Array, items: Int64Array, wordings: str, key: KeyOf
) -> Int64Array:
    """``(batch,)`` one text of each of these items, or of another item that means the same."""
    if wordings == "label":
        query_of = dataset.same_meaning(query_of, uniform(key("same meaning"), items, 1)[:, 0])
    counts = np.array([len(dataset.wordings[item]) for item in query_of], dtype=np.int64)
    chosen = np.zeros_like(items) if wordings == "own" else whole(key("wording"), items, counts)
    return np.array([dataset.wordings[i][c] for i, c in zip(query_of, chosen, strict=True)], dtype=np.int64)


def draw_lengths(
    dataset: Dataset, items: Int64Array, window_frames: int, crop_share: float, key: KeyOf
) -> tuple[Int64Array, BoolArray]:
    """``(batch,)`` number of frames, and whether they are to stand for a recording of their own.

    A crop's length is drawn evenly over its logarithm, from ``SHORTEST_CROP`` frames to all.
    """
    count = np.minimum(dataset.num_frames[items], window_frames)
    cropped = (uniform(key("crop"), items, 1)[:, 0] < crop_share) & (count > SHORTEST_CROP)
    part = uniform(key("crop length"), items, 1)[:, 0].astype(np.float64)
    length = np.floor(SHORTEST_CROP * (count / SHORTEST_CROP) ** part).astype(np.int64)
    return np.where(cropped, length, count), cropped


def draw_stretches(dataset: Dataset, items: Int64Array, count: Int64Array, key: KeyOf) -> Int64Array:
    """``(batch,)`` first of ``count`` frames: of a stretch about one of the item's moments where not all are
    taken."""
    total = dataset.num_frames[items]
    first = np.zeros_like(count)
    for place in np.flatnonzero(total > count):
        item = items[place : place + 1]
        length, room = int(count[place]), int(total[place] - count[place])
        place_in_room = float(uniform(key("stretch"), item, 1)[0, 0])
        windows_s = dataset.windows_of(int(item[0]))
        if len(windows_s):
            chosen = whole(key("stretch about"), item, np.array([len(windows_s)]))[0]
            middle = float(windows_s[chosen].mean())
            frame = dataset.grid(int(dataset.recording[item[0]])).frames_between(middle, middle).start
            first[place] = min(max(frame - int(place_in_room * length), 0), room)
        else:
            first[place] = int(place_in_room * (room + 1))
    return first


def stretch_windows(
    dataset: Dataset, items: Int64Array, first: Int64Array, count: Int64Array
) -> tuple[Float32Array, BoolArray]:
    """Moments as fractions of their item's stretch ``(batch, windows, 2)``, and which are real.

    A moment that the stretch cuts keeps the part inside; one outside is none.
    """
    number = dataset.num_windows[items]
    place = np.arange(max(1, int(number.max())))
    rows = np.minimum(dataset.windows_start[items][:, None] + place, max(len(dataset.windows_s) - 1, 0))
    is_window = place < number[:, None]
    if not len(dataset.windows_s):
        return np.zeros((*rows.shape, 2), dtype=np.float32), is_window
    bounds_s = stretch_bounds(dataset, dataset.recording[items], first, count)
    start_s, length_s = bounds_s[:, :1, None], np.diff(bounds_s, axis=1)[:, :, None]
    ends = np.clip((dataset.windows_s[rows] - start_s) / length_s, 0.0, 1.0)
    is_window &= ends[..., 1] > ends[..., 0]
    return np.where(is_window[..., None], ends, 0.0).astype(np.float32), is_window


def stretch_bounds(
    dataset: Dataset, recording: Int64Array, first: Int64Array, count: Int64Array
) -> Float64Array:
    """``(batch, 2)`` start and end of each stretch in seconds; a whole recording is ``(0, duration)``."""
    bounds_s = np.zeros((len(recording), 2))
    bounds_s[:, 1] = dataset.durations_s[recording]
    for place in np.flatnonzero(count < dataset.frames.counts[recording]):
        index, begin = int(recording[place]), int(first[place])
        last = begin + int(count[place]) - 1
        bounds_s[place] = dataset.grid(index).span_s(begin, last, float(dataset.durations_s[index]))
    return bounds_s


def draw_targets(is_window: BoolArray, items: Int64Array, most: int, key: int) -> Int64Array:
    """``(batch, targets)`` places of the windows that are targets, at most ``most`` an item, -1 for none."""
    rank = np.where(is_window, uniform(key, items, is_window.shape[1]), 2.0)
    number = is_window.sum(axis=1)
    if int(number.max(initial=0)) <= most:
        rank = np.where(is_window, np.arange(is_window.shape[1]), is_window.shape[1])
    width = max(1, min(most, int(number.max(initial=0))))
    kept = np.argsort(rank, axis=1, kind="stable")[:, :width]
    return np.where(np.arange(width) < number[:, None], kept, -1)


def find_negatives(dataset: Dataset, recording: Int64Array, meaning: Int64Array) -> Int64Array:
    """``(batch,)`` for each item the next in the batch whose query its recording does not answer.

    QD-DETR takes the next one whatever it asks; two queries on one recording then teach the opposite of what
    is true.
    """
    batch = len(recording)
    own = np.arange(batch)
    negative: Int64Array = own.copy()
    for step in range(1, min(batch, TRIES + 1)):
        other = (own + step) % batch
        fits = (meaning[other] != meaning) & ~dataset.is_annotated(recording, meaning[other])
        negative = np.where((negative == own) & fits, other, negative)
    return negative


def gather_chunk(
    dataset: Dataset,
    batch: Batch,
    part: slice,
    settings: TrainSettings,
    device: torch.device,
    *,
    max_tokens: int,
) -> Chunk:
    """The tensors of some items of a batch, on ``device``; tokens beyond ``max_tokens`` are cut off."""
    audio, audio_mask = dataset.frames.gather(
        batch.recording[part], batch.first[part], batch.count[part], device
    )
    mine = np.arange(len(batch))[part]
    strangers, negative_index = place_negatives(mine, batch.negative[part])
    texts = np.concatenate([batch.text[mine], batch.text[strangers]])
    text, text_mask = dataset.tokens.gather(
        texts, np.zeros_like(texts), np.minimum(dataset.tokens.counts[texts], max_tokens), device
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
    curves = dataset.curves(
        batch.recording[part],
        batch.text[part],
        batch.first[part],
        batch.count[part],
        device,
        alone=batch.cropped[part],
        draws=None if batch.curves is None else batch.curves.of(part),
    )
    middles = dataset.middles(batch.recording[part], batch.first[part], batch.count[part], device)
    return Chunk(
        inputs=NetworkInputs(
            audio=audio,
            text=text,
            audio_mask=audio_mask,
            text_mask=text_mask,
            curves=curves,
            middles=middles,
            own_share=on_device(batch.own_share[part], device),
        ),
        negative_index=on_device(negative_index, device),
        targets=keep_targets(targets, batch.kept[part], device),
    )


def place_negatives(mine: Int64Array, negative: Int64Array) -> tuple[Int64Array, Int64Array]:
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


def keep_targets(targets: Targets, kept: Int64Array, device: torch.device) -> Targets:
    """``targets`` with the spans at ``kept`` only; relevant frames stay those of all windows."""
    place = on_device(np.maximum(kept, 0), device)
    return targets._replace(
        spans=targets.spans.gather(1, place.unsqueeze(-1).expand(-1, -1, 2)),
        span_mask=on_device(kept >= 0, device),
    )
