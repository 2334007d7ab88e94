"""Looking at the sources before a draw: length, hash, where a clip begins and ends, what cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from amr.arrays import BoolArray
from amr.errors import AmrError, InputError
from amr.formats.notices import Notices
from amr.processors import ordered_map
from amr.simulation.settings import TrimRule
from amr.simulation.sources import SourceAudio
from amr.simulation.tables import SourceRow
from amr.simulation.trim import sounding_blocks, trim_bounds


@dataclass(frozen=True)
class ForegroundClip:
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
    sounding: BoolArray = field(compare=False)


@dataclass(frozen=True)
class Background:
    """A background that can be drawn.

    Args:
        path, sha256: relative to the background folder; of the file.
        name: what recordings made on it are called after.
        contains: labels that it may contain, which are never queries on it.
        duration_s: of the whole file.
    """

    path: str
    sha256: str
    name: str
    contains: frozenset[str]
    duration_s: float


def survey_clip(
    row: SourceRow, sources: SourceAudio, trim: TrimRule, keep_rate_hz: int | None
) -> ForegroundClip | tuple[str, str]:
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
    return ForegroundClip(
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
    sources: SourceAudio,
    trim: TrimRule,
    *,
    keep_rate_hz: int | None,
    workers: int,
    keep_going: bool,
    notices: Notices,
) -> tuple[list[ForegroundClip], list[AmrError]]:
    """The clips that can be drawn, in table order, and what was wrong with broken ones.

    Silent and too short ones are left out and counted in ``notices``.

    Raises:
        AmrError: a broken or missing clip without ``keep_going``; or nothing is left.
    """

    def look(row: SourceRow) -> ForegroundClip | tuple[str, str] | AmrError:
        try:
            return survey_clip(row, sources, trim, keep_rate_hz)
        except AmrError as error:
            return error

    clips: list[ForegroundClip] = []
    broken: list[AmrError] = []
    for found in ordered_map(look, rows, workers):
        if isinstance(found, ForegroundClip):
            clips.append(found)
        elif isinstance(found, tuple):
            notices.add(*found)
        elif keep_going:
            broken.append(found)
        else:
            raise found
    sources.move_remarks(notices)
    if not clips:
        raise InputError("no foreground can be used", hint="see the warnings above for why")
    return clips, broken


def survey_backgrounds(
    rows: Sequence[SourceRow],
    sources: SourceAudio,
    shortest_s: float,
    *,
    repeat_short: bool,
    workers: int,
    notices: Notices,
) -> list[Background]:
    """The backgrounds that can be drawn, in table order; shorter ones are counted unless repeated.

    Raises:
        AmrError: a background is broken or missing, two have one name, or none is long enough.
    """
    backgrounds: dict[str, Background] = {}
    facts = list(ordered_map(lambda row: sources.background_facts(row.path), rows, workers))
    sources.move_remarks(notices)
    for row, (duration_s, sha256) in zip(rows, facts, strict=True):
        if duration_s < shortest_s and not repeat_short:
            notices.add(
                f"background shorter than {shortest_s:g} s, left out (see --short-background)", row.path
            )
            continue
        name = row.path.rpartition(".")[0].replace("/", "_")
        other = backgrounds.setdefault(name, Background(row.path, sha256, name, row.contains, duration_s))
        if other.path != row.path:
            raise InputError(
                f"{row.path!r} and {other.path!r} would give recordings of one name", where=row.where
            )
    if not backgrounds:
        raise InputError(f"no background of {shortest_s:g} s or more", hint="try --short-background repeat")
    return list(backgrounds.values())
