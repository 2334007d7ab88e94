"""Learned sounds under a name: kept beside the labels, listed, and asked for as ``@NAME``.

A page names them, so that a name is never a path: it is one name in a few folders, with ``.sound`` behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from amr.errors import InputError, UsageError
from amr.formats.sounds import SUFFIX, sound_folders
from amr.serve.labelling import sentence
from amr.serve.library import shown
from amr.tasks.learned import MARK

MOST_NAME_BYTES = 120
MOST_LISTED = 500


@dataclass(frozen=True)
class KeptSounds:
    """The sounds that a page can keep and ask for.

    Args:
        folder: where they are kept; those of ``amr predict`` are found too.
    """

    folder: Path

    def target(self, name: str) -> Path:
        """Where a sound of this name is kept. Raises ``UsageError`` where it is no name."""
        return self.folder / (checked(name) + SUFFIX)

    def find(self, text: str) -> Path | None:
        """The file of ``@NAME``; None for words.

        Raises:
            UsageError: it is no name.
            InputError: there is none.
        """
        if not text.startswith(MARK):
            return None
        name = checked(text.removeprefix(MARK))
        for folder in (self.folder, *sound_folders()):
            path = folder / (name + SUFFIX)
            if path.is_file():
                return path
        hint = "accept a few moments of a query, and keep what it has learned"
        raise InputError(f"there is no kept sound {name!r}", hint=hint)

    def record(self) -> dict[str, Any]:
        """As ``/sounds.json`` gives it: every sound by name."""
        paths: dict[str, Path] = {}
        for folder in (self.folder, *sound_folders()):
            for path in sorted(folder.glob(f"*{SUFFIX}"))[:MOST_LISTED]:
                paths.setdefault(path.name.removesuffix(SUFFIX), path)
        sounds = [
            {"name": shown(Path(name)), "query": MARK + shown(Path(name)), "path": shown(path.absolute())}
            for name, path in sorted(paths.items())
        ]
        return {"folder": shown(self.folder.absolute()), "sounds": sounds}


def checked(name: str) -> str:
    """A name that a file can have, and that leads nowhere else.

    Raises:
        UsageError: it is none.
    """
    name = name.lstrip(f"{MARK} ").rstrip()
    is_one = name and not name.startswith(".") and not set(name) & set('/\\:"<>|?*') and name.isprintable()
    if not is_one or len(name.encode("utf-8", "replace")) > MOST_NAME_BYTES:
        raise UsageError(
            f"{name[:40]!r} cannot be the name of a sound",
            hint=f"letters, digits, blanks and hyphens, at most {MOST_NAME_BYTES} bytes",
        )
    return name


class Keeping(NamedTuple):
    """A wish to keep what a question has learned.

    Args:
        name: under which. query: the question. target: the file. replace: also where there is one.
    """

    name: str
    query: str
    target: Path
    replace: bool


def parse_keeping(record: dict[str, Any], sounds: KeptSounds) -> Keeping:
    """``{"name": NAME, "query": QUESTION, "replace": true}``; a sound of that name stays without ``replace``.

    Raises:
        UsageError: it is none.
    """
    name, replace = record.get("name"), record.get("replace", False)
    if not isinstance(name, str):
        raise UsageError("'name' is not a string")
    if not isinstance(replace, bool):
        raise UsageError("'replace' is neither true nor false")
    try:
        query = sentence(record, "query", "request")
    except InputError as error:
        raise UsageError(error.what, where=error.where) from error
    name = checked(name)
    return Keeping(name, query, sounds.target(name), replace)
