"""Prepared samples, made once and kept: in memory up to a bound, then in a nameless file on the disk."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
DEFAULT_MEMORY_BYTES = 1024 * 1024 * 1024


class SampleStore:
    """Arrays of samples by key, each made once however many threads ask for it.

    What does not fit into ``memory_bytes`` goes to a temporary file that has no name, so that it is gone with
    the process, killed or not.

    Args:
        memory_bytes: bound of what is held in memory.
        folder: where the temporary file lies; its disk takes four bytes a sample.
    """

    def __init__(self, memory_bytes: int = DEFAULT_MEMORY_BYTES, folder: Path | None = None) -> None:
        self._memory_bytes = memory_bytes
        self._folder = folder
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}
        self._held: dict[Hashable, FloatArray] = {}
        self._held_bytes = 0
        self._spilled: dict[Hashable, tuple[int, int]] = {}
        self._spill: BinaryIO | None = None
        self._spill_bytes = 0
        self.num_made = 0

    def get(self, key: Hashable, make: Callable[[], FloatArray]) -> FloatArray:
        """The samples of ``key``, read-only; ``make`` is called the first time only."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            found = self._find(key)
            if found is None:
                found = make()
                self._keep(key, found)
            return found

    def close(self) -> None:
        """Forget everything and free the temporary file."""
        with self._lock:
            self._held.clear()
            self._spilled.clear()
            if self._spill is not None:
                self._spill.close()
                self._spill = None

    def _find(self, key: Hashable) -> FloatArray | None:
        held = self._held.get(key)
        if held is not None or key not in self._spilled:
            return held
        first, num_bytes = self._spilled[key]
        assert self._spill is not None
        data = bytearray(num_bytes)
        done = 0
        while done < num_bytes:
            done += os.preadv(self._spill.fileno(), [memoryview(data)[done:]], first + done)
        return np.frombuffer(data, dtype=np.float32)

    def _keep(self, key: Hashable, samples: FloatArray) -> None:
        with self._lock:
            self.num_made += 1
            if self._held_bytes + samples.nbytes <= self._memory_bytes:
                samples.flags.writeable = False
                self._held[key] = samples
                self._held_bytes += samples.nbytes
                return
            if self._spill is None:
                self._spill = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # closed by close()
            first = self._spill_bytes
            self._spill_bytes += samples.nbytes
            handle = self._spill.fileno()
        data = samples.tobytes()
        done = 0
        while done < len(data):
            done += os.pwrite(handle, data[done:], first + done)
        self._spilled[key] = (first, len(data))
