"""The sound behind the ids of predictions, annotations and labels: which file is which recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from amr.audio.files import find_audio
from amr.audio.names import canonical, endings, is_there, stem_of
from amr.errors import InputError
from amr.formats.features.open import open_features
from amr.tasks.inputs import holds_features


class RecordingFiles(NamedTuple):
    """Recordings by their ids.

    Args:
        paths: those that were wanted and are there.
        ids: what all that are there are called.
    """

    paths: dict[str, Path]
    ids: list[str]

    @property
    def shown(self) -> str:
        """The first of those that are there, for messages."""
        return ", ".join(self.ids[:3]) or "none"


def find_recordings(places: Sequence[str], vids: Iterable[str]) -> RecordingFiles:
    """The files that ids mean.

    An id depends on which files were named together, so a file is known by every ending of its path, as far
    as no other file has it. Feature files say for certain where their recordings are from. Ids come from the
    names of files that are there and are never joined to a path: an id in a data file that looks like
    ``../../secret`` finds nothing.

    Args:
        places: files, folders, patterns, and feature files.
        vids: the recordings that are wanted.

    Raises:
        InputError: a place does not exist, a folder holds no sound, or an id means several files.
    """
    stored = [place for place in places if holds_features(Path(place))]
    sounds = [place for place in places if place not in set(stored)]
    known = {canonical(file.id): file.path for file in find_audio(sounds)} if sounds else {}
    known |= stored_paths(stored)
    wanted = {vid: canonical(vid) for vid in vids}
    paths = {vid: known[form] for vid, form in wanted.items() if form in known}
    left: dict[str, list[Path]] = {}
    for path in known.values() if sounds else ():
        for name in {stem_of(path), canonical(path.name)}:
            left.setdefault(name, []).append(path)
    for vid in sorted((vid for vid in wanted if vid not in paths), key=lambda vid: -vid.count("/")):
        alike = left.get(canonical(vid).rsplit("/", 1)[-1], [])
        for path in sole_path(vid, [path for path in alike if path not in paths.values()]):
            paths[vid] = path
    return RecordingFiles({vid: paths[vid] for vid in wanted if vid in paths}, list(known))


def stored_paths(places: Sequence[str]) -> dict[str, Path]:
    """Where the recordings of feature files are from, by composed id."""
    if not places:
        return {}
    with open_features(*places) as reader:
        paths = {canonical(name): reader.audio_path(name) for name in reader.ids}
    return {name: Path(path) for name, path in paths.items() if path and is_there(Path(path))}


def sole_path(vid: str, paths: Sequence[Path]) -> list[Path]:
    """The file that has an id as an ending of its path, if one has.

    Raises:
        InputError: several have.
    """
    form = canonical(vid)
    found = [path for path in paths if form in map(canonical, endings(path))]
    if len(found) > 1:
        raise InputError(
            f"the recording {vid!r} may be {found[0]} or {found[1]}",
            where="--audio",
            hint="name the one that is meant, or the feature file, which knows",
        )
    return found
