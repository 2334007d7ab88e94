"""Recordings decoded by threads, in order, ahead of their use; how many samples wait is bounded."""

from __future__ import annotations

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

from amr.audio.files import AudioFile
from amr.audio.read import MonoSamples, MonoStream
from amr.errors import StoppedError

BLOCKS_WAITING = 8  # of about a megabyte each, for every recording that is being decoded
PATIENCE_S = 0.1  # between two looks whether a decoder is still wanted


class _Block(NamedTuple):
    """Samples, and the step of all up to them."""

    samples: MonoSamples
    step: float


class DecodedAhead:
    """One recording as blocks of mono samples; like :class:`amr.audio.read.MonoStream`, decoded by a thread.

    Iterating raises what decoding raised, at the place where it happened.
    """

    def __init__(
        self,
        file: AudioFile,
        sample_rate_hz: int,
        *,
        strict: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.file = file
        self.duration_s = 0.0
        self.remarks: list[str] = []
        self.step = math.inf
        """As of :class:`amr.audio.read.MonoStream`, up to the block that was read last."""
        self._should_stop = should_stop
        self._stream = MonoStream(file.path, sample_rate_hz, strict=strict)
        self._blocks: queue.Queue[_Block | BaseException | None] = queue.Queue(BLOCKS_WAITING)
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._decode, name=f"decode {file.id}", daemon=True)
        self._thread.start()

    def _decode(self) -> None:
        """Runs in the thread; every failure travels to the reader."""
        try:
            with closing(iter(self._stream)) as blocks:  # type: ignore[type-var]  # a generator
                for block in blocks:
                    if not self._hand_over(_Block(block, self._stream.step)):
                        return
            self._hand_over(None)
        except BaseException as error:  # noqa: BLE001  # raised again by __iter__
            self._hand_over(error)

    def _hand_over(self, item: _Block | BaseException | None) -> bool:
        """Wait for room in the queue; False when nobody wants the recording any more."""
        while not self._unwanted.is_set():
            try:
                self._blocks.put(item, timeout=PATIENCE_S)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[MonoSamples]:
        while (item := self._next_block()) is not None:
            if isinstance(item, BaseException):
                raise item
            self.step = item.step
            yield item.samples
        self.duration_s, self.remarks = self._stream.duration_s, self._stream.remarks

    def _next_block(self) -> _Block | BaseException | None:
        """Wait for a block. Raises ``StoppedError`` where that is not wanted any more."""
        while not self._should_stop():
            try:
                return self._blocks.get(timeout=PATIENCE_S)
            except queue.Empty:
                continue
        raise StoppedError("stopped in the middle of a recording")

    def close(self) -> None:
        """Stop decoding, at once or after the block at hand; a decoder that hangs is left to itself."""
        self._unwanted.set()
        self._thread.join(timeout=10 * PATIENCE_S)


def decode_ahead(
    files: Iterable[AudioFile],
    sample_rate_hz: int,
    *,
    ahead: int,
    strict: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[DecodedAhead]:
    """Each recording in order, while up to ``ahead`` of the next are being decoded.

    A recording that is given out is closed when the next one is asked for. While a block is waited for,
    ``should_stop`` is looked at; reading the recording then raises ``StoppedError``.
    """
    waiting: deque[DecodedAhead] = deque()
    todo = iter(files)
    try:
        while True:
            while len(waiting) <= ahead and (file := next(todo, None)) is not None:
                decoded = DecodedAhead(file, sample_rate_hz, strict=strict, should_stop=should_stop)
                waiting.append(decoded)
            if not waiting:
                return
            yield waiting[0]
            waiting.popleft().close()
    finally:
        for recording in waiting:
            recording.close()
