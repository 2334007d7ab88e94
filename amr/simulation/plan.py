"""From the sources that a user names to a plan: read, selected, surveyed, drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from amr.errors import AmrError, InputError
from amr.formats.notices import Notices
from amr.formats.recipes import Scene, parse_recipe_bytes, read_recipe_bytes
from amr.simulation.canvas import drawn_cuts, every_cut
from amr.simulation.draw import draw_scene
from amr.simulation.parallel import ordered_map
from amr.simulation.selection import Condition, select
from amr.simulation.settings import DEFAULT_RATE_HZ, Declaration
from amr.simulation.sources import Sources
from amr.simulation.stock import Stock
from amr.simulation.store import SampleStore
from amr.simulation.survey import Bed, Clip, survey_beds, survey_clips
from amr.simulation.tables import SourceRow, read_sources

Item = TypeVar("Item")


@dataclass(frozen=True)
class Materials:
    """Which sources take part.

    Args:
        foreground, backgrounds: tables, folders or files.
        foreground_root, background_root: what their paths are relative to, where it is not their own folder.
        foreground_columns, background_columns: (what, column name), where the names are others than usual.
        split: only rows of this split.
        foreground_where, background_where: only rows that fulfil these.
        disjoint_from: recipes none of whose sources may be used.
    """

    foreground: Path
    backgrounds: tuple[Path, ...]
    foreground_root: Path | None = None
    background_root: Path | None = None
    foreground_columns: tuple[tuple[str, str], ...] = ()
    background_columns: tuple[tuple[str, str], ...] = ()
    split: str | None = None
    foreground_where: tuple[Condition, ...] = ()
    background_where: tuple[Condition, ...] = ()
    disjoint_from: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """How many recordings, how named, which part of them.

    Args:
        count: how many; None: one for every cut of every background.
        prefix: of their names, where they are counted.
        shard: which part of how many, from 0; parts follow each other.
    """

    seed: int = 0
    count: int | None = None
    prefix: str = "sim-"
    sample_rate_hz: int = DEFAULT_RATE_HZ
    encoding: str = "flac"
    shard: tuple[int, int] = (0, 1)
    limit: int | None = None


@dataclass(frozen=True)
class Plan:
    """Scenes to render, the sources to render them from, and what was wrong with sources left out."""

    scenes: list[Scene]
    sources: Sources
    broken: tuple[AmrError, ...] = ()


def draw_plan(
    materials: Materials,
    declared: Declaration,
    drawing: Drawing,
    *,
    store: SampleStore,
    render: bool,
    workers: int,
    keep_going: bool,
    notices: Notices,
) -> Plan:
    """Read and survey the sources, then draw this shard's scenes.

    Args:
        render: the scenes will be rendered, so keep what is decoded.

    Raises:
        AmrError: a table, a source or the declaration is wrong; see the functions called.
    """
    fg_root, fg_rows = read_sources(materials.foreground, dict(materials.foreground_columns))
    fg_rows = select(
        fg_rows,
        split=materials.split,
        conditions=materials.foreground_where,
        name=str(materials.foreground),
    )
    bg_root, bg_rows = read_backgrounds(materials)
    bg_rows = select(
        bg_rows, split=materials.split, conditions=materials.background_where, name="--background"
    )
    sources = Sources(materials.foreground_root or fg_root, bg_root, store)
    beds = survey_beds(
        bg_rows,
        sources,
        declared.duration_s.low,
        repeat_short=declared.repeat_short,
        ordered_map=lambda function, rows: ordered_map(function, rows, workers),
        notices=notices,
    )
    clips, broken = survey_clips(
        fg_rows,
        sources,
        declared.trim,
        keep_rate_hz=drawing.sample_rate_hz if render else None,
        ordered_map=lambda function, rows: ordered_map(function, rows, workers),
        keep_going=keep_going,
        notices=notices,
    )
    refuse_shared(clips, beds, materials.disjoint_from)
    note_too_long(clips, declared, notices)
    return Plan(draw_scenes(clips, beds, declared, drawing), sources, tuple(broken))


def draw_scenes(
    clips: Sequence[Clip], beds: Sequence[Bed], declared: Declaration, drawing: Drawing
) -> list[Scene]:
    """This shard's scenes."""
    if drawing.count is None:
        canvases = every_cut(beds, declared)
    else:
        canvases = drawn_cuts(beds, declared, count=drawing.count, seed=drawing.seed, prefix=drawing.prefix)
    stock = Stock(clips)
    return [
        draw_scene(
            canvas,
            stock,
            declared,
            seed=drawing.seed,
            sample_rate_hz=drawing.sample_rate_hz,
            encoding=drawing.encoding,
        )
        for canvas in part_of(canvases[: drawing.limit], drawing.shard)
    ]


def part_of(items: list[Item], shard: tuple[int, int]) -> list[Item]:
    """Part ``shard[0]`` of ``shard[1]`` of a list; the parts in order are the list."""
    index, count = shard
    return items[len(items) * index // count : len(items) * (index + 1) // count]


def read_backgrounds(materials: Materials) -> tuple[Path, list[SourceRow]]:
    """The rows of all backgrounds and the one folder that their paths are relative to."""
    columns = dict(materials.background_columns)
    found = [read_sources(path, columns) for path in materials.backgrounds]
    if len(found) == 1:
        return materials.background_root or found[0][0], found[0][1]
    root = common_root([folder for folder, _ in found])
    rows = []
    for folder, own in found:
        inner = folder.resolve().relative_to(root)
        rows += [replace(row, path=(inner / row.path).as_posix()) for row in own]
    return root, rows


def common_root(folders: Sequence[Path]) -> Path:
    """The one folder, or the deepest folder that holds them all."""
    return folders[0] if len(folders) == 1 else Path(os.path.commonpath([f.resolve() for f in folders]))


def refuse_shared(clips: Sequence[Clip], beds: Sequence[Bed], recipes: Sequence[Path]) -> None:
    """Refuse sources that another recipe uses, by their bytes.

    Raises:
        InputError: a source is in both.
    """
    for path in recipes:
        others = parse_recipe_bytes(*read_recipe_bytes(path))
        used = {scene.background.sha256 for scene in others}
        used |= {layer.sha256 for scene in others for layer in scene.foregrounds}
        sources = [(clip.path, clip.sha256) for clip in clips] + [(bed.path, bed.sha256) for bed in beds]
        for name, sha256 in sources:
            if sha256 in used:
                raise InputError(
                    f"the source {name!r} is used in {path} too",
                    where="--disjoint-from",
                    hint="splits share no source: leave it out with --where, --background-where or --split",
                )


def note_too_long(clips: Sequence[Clip], declared: Declaration, notices: Notices) -> None:
    """Count the clips that are longer than any recording and so are never drawn whole.

    Raises:
        InputError: that is all of them.
    """
    if declared.length_s is not None:
        return
    too_long = [clip for clip in clips if clip.duration_s > declared.duration_s.high]
    if len(too_long) == len(clips):
        raise InputError(
            f"all {len(clips)} foregrounds are longer than a recording of {declared.duration_s.high:g} s",
            hint="use a longer --duration, or cut them with --length",
        )
    for clip in too_long:
        notices.add("foreground longer than a recording, never drawn (see --length)", clip.path)
