"""Recordings as the pictures and clips need them: found by name, read as mono blocks, cut."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from amr.errors import InputError

Samples = npt.NDArray[np.float32]

AUDIO_SUFFIXES = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
)
"""Endings that count as sound when a folder is searched; a file named outright may end as it likes."""


@dataclass(frozen=True)
class SoundFile:
    """One recording on disk.

    Args:
        path: where it is.
        sample_rate_hz: samples a second.
        num_samples: samples of each channel.
        channels: how many.
    """

    path: Path
    sample_rate_hz: int
    num_samples: int
    channels: int

    @property
    def duration_s(self) -> float:
        return self.num_samples / self.sample_rate_hz


def find_recordings(places: Iterable[str | Path]) -> dict[str, Path]:
    """Recordings by id, the stem of the file name; folders are searched all the way down.

    Ids come from the file names that are there, and are never joined to a path: an id in a data file that
    looks like ``../../secret`` finds nothing.

    Raises:
        InputError: a place does not exist, or two files of different folders share a stem.
    """
    found: dict[str, Path] = {}
    for path in (path for place in places for path in _sounds_in(Path(place))):
        other = found.setdefault(path.stem, path)
        if other != path:
            raise InputError(
                f"two recordings have the id {path.stem!r}: {other} and {path}",
                where="--audio",
                hint="ids are file names without their ending; give folders that do not share names",
            )
    return found


def _sounds_in(place: Path) -> Iterator[Path]:
    if place.is_dir():
        for folder, folders, names in os.walk(place):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if _is_sound(name))
    elif place.exists():
        yield place
    else:
        raise InputError("no such file or folder", where=place)


def _is_sound(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES


def open_sound(path: Path) -> Any:
    """The file, opened for reading by soundfile.

    Raises:
        InputError: it is not sound that can be read.
    """
    import soundfile

    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        reason = (
            "no such file" if not path.exists() else f"is not sound that can be read: {error.error_string}"
        )
        raise InputError(reason, where=path) from error


def measure(path: Path) -> SoundFile:
    """What a recording's header says.

    Raises:
        InputError: it is not sound, or it has no samples.
    """
    with open_sound(path) as file:
        sound = SoundFile(path, int(file.samplerate), int(file.frames), int(file.channels))
    if sound.num_samples <= 0:
        raise InputError("holds no sound", where=path)
    return sound


def mono_blocks(path: Path, block_samples: int) -> Iterator[Samples]:
    """The recording as mono blocks ``(samples,)``, at its own rate; the last one may be shorter."""
    with open_sound(path) as file:
        while len(block := read_block(file, block_samples)):
            yield block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]


def read_block(file: Any, num_samples: int) -> Samples:
    """The next samples ``(samples, channels)`` of an open file; empty at its end.

    Raises:
        InputError: the file breaks off or is damaged here.
    """
    import soundfile

    try:
        block: Samples = file.read(num_samples, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"cannot be read on: {error.error_string}", where=file.name) from error
    return block


def read_mono(path: Path, start_s: float, end_s: float) -> tuple[Samples, int]:
    """A stretch of a recording as mono ``(samples,)``, and its sample rate in Hz."""
    with open_sound(path) as file:
        first = min(max(round(start_s * file.samplerate), 0), file.frames)
        stop = min(max(round(end_s * file.samplerate), first), file.frames)
        file.seek(first)
        block = read_block(file, stop - first)
        return block.mean(axis=1, dtype=np.float32), int(file.samplerate)
