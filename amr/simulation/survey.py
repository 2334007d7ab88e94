"""Looking at the sources before a draw: length, hash, where a clip begins and ends, what cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from amr.errors import AmrError, InputError
from amr.formats.notices import Notices
from amr.simulation.settings import TrimRule
from amr.simulation.sources import Sources
from amr.simulation.tables import SourceRow
from amr.simulation.trim import sounding_blocks, trim_bounds

Result = TypeVar("Result")
OrderedMap = Callable[[Callable[[SourceRow], Result], Iterable[SourceRow]], Iterable[Result]]
"""How rows are gone through: like ``map``, perhaps with several threads, results in order."""


@dataclass(frozen=True)
class Clip:
    """A foreground that can be drawn.

    Args:
        path: relative to the foreground folder.
        sha256: of the file.
        captions: sentences that mean it.
        label: class of the sound; empty where unknown.
        bounds: first and past-the-last sample that trimming kept.
        duration_s: of the kept part.
        sounding: which blocks of 0.02 s of the kept part sound, ``(blocks,)``.
    """

    path: str
    sha256: str
    captions: tuple[str, ...]
    label: str
    bounds: tuple[int, int]
    duration_s: float
    sounding: npt.NDArray[np.bool_] = field(compare=False)


@dataclass(frozen=True)
class Bed:
    """A background that can be drawn.

    Args:
        path, sha256: relative to the background folder; of the file.
        name: what recordings made on it are called after.
        contains: labels that may be heard in it and are never queries on it.
        duration_s: of the whole file.
    """

    path: str
    sha256: str
    name: str
    contains: frozenset[str]
    duration_s: float


def survey_clip(
    row: SourceRow, sources: Sources, trim: TrimRule, keep_rate_hz: int | None
) -> Clip | tuple[str, str]:
    """A clip that can be drawn, or why not and where; ``keep_rate_hz``: prepare it for rendering at it.

    Raises:
        InputError: there is no such file, it is broken, or the row has no caption.
    """
    if not row.captions:
        raise InputError("has no caption", where=row.where, hint="give one, or say --column captions=NAME")
    decoded = sources.read_clip(row.path)
    first, last = trim_bounds(decoded.samples, decoded.sample_rate_hz, trim)
    kept = decoded.samples[first:last]
    if not len(kept):
        return f"foreground shorter than one trimming block of {trim.block_s:g} s, left out", row.path
    if not kept.any():
        return "foreground of digital silence, left out", row.path
    if keep_rate_hz is not None:
        sources.keep_clip(row.path, (first, last), decoded, keep_rate_hz)
    return Clip(
        path=row.path,
        sha256=decoded.sha256,
        captions=row.captions,
        label=row.label,
        bounds=(first, last),
        duration_s=len(kept) / decoded.sample_rate_hz,
        sounding=sounding_blocks(kept, decoded.sample_rate_hz),
    )


def survey_clips(
    rows: Iterable[SourceRow],
    sources: Sources,
    trim: TrimRule,
    *,
    keep_rate_hz: int | None,
    ordered_map: OrderedMap[Clip | tuple[str, str] | AmrError],
    keep_going: bool,
    notices: Notices,
) -> tuple[list[Clip], list[AmrError]]:
    """The clips that can be drawn, in table order, and what was wrong with broken ones.

    Silent and too short ones are left out and counted in ``notices``.

    Raises:
        AmrError: a broken or missing clip without ``keep_going``; or nothing is left.
    """

    def look(row: SourceRow) -> Clip | tuple[str, str] | AmrError:
        try:
            return survey_clip(row, sources, trim, keep_rate_hz)
        except AmrError as error:
            return error

    clips: list[Clip] = []
    broken: list[AmrError] = []
    for found in ordered_map(look, rows):
        if isinstance(found, Clip):
            clips.append(found)
        elif isinstance(found, tuple):
            notices.add(*found)
        elif keep_going:
            broken.append(found)
        else:
            raise found
    if not clips:
        raise InputError("no foreground can be used", hint="see the warnings above for why")
    return clips, broken


def survey_beds(
    rows: Sequence[SourceRow],
    sources: Sources,
    shortest_s: float,
    *,
    repeat_short: bool,
    ordered_map: OrderedMap[tuple[float, str]],
    notices: Notices,
) -> list[Bed]:
    """The backgrounds that can be drawn, in table order; shorter ones are counted unless repeated.

    Raises:
        AmrError: a background is broken or missing, two have one name, or none is long enough.
    """
    beds: dict[str, Bed] = {}
    facts = ordered_map(lambda row: sources.background_facts(row.path), rows)
    for row, (duration_s, sha256) in zip(rows, facts, strict=True):
        if duration_s < shortest_s and not repeat_short:
            notices.add(
                f"background shorter than {shortest_s:g} s, left out (see --short-background)", row.path
            )
            continue
        name = row.path.rpartition(".")[0].replace("/", "_")
        other = beds.setdefault(name, Bed(row.path, sha256, name, row.contains, duration_s))
        if other.path != row.path:
            raise InputError(
                f"{row.path!r} and {other.path!r} would give recordings of one name", where=row.where
            )
    if not beds:
        raise InputError(f"no background of {shortest_s:g} s or more", hint="try --short-background repeat")
    return list(beds.values())
