"""Trained networks on recordings of any length: features and a query in, scored moments and saliency out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.models.build import Network
from amr.models.checkpoint import UNKNOWN_ENCODER, Checkpoint, read_checkpoint
from amr.models.config import NetworkConfig
from amr.models.frame_answers import LEAST_SCORE
from amr.models.inputs import Outputs, pad_inputs, similarity_curves
from amr.models.lanes import Lanes
from amr.models.lighthouse import is_archive, read_lighthouse
from amr.models.spans import to_ends
from amr.moments import FrameGrid, ScoredMoment
from amr.processors import free_processors
from amr.retrieval.detr_windows import (
    Heard,
    cut,
    extent,
    merge_moments,
    merge_saliency,
    suppress,
)
from amr.retrieval.find import Answer

FloatArray = npt.NDArray[np.floating]

# Windows in one pass of the network: Lighthouse evaluates with as many, and its mask lets batch mates into a
# result.
BATCH_SIZE = 100
# The same on a processor, whose cache holds the layers of no more.
CPU_BATCH_SIZE = 16


@dataclass(frozen=True)
class Ask:
    """One query, asked of one recording.

    Args:
        name: the recording's, for messages.
        frames: ``(frames, audio_dim)``.
        grid: where the recording's frames lie in time.
        duration_s: the recording's length.
        tokens: ``(tokens, text_dim)`` of the query.
        similarity: ``(frames,)`` similarity of each frame to the query in the joint space, for networks that
            take it.
        first_frame: ``frames`` begin with this one. All else is of the whole recording; of its windows those
            are heard that lie within ``frames``.
    """

    name: str
    frames: FloatArray
    grid: FrameGrid
    duration_s: float
    tokens: FloatArray
    similarity: FloatArray | None = None
    first_frame: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether ``frames`` are all of the recording's."""
        return len(self.frames) == self.grid.num_frames

    def windows(self, window_frames: int) -> list[range]:
        """The windows to hear: of a stretch of a recording, those of the whole one that lie within it."""
        windows = cut(self.grid.num_frames, window_frames)
        stop = self.first_frame + len(self.frames)
        return [each for each in windows if self.first_frame <= each.start and each.stop <= stop]


class MomentModel:
    """A trained network, ready to be asked.

    Args:
        checkpoint: the network and its papers.
        device: where it runs.
        batch_size: windows in one pass; it bounds the memory and changes no result but by rounding. Left
            out: what suits the device.
        threads: that each work off a batch alone; left out: one a processor, or one for a GPU.
        name: what indexes of its own space are called.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
        threads: int | None = None,
        name: str = "model",
    ) -> None:
        self.checkpoint = checkpoint
        self.name = name
        self.device = torch.device(device)
        on_cpu = self.device.type == "cpu"
        self.batch_size = batch_size or (CPU_BATCH_SIZE if on_cpu else BATCH_SIZE)
        self.threads = threads or (free_processors() if on_cpu else 1)
        self.network: Network = checkpoint.build().to(self.device)
        with torch.inference_mode():
            self._first = self.network.first_asked()

    @property
    def identity(self) -> EncoderIdentity:
        """The encoder whose features it takes; named ``unknown`` where a foreign checkpoint does not say."""
        return self.checkpoint.encoder

    @property
    def config(self) -> NetworkConfig:
        return self.checkpoint.config

    def require_encoder(self, found: EncoderIdentity, where: str | Path) -> None:
        """Refuse features of another encoder than the network was trained on.

        Of an unknown encoder only sizes are known, so only they are compared.

        Raises:
            InputError: they differ; the message prints both.
        """
        wanted = self.identity
        sizes = (found.dimension, found.text_dimension) == (wanted.dimension, wanted.text_dimension)
        if sizes if wanted.name == UNKNOWN_ENCODER else found == wanted:
            return
        raise InputError(
            f"its features are from {found.to_json()}, the model takes {wanted.to_json()}",
            where=where,
            hint="extract features with the model's encoder, or name a model that was trained on these",
        )

    def predict(
        self, asks: Iterable[Ask], *, nms: float | None = None, top_k: int | None = None
    ) -> list[Answer]:
        """:meth:`stream` as a list."""
        return list(self.stream(asks, nms=nms, top_k=top_k))

    def stream(
        self, asks: Iterable[Ask], *, nms: float | None = None, top_k: int | None = None
    ) -> Iterator[Answer]:
        """One answer an ask, in order; batches go across recordings and queries.

        Args:
            asks: taken as they are needed: no more are held than a few batches span.
            nms: drop moments that overlap a better one by more than this IoU; none are dropped when left out.
            top_k: at most this many moments an answer.

        Raises:
            InputError: frames or tokens that the network cannot take; says whose.
        """
        waiting: deque[_Pending] = deque()
        with Lanes(self.threads) as lanes:
            for heard in lanes.map(self._run, self._batches(asks, waiting)):
                for pending, window, answer in heard:
                    pending.hear(window, *answer)
                while waiting and waiting[0].is_complete:
                    yield waiting.popleft().answer(nms, top_k)
        for pending in waiting:
            yield pending.answer(nms, top_k)

    def _batches(self, asks: Iterable[Ask], waiting: deque[_Pending]) -> Iterator[_Batch]:
        """Windows of asks, ``batch_size`` at a time; the asks go to ``waiting``."""
        batch: _Batch = []
        for ask in asks:
            self._require_takes(ask)
            pending = _Pending(ask, ask.windows(self.config.window_frames))
            waiting.append(pending)
            for window in pending.windows:
                batch.append((pending, window))
                if len(batch) == self.batch_size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _require_takes(self, ask: Ask) -> None:
        for what, array, size in (
            ("frames", ask.frames, self.config.audio_dim),
            ("text tokens", ask.tokens, self.config.text_dim),
        ):
            if array.ndim != 2 or (array.shape[1] != size and array.size):
                raise InputError(
                    f"{what} of shape {list(array.shape)}, the model takes (count, {size})", where=ask.name
                )
            if not np.isfinite(array).all():
                raise InputError(f"{what} hold values that are not finite numbers", where=ask.name)
        if len(ask.tokens) == 0:
            raise InputError("the query has no text tokens", where=ask.name)
        if self.config.similarity_channels and ask.similarity is None:
            raise InputError("the model takes each frame's similarity to the query", where=ask.name)

    def _run(self, batch: _Batch) -> list[tuple[_Pending, range, _HeardArrays]]:
        """The network on a batch of windows: what it says of each."""
        channels = self.config.similarity_channels
        # Queries of one recording come one after another and share what is heard of it.
        stretches = {p.heard_as(w): p.frames(w) for p, w in batch}
        rows = {key: row for row, key in enumerate(stretches)}
        inputs = pad_inputs(
            list(stretches.values()),
            [p.ask.tokens[: self.config.max_tokens] for p, _ in batch],
            [p.curves(channels)[w.start : w.stop] for p, w in batch] if channels else None,
            [p.ask.grid.middles(w, p.ask.duration_s) for p, w in batch],
            [rows[p.heard_as(w)] for p, w in batch] if len(rows) < len(batch) else None,
        )
        with torch.inference_mode():
            outputs = self.network(inputs.to(self.device), first=self._first)
            answers = _answers(outputs)
        return [(pending, window, answer) for (pending, window), answer in zip(batch, answers, strict=True)]


_HeardArrays = tuple[FloatArray, FloatArray, FloatArray]


class _Pending:
    """An ask whose windows are on their way through the network."""

    def __init__(self, ask: Ask, windows: list[range]) -> None:
        self.ask = ask
        self.windows = windows
        self.heard: list[Heard] = []
        self._curves: FloatArray | None = None

    @property
    def is_complete(self) -> bool:
        return len(self.heard) == len(self.windows)

    def heard_as(self, window: range) -> tuple[int, int, range]:
        """Equal for windows of which the same is heard, while their asks are waiting."""
        return id(self.ask.frames), self.ask.first_frame, window

    def frames(self, window: range) -> FloatArray:
        """``(len(window), audio_dim)``."""
        first = self.ask.first_frame
        return self.ask.frames[window.start - first : window.stop - first]

    def curves(self, channels: int) -> FloatArray:
        """``(frames, channels)``, made from the whole recording once."""
        if self._curves is None:
            similarity = np.zeros(0) if self.ask.similarity is None else self.ask.similarity
            self._curves = similarity_curves(similarity, channels)
        return self._curves

    def hear(self, window: range, ends: FloatArray, scores: FloatArray, saliency: FloatArray) -> None:
        """Take a window's answer: spans as fractions of the window become seconds of the recording."""
        ask = self.ask
        start_s, end_s = extent(window, ask.grid, ask.duration_s)
        seconds = start_s + np.clip(ends.astype(np.float64), 0.0, 1.0) * (end_s - start_s)
        moments = [
            ScoredMoment(float(s), float(e), float(c))
            for (s, e), c in zip(seconds, scores, strict=True)
            if c > LEAST_SCORE and e > s
        ]
        self.heard.append(Heard(window, moments, saliency[: len(window)].astype(np.float32)))

    def answer(self, nms: float | None, top_k: int | None) -> Answer:
        ask = self.ask
        if not self.heard:
            return Answer([], np.zeros(0, dtype=np.float32))
        moments = merge_moments(self.heard, ask.grid, ask.duration_s)
        if nms is not None:
            moments = suppress(moments, nms)
        saliency = merge_saliency(self.heard, len(ask.frames)) if ask.is_whole else None
        return Answer(moments[:top_k], saliency)


_Batch = list[tuple[_Pending, range]]


def _answers(outputs: Outputs) -> Iterator[_HeardArrays]:
    """Ends, scores and saliency of each item, as arrays."""
    ends = to_ends(outputs.spans[-1]).cpu().numpy()
    scores = outputs.score_logits[-1].sigmoid().cpu().numpy()
    saliency = outputs.saliency.sigmoid().cpu().numpy()
    return zip(ends, scores, saliency, strict=True)


def load_model(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    lighthouse_mask: bool = False,
    batch_size: int | None = None,
) -> MomentModel:
    """A model from a file: our own safetensors, or a ``.ckpt`` of Lighthouse or the DCASE baseline.

    Args:
        path: the file; nothing in it is ever executed.
        device: where the model runs.
        lighthouse_mask: repeat Lighthouse's attention mask (``--compat lighthouse``), which lets batch mates
            into a result; for imported checkpoints only.
        batch_size: windows in one pass; left out: as many as Lighthouse's under its mask, else what suits
            the device.

    Raises:
        InputError: the file is neither, is damaged, or is ours and ``lighthouse_mask`` is set.
        OSError: it cannot be read.
    """
    name = Path(path).stem
    if is_archive(path):
        checkpoint = read_lighthouse(path, lighthouse_mask=lighthouse_mask)
        if lighthouse_mask:
            batch_size = batch_size or BATCH_SIZE
        return MomentModel(checkpoint, device=device, batch_size=batch_size, name=name)
    if lighthouse_mask:
        raise InputError("--compat lighthouse is for imported .ckpt files only", where=path)
    return MomentModel(read_checkpoint(path), device=device, batch_size=batch_size, name=name)
