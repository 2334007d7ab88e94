"""Segments of whatever recording, encoded several at once: what a GPU wants and a processor does not mind."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from amr.encoders.base import Encoder, FloatFrames
from amr.encoders.stream import Samples

Slot = tuple[Samples, "Future[FloatFrames]"]


class Together:
    """Hands segments of equal length to a pool, ``batch`` at a time.

    A segment waits until as many of its length have come, or until somebody is about to wait for it
    (:meth:`hurry`). As a frame depends on its own window alone, company changes no result.

    Args:
        pool: its threads encode.
        batch: segments that are encoded at once.
    """

    def __init__(self, encoder: Encoder, pool: ThreadPoolExecutor, batch: int) -> None:
        self.encoder = encoder
        self.pool = pool
        self.batch = batch
        self._open: dict[int, list[Slot]] = {}

    def submit(self, samples: Samples) -> Future[FloatFrames]:
        """The frames-to-be ``(frames, dim)`` of a segment ``(n,)``."""
        result: Future[FloatFrames] = Future()
        slots = self._open.setdefault(len(samples), [])
        slots.append((samples, result))
        if len(slots) == self.batch:
            self._send(len(samples))
        return result

    def hurry(self, wanted: Future[FloatFrames]) -> None:
        """Send the segment with this result off, if it is still waiting for company."""
        for length, slots in self._open.items():
            if any(result is wanted for _, result in slots):
                self._send(length)
                return

    def _send(self, length: int) -> None:
        self.pool.submit(encode_together, self.encoder, self._open.pop(length))


def encode_together(encoder: Encoder, slots: Sequence[Slot]) -> None:
    """Encode segments of one length and hand each its frames, or all of them the failure."""
    wanted = [slot for slot in slots if slot[1].set_running_or_notify_cancel()]
    if not wanted:
        return
    try:
        batch = encoder.encode_audio(np.stack([samples for samples, _ in wanted]))  # (batch, frames, dim)
    except BaseException as error:  # noqa: BLE001  # whoever waits for the frames raises it
        for _, result in wanted:
            result.set_exception(error)
        return
    for (_, result), frames in zip(wanted, batch, strict=True):
        result.set_result(frames)
