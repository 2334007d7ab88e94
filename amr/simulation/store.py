"""Made once and kept: small facts, and samples, in memory up to a bound and then in a nameless file."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import numpy as np

from amr.arrays import Float32Array
from amr.formats.streams import named_in_errors

Value = TypeVar("Value")
DEFAULT_MEMORY_BYTES = 1024 * 1024 * 1024


class Once(Generic[Value]):
    """Values by key, each made once however many threads ask for it; a failure is tried again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}
        self._made: dict[Hashable, Value] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of ``key``; ``make`` is called for the first who asks, the others wait."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def __len__(self) -> int:
        return len(self._made)


class SampleStore:
    """Arrays of samples by key, each made once.

    What does not fit into ``memory_bytes`` goes to a temporary file that has no name, so that it is gone with
    the process, killed or not.

    Args:
        memory_bytes: bound of what is held in memory.
        folder: where the temporary file lies; it takes four bytes a sample.
    """

    def __init__(self, memory_bytes: int = DEFAULT_MEMORY_BYTES, folder: Path | None = None) -> None:
        self._memory_bytes = memory_bytes
        self._folder = folder
        self._lock = threading.Lock()
        self._spill: BinaryIO | None = None
        self._spill_bytes = 0
        self._held_bytes = 0
        self._arrays: Once[Float32Array | tuple[int, int]] = Once()

    def get(self, key: Hashable, make: Callable[[], Float32Array]) -> Float32Array:
        """The samples of ``key``, read-only; ``make`` is called the first time only."""
        kept = self._arrays.get(key, lambda: self._keep(make()))
        return self._read(*kept) if isinstance(kept, tuple) else kept

    @property
    def num_made(self) -> int:
        """How many arrays were made."""
        return len(self._arrays)

    def close(self) -> None:
        """Free the memory and the temporary file."""
        self._arrays = Once()
        if self._spill is not None:
            self._spill.close()

    def _keep(self, samples: Float32Array) -> Float32Array | tuple[int, int]:
        """The array itself, or where in the temporary file it lies: ``(first byte, bytes)``."""
        with self._lock:
            if self._held_bytes + samples.nbytes <= self._memory_bytes:
                self._held_bytes += samples.nbytes
                samples.flags.writeable = False
                return samples
            if self._spill is None:
                self._spill = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # closed by close()
            file, first = self._spill, self._spill_bytes
            self._spill_bytes += samples.nbytes
        data = samples.tobytes()
        done = 0
        with named_in_errors(self._folder or tempfile.gettempdir()):
            while done < len(data):
                done += os.pwrite(file.fileno(), data[done:], first + done)
        return first, len(data)

    def _read(self, first: int, num_bytes: int) -> Float32Array:
        assert self._spill is not None
        data = bytearray(num_bytes)
        done = 0
        while done < num_bytes:
            chunk = os.pread(self._spill.fileno(), num_bytes - done, first + done)
            data[done : done + len(chunk)] = chunk
            done += len(chunk)
        samples = np.frombuffer(data, dtype=np.float32)
        samples.flags.writeable = False
        return samples
