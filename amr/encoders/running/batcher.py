"""Segments of several recordings, encoded in batches: what a GPU wants; a processor, where they are short."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from amr.arrays import Float32Array
from amr.encoders.base import Encoder
from amr.encoders.running.blocks import exact_batch_frames
from amr.errors import MissingError

Slot = tuple[Float32Array, "Future[Float32Array]"]


class SegmentBatcher:
    """Hands segments of equal length to a pool, ``batch`` at a time; more where the encoder wants so.

    A segment waits until as many of its length have come, or until its result is wanted (:meth:`flush`).
    As a frame depends on its own window alone, the others in its batch change no result. Where the memory
    is too small for a batch, it is halved, and stays halved.

    Args:
        pool: its threads encode.
        batch: segments that are encoded at once.
        on_halved: called with the new batch, by the thread that had no room for the old one.
    """

    def __init__(
        self,
        encoder: Encoder,
        pool: ThreadPoolExecutor,
        batch: int,
        on_halved: Callable[[int], None] | None = None,
    ) -> None:
        self.encoder = encoder
        self.pool = pool
        self.batch = batch
        self._on_halved = on_halved
        self._lock = threading.Lock()
        self._open: dict[int, list[Slot]] = {}
        self._least_frames = exact_batch_frames(encoder)

    def batch_of(self, length: int) -> int:
        """How many segments of ``length`` samples are encoded at once."""
        identity = self.encoder.identity
        frames = 1 + (length - identity.window_samples) // identity.hop_samples
        return max(self.batch, self._least_frames // frames)

    def submit(self, samples: Float32Array) -> Future[Float32Array]:
        """The frames-to-be ``(frames, dim)`` of a segment ``(n,)``."""
        result: Future[Float32Array] = Future()
        slots = self._open.setdefault(len(samples), [])
        slots.append((samples, result))
        if len(slots) >= self.batch_of(len(samples)):
            self._send(len(samples))
        return result

    def flush(self, wanted: Future[Float32Array]) -> None:
        """Send the segment with this result off, if it is still waiting for others."""
        for length, slots in self._open.items():
            if any(result is wanted for _, result in slots):
                self._send(length)
                return

    def _send(self, length: int) -> None:
        self.pool.submit(self._encode, self._open.pop(length))

    def _encode(self, slots: Sequence[Slot]) -> None:
        """Encode segments of one length and hand each its frames, or all of them the failure."""
        wanted = [slot for slot in slots if slot[1].set_running_or_notify_cancel()]
        if not wanted:
            return
        try:
            batch = self._encode_batch(np.stack([samples for samples, _ in wanted]))  # (batch, frames, dim)
        except BaseException as error:  # noqa: BLE001  # raised again where the frames are waited for
            for _, result in wanted:
                result.set_exception(error)
            return
        for (_, result), frames in zip(wanted, batch, strict=True):
            result.set_result(frames)

    def _encode_batch(self, samples: Float32Array) -> Float32Array:
        """``(batch, n)`` to ``(batch, frames, dim)``, in halves where there is no memory for all at once.

        Raises:
            MissingError: there is no memory for a single segment.
        """
        try:
            return self.encoder.encode_audio(samples)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(samples) == 1:
                raise MissingError(
                    f"not enough memory to encode a single segment ({one_line(error)})",
                    hint="--device cpu, or --dtype bfloat16 where the encoder has a choice",
                ) from error
        # Behind the except clause: what the failed pass held is only let go with its traceback.
        half = len(samples) // 2
        self._halve(half)
        pieces = [samples[at : at + half] for at in range(0, len(samples), half)]
        return np.concatenate([self._encode_batch(piece) for piece in pieces])

    def _halve(self, batch: int) -> None:
        free_device_memory()
        with self._lock:
            if batch >= self.batch:
                return  # another thread was first
            self.batch = batch
        if self._on_halved is not None:
            self._on_halved(batch)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device, or this machine, had too little memory; does not import torch."""
    torch = sys.modules.get("torch")
    return isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.cuda.OutOfMemoryError)
    )


def free_device_memory() -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def one_line(error: Exception) -> str:
    """The first sentence of a message that can be a page long."""
    return str(error).strip().split(". ")[0].split("\n")[0] or type(error).__name__
