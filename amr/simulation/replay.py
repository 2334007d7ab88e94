"""A recipe as a plan: our JSONL as it is, the published list form completed from the sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from amr.errors import InputError, UsageError
from amr.formats.notices import Notices
from amr.formats.recipes import ForegroundLayer, Scene, parse_recipe_bytes
from amr.simulation import published
from amr.simulation.plan import part_of
from amr.simulation.settings import PEAK_TRIM, DrawSettings
from amr.simulation.sources import SourceAudio
from amr.simulation.trim import trim_bounds

TRIM_TOLERANCE_S = 1e-6


def recipe_scenes(
    data: bytes,
    name: str,
    *,
    sources: SourceAudio | None,
    encoding: str | None,
    qid_offset: int | None,
    drawing: DrawSettings,
    notices: Notices,
) -> list[Scene]:
    """The scenes of a recipe of either form.

    Args:
        sources: where the sounds are; None: they are not needed.
        encoding: of published recipes, which do not name one; of others it must be theirs.
        qid_offset: added to a published recipe's qids; None: what makes them the released ones.
        drawing: its shard and limit.

    Raises:
        AmrError: the recipe or a source is wrong.
    """
    if published.is_published(data):
        scenes = published_scenes(data, name, sources, encoding or "flac", qid_offset, notices)
    else:
        if qid_offset is not None:
            raise UsageError("--qid-offset needs a published recipe in list form")
        scenes = parse_recipe_bytes(data, name)
        if encoding is not None and any(scene.encoding != encoding for scene in scenes):
            raise UsageError(f"the recipe says {scenes[0].encoding}", where="--audio-format")
    scenes = part_of(scenes[: drawing.limit], drawing.shard)
    return scenes if sources is None else complete(scenes, sources)


def published_scenes(
    data: bytes,
    name: str,
    sources: SourceAudio | None,
    encoding: str,
    qid_offset: int | None,
    notices: Notices,
) -> list[Scene]:
    """The scenes of a list-form recipe, with the qids that the released annotations have."""
    entries = published.parse_published(data, name)
    if qid_offset is None:
        qid_offset = published.qid_offset(entries)
        if qid_offset:
            notices.add(
                "this is the published test recipe: its qids count from 0, the released annotations' from "
                f"{qid_offset}; the released ones are written (--qid-offset 0 keeps the recipe's)",
                name,
            )
    return published.scenes_of(
        entries,
        name,
        offset=qid_offset,
        encoding=encoding,
        has_foreground=sources.has_foreground if sources else lambda _: False,
        has_background=sources.has_background if sources else lambda _: False,
    )


def complete(scenes: Sequence[Scene], sources: SourceAudio) -> list[Scene]:
    """Scenes with every trim and hash filled in from the sources; those that have them stay as they are.

    Raises:
        InputError: a clip is not as long after trimming as its recipe says.
    """
    known: dict[str, tuple[tuple[int, int], str]] = {}

    def completed(layer: ForegroundLayer, rate_hz: int) -> ForegroundLayer:
        if layer.clip is not None and layer.sha256 is not None:
            return layer
        if layer.path not in known:
            known[layer.path] = measure(layer, sources, rate_hz)
        clip, sha256 = known[layer.path]
        return replace(layer, clip=clip, sha256=sha256)

    return [
        replace(
            scene,
            background=replace(
                scene.background,
                sha256=scene.background.sha256 or sources.background_facts(scene.background.path)[1],
            ),
            foregrounds=tuple(completed(layer, scene.sample_rate_hz) for layer in scene.foregrounds),
        )
        for scene in scenes
    ]


def measure(layer: ForegroundLayer, sources: SourceAudio, rate_hz: int) -> tuple[tuple[int, int], str]:
    """The trim of a published foreground by the generator's rule, and its hash; kept for rendering.

    Raises:
        InputError: what is left is not as long as the recipe says.
    """
    decoded = sources.read_clip(layer.path)
    clip = (0, len(decoded.samples))
    if not published.is_trimmed(layer):
        clip = trim_bounds(decoded.samples, decoded.sample_rate_hz, PEAK_TRIM)
    duration_s = (clip[1] - clip[0]) / decoded.sample_rate_hz
    if abs(duration_s - layer.duration_s) > TRIM_TOLERANCE_S:
        raise InputError(
            f"lasts {duration_s:g} s after trimming, the recipe says {layer.duration_s:g} s",
            where=layer.path,
            hint="the published recipes were made with Clotho v2.1",
        )
    sources.keep_clip(layer.path, clip, decoded, rate_hz)
    return clip, decoded.sha256
