"""Recordings as pictures and clips need them: found by name, and read from a place to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from amr.audio.decode import UNKNOWN_FRAMES, Samples, open_decoder, open_soundfile, require_audio_file
from amr.audio.files import find_audio

BLOCK_SAMPLES = 1 << 16


def find_recordings(places: Iterable[str]) -> dict[str, Path]:
    """Recordings by id; files are named as they are, folders searched, patterns expanded.

    Ids come from the names of files that are there and are never joined to a path: an id in a data file that
    looks like ``../../secret`` finds nothing.

    Raises:
        MissingError: a place does not exist.
        InputError: a folder holds no sound, or two files share an id.
    """
    return {file.id: Path(file.path) for file in find_audio(places)}


@contextmanager
def open_stretch(path: Path, start_s: float, end_s: float) -> Iterator[tuple[Iterator[Samples], int]]:
    """Blocks ``(samples, channels)`` of ``[start_s, end_s)`` of a recording, and its rate in Hz.

    What lies outside the recording is left out. libsndfile's formats are entered in the middle; others are
    decoded from their beginning.

    Raises:
        MissingError: there is no such file, or it needs an ffmpeg that is not here.
        InputError: it is no sound.
    """
    require_audio_file(path)
    try:
        file = open_soundfile(path)
    except soundfile.LibsndfileError:
        with open_decoder(path) as decoder:
            rate_hz = decoder.sample_rate_hz
            yield between(decoder.blocks(), round(start_s * rate_hz), round(end_s * rate_hz)), rate_hz
        return
    with file:
        first = min(max(round(start_s * file.samplerate), 0), file.frames)
        file.seek(first)
        yield read_on(file, round(end_s * file.samplerate) - first), int(file.samplerate)


def read_on(file: soundfile.SoundFile, num_samples: int) -> Iterator[Samples]:
    """The next ``num_samples`` of an open file, in blocks; fewer where it ends before."""
    while num_samples > 0:
        block: Samples = file.read(min(num_samples, BLOCK_SAMPLES), dtype="float32", always_2d=True)
        if not len(block):
            return
        num_samples -= len(block)
        yield block


def between(blocks: Iterable[Samples], first: int, stop: int) -> Iterator[Samples]:
    """The samples ``first .. stop - 1`` of a stream of blocks."""
    position = 0
    for block in blocks:
        part = block[max(first - position, 0) : max(stop - position, 0)]
        position += len(block)
        if len(part):
            yield part
        if position >= stop:
            return


def read_mono(path: Path, start_s: float, end_s: float) -> tuple[Samples, int]:
    """A stretch of a recording as mono ``(samples,)``, and its rate in Hz."""
    with open_stretch(path, start_s, end_s) as (blocks, rate_hz):
        parts = [block.mean(axis=1, dtype=np.float32) for block in blocks]
    return (np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)), rate_hz


def length_s(path: Path) -> float:
    """A recording's length in seconds: as its header says, or decoded to the end where that is no promise.

    Raises:
        MissingError: there is no such file, or it needs an ffmpeg that is not here.
        InputError: it is no sound.
    """
    require_audio_file(path)
    try:
        with open_soundfile(path) as file:
            if file.format != "MP3" and 0 < file.frames < UNKNOWN_FRAMES:
                return float(file.frames / file.samplerate)
    except soundfile.LibsndfileError:
        pass  # not one of libsndfile's forms: decoded below, where a failure is explained
    with open_decoder(path) as decoder:
        return sum(len(block) for block in decoder.blocks()) / decoder.sample_rate_hz
