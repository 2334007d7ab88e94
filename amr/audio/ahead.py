"""Recordings decoded by threads, in order, ahead of their use; how many samples wait is bounded."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing

from amr.audio.files import AudioFile
from amr.audio.read import MonoSamples, MonoStream

BLOCKS_WAITING = 8  # of about a megabyte each, for every recording that is being decoded
PATIENCE_S = 0.1  # how often a decoder that is ahead looks whether it is still wanted


class DecodedAhead:
    """One recording as blocks of mono samples; like :class:`amr.audio.read.MonoStream`, decoded by a thread.

    Iterating raises what decoding raised, at the place where it happened.
    """

    def __init__(self, file: AudioFile, sample_rate_hz: int) -> None:
        self.file = file
        self.duration_s = 0.0
        self._stream = MonoStream(file.path, sample_rate_hz)
        self._blocks: queue.Queue[MonoSamples | BaseException | None] = queue.Queue(BLOCKS_WAITING)
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._decode, name=f"decode {file.id}", daemon=True)
        self._thread.start()

    def _decode(self) -> None:
        """Runs in the thread; every failure travels to the reader."""
        try:
            with closing(iter(self._stream)) as blocks:  # type: ignore[type-var]  # a generator
                for block in blocks:
                    if not self._hand_over(block):
                        return
            self._hand_over(None)
        except BaseException as error:  # noqa: BLE001  # raised again by __iter__
            self._hand_over(error)

    def _hand_over(self, item: MonoSamples | BaseException | None) -> bool:
        """Wait for room in the queue; False when nobody wants the recording any more."""
        while not self._unwanted.is_set():
            try:
                self._blocks.put(item, timeout=PATIENCE_S)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[MonoSamples]:
        while (item := self._blocks.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
        self.duration_s = self._stream.duration_s

    def close(self) -> None:
        """Stop decoding, at once or after the block at hand."""
        self._unwanted.set()
        self._thread.join()


def decode_ahead(files: Iterable[AudioFile], sample_rate_hz: int, *, ahead: int) -> Iterator[DecodedAhead]:
    """Each recording in order, while up to ``ahead`` of the next are being decoded.

    A recording that is given out is closed when the next one is asked for.
    """
    waiting: deque[DecodedAhead] = deque()
    todo = iter(files)
    try:
        while True:
            while len(waiting) <= ahead and (file := next(todo, None)) is not None:
                waiting.append(DecodedAhead(file, sample_rate_hz))
            if not waiting:
                return
            yield waiting[0]
            waiting.popleft().close()
    finally:
        for recording in waiting:
            recording.close()
