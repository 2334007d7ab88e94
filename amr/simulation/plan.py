"""From the sources that a user names to a plan: read, selected, surveyed, drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from amr.errors import AmrError, InputError, UsageError
from amr.formats.notices import Notices
from amr.formats.recipes import Scene, parse_recipe_bytes, read_recipe_bytes
from amr.simulation.clip_index import ClipIndex
from amr.simulation.cuts import drawn_cuts, every_cut
from amr.simulation.draw import draw_scene
from amr.simulation.selection import Condition, select
from amr.simulation.settings import Declaration, DrawSettings
from amr.simulation.sources import SourceAudio
from amr.simulation.store import SampleStore
from amr.simulation.survey import Background, ForegroundClip, survey_backgrounds, survey_clips
from amr.simulation.tables import SourceRow, read_sources

Item = TypeVar("Item")


@dataclass(frozen=True)
class SourceSelection:
    """Which sources take part.

    Args:
        foreground, backgrounds: tables, folders or files; a recipe that is rendered again needs the folders.
        foreground_root, background_root: what their paths are relative to, where it is not their own folder.
        foreground_columns, background_columns: what -> column name, where the names are others than usual.
        split: only rows of this split.
        foreground_where, background_where: only rows that fulfil these.
        disjoint_from: recipes none of whose sources may be used.
    """

    foreground: Path | None
    backgrounds: tuple[Path, ...]
    foreground_root: Path | None = None
    background_root: Path | None = None
    foreground_columns: Mapping[str, str] = field(default_factory=dict)
    background_columns: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    foreground_where: tuple[Condition, ...] = ()
    background_where: tuple[Condition, ...] = ()
    disjoint_from: tuple[Path, ...] = ()

    def recipe_folders(self) -> tuple[Path | None, Path | None]:
        """The folders of a recipe's foregrounds and backgrounds: named, or those of the sources."""
        foregrounds = () if self.foreground is None else (self.foreground,)
        return (
            self.foreground_root or common_folder(foregrounds),
            self.background_root or common_folder(self.backgrounds),
        )


@dataclass(frozen=True)
class ScenePlan:
    """Scenes to render, the sources to render them from, and what was wrong with sources left out."""

    scenes: list[Scene]
    sources: SourceAudio
    broken: tuple[AmrError, ...] = ()


def draw_plan(
    selection: SourceSelection,
    declared: Declaration,
    drawing: DrawSettings,
    *,
    store: SampleStore,
    render: bool,
    workers: int,
    keep_going: bool,
    notices: Notices,
) -> ScenePlan:
    """Read and survey the sources, then draw this shard's scenes.

    Args:
        render: the scenes will be rendered, so keep what is decoded.

    Raises:
        AmrError: a table, a source or the declaration is wrong; see the functions called.
    """
    if selection.foreground is None or not selection.backgrounds:
        missing = "--foreground" if selection.foreground is None else "--background"
        raise UsageError(
            f"{missing} is needed to draw scenes", hint=f"name it with {missing} PATH, or render a --recipe"
        )
    fg_root, fg_rows = read_sources(selection.foreground, selection.foreground_columns)
    fg_rows = select(
        fg_rows,
        split=selection.split,
        conditions=selection.foreground_where,
        name=str(selection.foreground),
    )
    bg_root, bg_rows = read_backgrounds(selection)
    bg_rows = select(
        bg_rows, split=selection.split, conditions=selection.background_where, name="--background"
    )
    sources = SourceAudio(selection.foreground_root or fg_root, bg_root, store)
    backgrounds = survey_backgrounds(
        bg_rows,
        sources,
        declared.duration_s.low,
        repeat_short=declared.repeat_short,
        workers=workers,
        notices=notices,
    )
    clips, broken = survey_clips(
        fg_rows,
        sources,
        declared.trim,
        keep_rate_hz=drawing.sample_rate_hz if render else None,
        workers=workers,
        keep_going=keep_going,
        notices=notices,
    )
    refuse_shared(clips, backgrounds, selection.disjoint_from)
    note_too_long(clips, declared, notices)
    return ScenePlan(draw_scenes(clips, backgrounds, declared, drawing), sources, tuple(broken))


def draw_scenes(
    clips: Sequence[ForegroundClip],
    backgrounds: Sequence[Background],
    declared: Declaration,
    drawing: DrawSettings,
) -> list[Scene]:
    """This shard's scenes."""
    if drawing.count is None:
        cuts = every_cut(backgrounds, declared)
    else:
        cuts = drawn_cuts(
            backgrounds, declared, count=drawing.count, seed=drawing.seed, prefix=drawing.prefix
        )
    index = ClipIndex(clips)
    return [
        draw_scene(cut, index, declared, drawing) for cut in part_of(cuts[: drawing.limit], drawing.shard)
    ]


def part_of(items: list[Item], shard: tuple[int, int]) -> list[Item]:
    """Part ``shard[0]`` of ``shard[1]`` of a list; the parts in order are the list."""
    index, count = shard
    return items[len(items) * index // count : len(items) * (index + 1) // count]


def read_backgrounds(selection: SourceSelection) -> tuple[Path, list[SourceRow]]:
    """The rows of all backgrounds and the one folder that their paths are relative to."""
    found = [read_sources(path, selection.background_columns) for path in selection.backgrounds]
    if len(found) == 1:
        return selection.background_root or found[0][0], found[0][1]
    root = common_root([folder for folder, _ in found])
    rows = []
    for folder, own in found:
        inner = folder.resolve().relative_to(root)
        rows += [replace(row, path=(inner / row.path).as_posix()) for row in own]
    return root, rows


def common_folder(sources: Sequence[Path]) -> Path | None:
    """The folder that holds all sources, each a folder or a file; None without sources."""
    return common_root([each if each.is_dir() else each.parent for each in sources]) if sources else None


def common_root(folders: Sequence[Path]) -> Path:
    """The one folder, or the deepest folder that holds them all."""
    return folders[0] if len(folders) == 1 else Path(os.path.commonpath([f.resolve() for f in folders]))


def refuse_shared(
    clips: Sequence[ForegroundClip], backgrounds: Sequence[Background], recipes: Sequence[Path]
) -> None:
    """Refuse sources that another recipe uses, by their bytes.

    Raises:
        InputError: a source is in both.
    """
    for path in recipes:
        others = parse_recipe_bytes(*read_recipe_bytes(path))
        used = {scene.background.sha256 for scene in others}
        used |= {layer.sha256 for scene in others for layer in scene.foregrounds}
        sources: list[ForegroundClip | Background] = [*clips, *backgrounds]
        for source in sources:
            if source.sha256 in used:
                raise InputError(
                    f"the source {source.path!r} is used in {path} too",
                    where="--disjoint-from",
                    hint="splits share no source: leave it out with --where, --background-where or --split",
                )


def note_too_long(clips: Sequence[ForegroundClip], declared: Declaration, notices: Notices) -> None:
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
