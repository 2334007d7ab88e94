"""Which recordings a command line means, in which order, and what each is called.

A recording's id (the field's ``vid``) is its file's name without the audio extension, and nothing else is
cut off: ``Venice_4.0_64.0.wav`` is ``Venice_4.0_64.0``. Where files of one walked folder share a name,
those are called by their path below that folder; where that cannot tell them apart either, or they were
named one by one, it is an error, because features under a wrong id would be found for the wrong recording.
"""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr.errors import InputError

NATIVE_EXTENSIONS = frozenset(
    {".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd"}
    | {".w64", ".rf64", ".caf"}
)
"""What libsndfile reads."""

FFMPEG_EXTENSIONS = frozenset(
    {".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".aac", ".ac3", ".wma", ".asf", ".webm", ".mkv", ".mka", ".avi"}
    | {".ape", ".wv", ".tta", ".mp2", ".amr", ".3gp"}
)
"""What people keep sound in besides; read through an ffmpeg binary."""

AUDIO_EXTENSIONS = NATIVE_EXTENSIONS | FFMPEG_EXTENSIONS

GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True)
class AudioFile:
    """A recording to read.

    Args:
        id: what the recording is called in every file of ours.
        path: where it is, as given (and, for files of a folder, the folder as given).
    """

    id: str
    path: Path


@dataclass(frozen=True)
class Found:
    """A file and how it was come by.

    Args:
        path: as given.
        below: its path below the folder that was walked; empty if it was named itself.
    """

    path: Path
    below: str = ""


def audio_extension(name: str) -> str:
    """The audio extension that a name ends in, lower case; empty when it ends in none that we know."""
    extension = Path(name).suffix.lower()
    return extension if extension in AUDIO_EXTENSIONS else ""


def recording_id(name: str) -> str:
    """A file's name without its audio extension; dots that are no such extension stay."""
    extension = audio_extension(name)
    return name[: len(name) - len(extension)] if extension else name


def find_audio(arguments: Iterable[str]) -> list[AudioFile]:
    """The recordings that files, folders and glob patterns mean, each once.

    Arguments keep their order; folders are walked to the bottom and patterns expanded in sorted order, so
    that the list does not depend on the file system. Hidden files and files without an audio extension are
    passed over in folders and never where they are named.

    Raises:
        InputError: there is no such file, folder or match; a folder holds no audio; two files would share
            an id.
    """
    return name_recordings(each_once(found for argument in arguments for found in expand(argument)))


def expand(argument: str) -> list[Found]:
    """The files that one argument means."""
    path = Path(argument)
    if path.is_dir():
        below = sorted(walk(path), key=lambda file: Path(file).parts)
        if not below:
            raise InputError(
                "holds no audio files",
                where=argument,
                hint=f"known: {' '.join(sorted(NATIVE_EXTENSIONS))} ...",
            )
        return [Found(path / file, file) for file in below]
    if path.exists() or path.is_symlink():
        return [Found(path)]
    if not GLOB_CHARACTERS.isdisjoint(argument):
        matches = map(Path, sorted(glob.glob(argument, recursive=True)))  # noqa: PTH207  # may be absolute
        files = [Found(match) for match in matches if audio_extension(match.name) and not match.is_dir()]
        if not files:
            raise InputError("no audio file matches this pattern", where=argument)
        return files
    raise InputError("no such file or folder", where=argument)


def walk(folder: Path) -> Iterator[str]:
    """Audio files below a folder, as paths relative to it; links to folders are followed, loops are not."""
    entered = {identity(folder)}
    todo = [""]
    while todo:
        below = todo.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    if (seen := identity(Path(entry.path))) not in entered:
                        entered.add(seen)
                        todo.append(path)
                elif audio_extension(entry.name):
                    yield path


def identity(folder: Path) -> tuple[int, int]:
    """What two names of one folder share."""
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def each_once(found: Iterable[Found]) -> list[Found]:
    """Files in their order, a file that is named twice (``a/x.wav`` and ``a/``) once."""
    first: dict[str, Found] = {}
    for one in found:
        first.setdefault(os.path.normpath(one.path.absolute()), one)
    return list(first.values())


def name_recordings(files: list[Found]) -> list[AudioFile]:
    """An id for each file, from its name or, where names clash, from its path below the walked folder."""
    clashing = doubles((recording_id(one.path.name), one) for one in files)
    named = [AudioFile(choose_id(one, clashing), one.path) for one in files]
    for shared, group in doubles((one.id, one) for one in named).items():
        raise InputError(
            f"would be called {shared!r} like {group[0].path}",
            where=group[1].path,
            hint="rename one, extract them apart, or give the folder above both: then paths tell them apart",
        )
    return named


def choose_id(found: Found, clashing: dict[str, list[Found]]) -> str:
    name = recording_id(found.path.name)
    return recording_id(found.below) if name in clashing and found.below else name


def doubles(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    """The keys that come more than once, with all their values."""
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: values for key, values in groups.items() if len(values) > 1}
