"""Which recordings a command line means, and in which order; ``names.py`` says what each is called."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from amr.audio.names import NATIVE_EXTENSIONS, Names, as_spelt, audio_extension, place
from amr.errors import AmrError, InputError, raise_error

log = logging.getLogger("amr")

MPEG_EXTENSIONS = frozenset({".mp3", ".mp2", ".mpga"})

UNREAD_EXTENSIONS = frozenset(
    {".raw", ".pcm", ".vox", ".sd2", ".aup3", ".ds2", ".aax", ".m4p", ".mid", ".midi"}
)
"""What is called sound and cannot be read: without a header, locked, another program's own, or notes."""

TRANSPORT_STREAM_SYNC = b"\x47"
"""What an MPEG transport stream begins with, and a program in TypeScript, also called ``.ts``, does not."""

GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True)
class AudioFile:
    """A recording to read.

    Args:
        id: what the recording is called in every file of ours.
        path: where it is, as given (and, for files of a folder, the folder as given).
        was_named: whether the user named it; else it came with a folder or a pattern.
        is_stored: whether it is in the output already.
    """

    id: str
    path: Path
    was_named: bool = True
    is_stored: bool = False

    def located(self, error: AmrError) -> AmrError:
        """What is wrong with this recording: an error of its own, as several may share ``error``."""
        mine = copy(error)
        mine.where, mine.was_named = error.where or str(self.path), self.was_named
        return mine


@dataclass(frozen=True)
class Found:
    """A file and how it was come by.

    Args:
        path: as given.
        was_named: False where a folder or a pattern was.
    """

    path: Path
    was_named: bool = True


OnFailure = Callable[[AmrError], None]


def file_bytes(path: Path) -> int:
    """A file's size; 0 for one that has gone, which is found when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def find_audio(
    arguments: Iterable[str], on_failure: OnFailure = raise_error, names: Names | None = None
) -> list[AudioFile]:
    """The recordings that files, folders and glob patterns mean, each once.

    Arguments keep their order; folders are walked to the bottom and patterns expanded in sorted order, so
    that the list does not depend on the file system. Hidden files and files without an audio extension are
    passed over in folders and never where they are named. Those that are called sound but cannot be read are
    logged, once.

    Args:
        on_failure: called with what is wrong with an argument, or with a folder below one, which is then
            left out: there is no such file, folder or match; a folder holds no audio, or cannot be read.
        names: the ids that are taken, and by which recordings.

    Raises:
        InputError: a file would share an id with a recording that is there, nobody knows from where.
    """
    passed_over: list[Path] = []
    found = each_once(
        found for argument in arguments for found in expand_or_fail(argument, passed_over, on_failure)
    )
    if passed_over:
        count = f" ({len(passed_over)} times, this is the first)" if len(passed_over) > 1 else ""
        log.warning("%s: is called sound but cannot be read, skipped%s", passed_over[0], count)
    return name_recordings(found, names or Names())


def expand_or_fail(argument: str, passed_over: list[Path], on_failure: OnFailure) -> list[Found]:
    """The files that one argument means; none, and a failure, where there are none."""
    try:
        return expand(argument, passed_over, on_failure)
    except InputError as error:
        on_failure(error)
    except OSError as error:  # e.g. a name that is longer than the system's limit
        on_failure(InputError(f"cannot be read: {error.strerror}", where=argument))
    return []


def expand(argument: str, passed_over: list[Path], on_failure: OnFailure) -> list[Found]:
    """The files that one argument means; adds those to ``passed_over`` that seem to be meant."""
    path = as_spelt(Path(argument))
    if path.is_dir():
        below = sorted(walk(path, on_failure), key=lambda file: Path(file).parts)
        files = [Found(path / file, was_named=False) for file in below]
        return chosen(argument, files, passed_over)
    if path.exists() or path.is_symlink():
        return [Found(path)]
    if not GLOB_CHARACTERS.isdisjoint(argument):
        matches = map(Path, sorted(glob.glob(argument, recursive=True)))  # noqa: PTH207  # may be absolute
        files = [Found(match, was_named=False) for match in matches if not match.is_dir()]
        return chosen(argument, files, passed_over)
    raise InputError("no such file or folder", where=argument)


def chosen(argument: str, files: list[Found], passed_over: list[Path]) -> list[Found]:
    """Those of a folder's or pattern's files that are sound."""
    passed_over += [one.path for one in files if one.path.suffix.lower() in UNREAD_EXTENSIONS]
    sounds = [one for one in files if is_sound(one.path)]
    if sounds:
        return sounds
    if not Path(argument).is_dir():
        raise InputError("no audio file matches this pattern", where=argument)
    known = f"known: {' '.join(sorted(NATIVE_EXTENSIONS))} ..."
    raise InputError("holds no audio files", where=argument, hint=known)


def is_sound(path: Path) -> bool:
    """Whether a file that was not named itself is taken, by its ending; a ``.ts`` by its first byte too."""
    extension = audio_extension(path.name)
    if extension == ".ts" and path.is_file():
        with open(path, "rb") as file:
            return file.read(1) == TRANSPORT_STREAM_SYNC
    return bool(extension)


def walk(folder: Path, on_failure: OnFailure = raise_error) -> Iterator[str]:
    """Files below a folder, as paths relative to it; links to folders are followed, loops are not.

    Args:
        on_failure: called with what is wrong with a folder below, which is then left out.

    Raises:
        OSError: the folder itself cannot be read.
    """
    entered = {identity(folder)}
    todo = [""]
    while todo:
        below = todo.pop()
        try:
            entries = list(os.scandir(folder / below))
        except OSError as error:
            if not below:
                raise
            on_failure(unread(folder / below, error))
            continue
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith("."):
                continue
            try:
                folder_identity = identity(Path(entry.path)) if entry.is_dir() else None
            except OSError as error:
                on_failure(unread(Path(entry.path), error))
                continue
            if folder_identity is None:
                yield path
            elif folder_identity not in entered:
                entered.add(folder_identity)
                todo.append(path)


def unread(path: Path, error: OSError) -> InputError:
    """A folder below the one that was named cannot be read."""
    return InputError(f"cannot be read: {error.strerror}", where=path, was_named=False)


def identity(folder: Path) -> tuple[int, int]:
    """What two names of one folder share."""
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def each_once(found: Iterable[Found]) -> list[Found]:
    """Files in their order, a file that is named twice (``a/x.wav`` and ``a/``) once."""
    first: dict[str, Found] = {}
    for one in found:
        first.setdefault(place(one.path), one)
    return list(first.values())


def name_recordings(files: list[Found], names: Names) -> list[AudioFile]:
    """Each file with its id: that which is stored for its path, or a new one."""
    stored = [names.stored_id(one.path) for one in files]
    new = [one for one, name in zip(files, stored, strict=True) if name is None]
    chosen = iter(names.choose([str(one.path) for one in new]))
    return [
        AudioFile(next(chosen) if name is None else name, one.path, one.was_named, name is not None)
        for one, name in zip(files, stored, strict=True)
    ]
