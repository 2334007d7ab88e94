"""Recordings of several feature files under one roof: what each is called where several share an id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amr.audio.names import canonical, free_name, place, sole_endings
from amr.errors import InputError
from amr.formats.features.base import FeatureReader


class Owned(NamedTuple):
    """A recording in one of several parts.

    Args:
        part: number of the part.
        row: its place there.
        id: what it is called there.
    """

    part: int
    row: int
    id: str


def ids_in_whole(parts: Sequence[FeatureReader]) -> list[list[str]]:
    """What the recordings of each part are called in the whole.

    The first that has an id keeps it; the others are called by the shortest ending of the path that they are
    from, or where that is the same, or not known, of the path of their feature file.

    Raises:
        InputError: two parts hold the same recording.
    """
    ids = [list(part.ids) for part in parts]
    groups: dict[str, list[Owned]] = {}
    first: dict[str, Owned] = {}
    for number, names in enumerate(ids):
        for row, name in enumerate(names):
            owned = Owned(number, row, name)
            if first.setdefault(canonical(name), owned) != owned:
                groups.setdefault(canonical(name), [first[canonical(name)]]).append(owned)
    taken = set(first)
    for group in groups.values():
        for owned, name in zip(group[1:], names_apart(parts, group, taken), strict=True):
            ids[owned.part][owned.row] = name
    return ids


def names_apart(parts: Sequence[FeatureReader], group: Sequence[Owned], taken: set[str]) -> Iterator[str]:
    """New names for all but the first of recordings that share an id; they are ``taken`` then."""
    sources = [parts[owned.part].source(owned.id) for owned in group]
    paths: list[str] = []
    for number, (owned, source) in enumerate(zip(group, sources, strict=True)):
        doubtful = [
            other
            for other, theirs in zip(group[:number], sources, strict=False)
            if not (source and theirs) or place(source) == place(theirs)
        ]
        refuse_same(parts, doubtful, owned)
        if doubtful or not source:
            source = str(Path(parts[owned.part].name).with_suffix("") / Path(source or owned.id).name)
        paths.append(source)
    for names, path in list(zip(sole_endings(paths), paths, strict=True))[1:]:
        name = free_name(names, taken, path)
        taken.add(canonical(name))
        yield name


def refuse_same(parts: Sequence[FeatureReader], earlier: Sequence[Owned], owned: Owned) -> None:
    """Raise ``InputError`` where one of the earlier recordings has the same frames."""
    for other in earlier:
        if holds_same(parts, other, owned):
            raise InputError(
                f"recording {owned.id!r} is in {parts[other.part].name} as well",
                where=parts[owned.part].name,
                hint="name each recording's features once",
            )


def holds_same(parts: Sequence[FeatureReader], one: Owned, other: Owned) -> bool:
    """Whether two recordings have the same frames."""
    first, second = parts[one.part], parts[other.part]
    return first.num_frames(one.id) == second.num_frames(other.id) and np.array_equal(
        first.frames(one.id), second.frames(other.id)
    )


def require_each_source_once(parts: Sequence[FeatureReader]) -> None:
    """Refuse a recording that two parts hold under two ids, as parts of a growing archive may.

    Raises:
        InputError: names both files and both ids.
    """
    homes: dict[str, Owned] = {}
    for number, part in enumerate(parts):
        for row, name in enumerate(part.ids):
            if source := part.source(name):
                owned = Owned(number, row, name)
                other = homes.setdefault(place(source), owned)
                if other.part != number and other.id != name and holds_same(parts, other, owned):
                    raise InputError(
                        f"recording {name!r}, from {source}, is in {parts[other.part].name} as {other.id!r}",
                        where=part.name,
                        hint="extract all parts again, and name the whole archive for each",
                    )
