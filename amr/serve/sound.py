"""What a page has of a recording's sound: a stretch as WAV, and its spectrogram as a strip."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np
import soundfile
import soxr

from amr.audio.mix import mix_down
from amr.audio.stretch import open_stretch
from amr.errors import InputError
from amr.report.overview import overview_of
from amr.report.page_sound import shades
from amr.report.png import ink_png

SLOWEST_HZ, FASTEST_HZ = 8_000, 48_000
"""What every browser plays; other rates are resampled to the nearest of both."""
STRIP_BANDS = 64
MOST_COLUMNS = 1200


def wav_of(path: Path, start_s: float, end_s: float) -> bytes:
    """A stretch of a recording as a WAV file of 16 bits, one channel or two.

    Raises:
        MissingError: there is no such file, or it needs an ffmpeg that is not here.
        InputError: it is no sound, or has none there.
    """
    with open_stretch(path, start_s, end_s) as (blocks, rate_hz):
        parts = list(blocks)
    if not parts:
        raise InputError(f"has no sound from {start_s:g} to {end_s:g} s", where=path)
    samples = np.concatenate(parts)
    if samples.shape[1] > 2:
        samples = mix_down(samples, rate_hz)
    played_hz = min(max(rate_hz, SLOWEST_HZ), FASTEST_HZ)
    if played_hz != rate_hz:
        samples = soxr.resample(samples, rate_hz, played_hz)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1, 1), played_hz, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def strip_of(path: Path, start_s: float, end_s: float, columns: int) -> bytes:
    """The log-mel spectrogram of a stretch as PNG, as the report page draws it: ink on nothing.

    Raises as :func:`wav_of`.
    """
    with open_stretch(path, start_s, end_s) as (blocks, rate_hz):
        mono = [mix_down(block, rate_hz) for block in blocks]
    if not mono:
        raise InputError(f"has no sound from {start_s:g} to {end_s:g} s", where=path)
    sound = overview_of(mono, rate_hz, columns=columns, bands=STRIP_BANDS, hops_a_window=2)
    return ink_png(shades(sound))


def byte_range(header: str, size: int) -> range | None:
    """The bytes that a ``Range`` means; None: all of them, as for what is not understood (RFC 9110, 14.2).

    Returns:
        An empty range where it lies outside.
    """
    unit, _, wanted = header.partition("=")
    first, dash, last = wanted.strip().partition("-")
    if unit.strip() != "bytes" or not dash or not (first + last).isdecimal() or len(first + last) > 30:
        return None
    if not first:
        return range(max(size - int(last), 0), size)
    return range(int(first), min(int(last) + 1 if last else size, size))


class ByteCache:
    """The bytes that were made last, up to so many in all; for several threads.

    Args:
        most_bytes: together.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What is kept under a key, or is made now."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._kept[key] = made
            while sum(map(len, self._kept.values())) > self.most_bytes and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return made
