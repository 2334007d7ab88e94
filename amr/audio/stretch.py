"""Recordings as pictures and clips need them: read from a place to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from amr.audio.decode import open_decoder
from amr.audio.decoder import Samples
from amr.audio.mix import mix_down


@contextmanager
def open_stretch(path: Path, start_s: float, end_s: float) -> Iterator[tuple[Iterator[Samples], int]]:
    """Blocks ``(samples, channels)`` of ``[start_s, end_s)`` of a recording, and its rate in Hz.

    What lies outside the recording is left out. Forms that can be entered in the middle are; others are
    decoded from their beginning.

    Raises:
        MissingError: there is no such file, or it needs an ffmpeg that is not here.
        InputError: it is no sound.
    """
    with open_decoder(path) as decoder:
        rate_hz = decoder.sample_rate_hz
        first, stop = max(round(start_s * rate_hz), 0), round(end_s * rate_hz)
        yield between(decoder.blocks(first), 0, stop - first), rate_hz


def between(blocks: Iterable[Samples], first: int, stop: int) -> Iterator[Samples]:
    """The samples ``first .. stop - 1`` of a stream of blocks."""
    position = 0
    for block in blocks:
        part = block[max(first - position, 0) : max(stop - position, 0)]
        position += len(block)
        if len(part):
            yield part.copy()  # decoders use their memory again
        if position >= stop:
            return


def read_mono(path: Path, start_s: float, end_s: float) -> tuple[Samples, int]:
    """A stretch of a recording as mono ``(samples,)``, and its rate in Hz."""
    with open_stretch(path, start_s, end_s) as (blocks, rate_hz):
        parts = list(blocks)
    return (mix_down(np.concatenate(parts), rate_hz) if parts else np.zeros(0, dtype=np.float32)), rate_hz


def length_s(path: Path) -> float:
    """A recording's length in seconds: as its header says, or decoded to the end where that is no promise.

    Raises:
        MissingError: there is no such file, or it needs an ffmpeg that is not here.
        InputError: it is no sound.
    """
    with open_decoder(path) as decoder:
        num_frames = decoder.num_frames or sum(len(block) for block in decoder.blocks())
        return num_frames / decoder.sample_rate_hz
