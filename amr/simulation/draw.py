"""From a declaration to scenes: what is random is here and below, and none of it touches samples.

Rendering is in ``amr.simulation.render``; neither calls the other, a recipe lies between them.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from amr.formats.recipes import AbsentQuery, BackgroundLayer, ForegroundLayer, Scene
from amr.simulation.clip_index import ClipIndex, DrawnSound
from amr.simulation.cuts import BackgroundCut, generator
from amr.simulation.scatter import draw_scatter
from amr.simulation.sequence import draw_sequence
from amr.simulation.settings import Declaration, DrawSettings


def draw_scene(cut: BackgroundCut, clips: ClipIndex, declared: Declaration, drawing: DrawSettings) -> Scene:
    """One scene; depends on its arguments alone: any worker and any shard draws the same.

    Queries are numbered from 1 within the recording: ``{vid}_{n}``.
    """
    rng = generator(drawing.seed, cut.vid)
    draw = draw_sequence if declared.layout == "sequence" else draw_scatter
    sounds = draw(rng, clips, cut, declared)
    background_db = declared.background_db.sample(rng)
    numbers = [sound.query for sound in sounds if sound.query is not None]
    return Scene(
        vid=cut.vid,
        duration_s=cut.duration_s,
        sample_rate_hz=drawing.sample_rate_hz,
        law=declared.law,
        background=BackgroundLayer(
            cut.background.path, cut.start_s, background_db, cut.repeat, cut.background.sha256
        ),
        foregrounds=tuple(layer_of(sound, cut.vid) for sound in sounds),
        absent=draw_absent(rng, clips, cut, declared.absent, sounds, 1 + max(numbers, default=0)),
        annotation_step_s=declared.annotation_step_s,
        encoding=drawing.encoding,
        seed=drawing.seed,
        level_keys=declared.level_keys,
    )


def layer_of(sound: DrawnSound, vid: str) -> ForegroundLayer:
    """A drawn sound as a recipe has it."""
    return ForegroundLayer(
        path=sound.clip.path,
        start_s=sound.start_s,
        duration_s=sound.duration_s,
        level_db=sound.level_db,
        query=None if sound.query is None else sound.caption,
        qid=None if sound.query is None else f"{vid}_{sound.query}",
        label=sound.clip.label,
        clip=sound.clip.bounds,
        crop_start_s=sound.crop_start_s,
        fade_s=sound.fade_s,
        sha256=sound.clip.sha256,
    )


def draw_absent(
    rng: np.random.Generator,
    clips: ClipIndex,
    cut: BackgroundCut,
    count: int,
    sounds: list[DrawnSound],
    first_number: int,
) -> tuple[AbsentQuery, ...]:
    """Queries whose class neither sounds in the recording nor is said to be in its background."""
    if not count:
        return ()
    sounding = frozenset(sound.clip.label for sound in sounds if sound.clip.label)
    used = {sound.caption for sound in sounds} | {text for sound in sounds for text in sound.clip.captions}
    topics = (
        (clip, text)
        for clip, text in clips.topics(rng, cut.background.contains | sounding)
        if text not in used
    )
    return tuple(
        AbsentQuery(f"{cut.vid}_{first_number + index}", text, clip.label)
        for index, (clip, text) in enumerate(islice(topics, count))
    )
