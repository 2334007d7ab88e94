"""Where the audio of a stored recording is: the one place that makes of a stored path one that leads there.

A feature file keeps paths as they were given, and in its history the folder that they begin at, as seen from
its own. So they lead to the audio from any folder, and after both were moved together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

FOLDER = "folder"
"""Key of the folder that the work was done in, as seen from the output's: stored paths begin there."""
MOST_CHARACTERS = 4096
"""Of a path, as of any that Linux opens."""


def folder_of(history: Sequence[Any]) -> str:
    """The folder that a feature file was begun in, as seen from its own."""
    first = history[0] if history and isinstance(history[0], Mapping) else {}
    return str(first.get(FOLDER, os.curdir))


def folder_from(beside: Path, features: Path, folder: str) -> str:
    """What :func:`folder_of` is for a feature file in the folder ``beside`` that takes over stored paths."""
    return os.path.relpath(features.parent / folder, beside)


def path_from_here(source: str, recording_id: str, features: Path, folder: str) -> str:
    """The path of a recording's audio as seen from here; as it is stored, where the file is nowhere.

    Tried in this order: from the folder that stored paths begin at; from the feature file's folder; from
    here; and, for audio that was moved with a feature file that lies in the folder of recordings or above
    it, the ends of the path below the feature file's folder, the longest first, none shorter than the id.

    Args:
        source: the path as it is stored; empty where it is not known.
        recording_id: what the recording is called in the feature file.
        features: the feature file.
        folder: of :func:`folder_of`.
    """
    if not source or len(source) > MOST_CHARACTERS:
        return source
    places = candidates(source, recording_id, features.parent, folder)
    return next(filter(is_file, places), source)


def candidates(source: str, recording_id: str, beside: Path, folder: str) -> Iterator[str]:
    """Where the audio may be, the likeliest first."""
    # Taken lexically, as the folder was written: `out/..` is here, wherever a link `out` leads.
    yield os.path.normpath(beside / folder / source)
    yield os.path.normpath(beside / source)
    yield source
    parts = [part for part in PurePath(source).parts if part not in (os.sep, os.pardir)]
    for length in range(len(parts), recording_id.count("/"), -1):
        yield os.path.normpath(beside.joinpath(*parts[-length:]))


def is_file(path: str) -> bool:
    """Whether there is a file; a path from a stranger may be none at all."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False
