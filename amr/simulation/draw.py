"""From a declaration to scenes: what is random is here and below, and none of it touches samples.

Rendering is in ``amr.simulation.render``; neither calls the other, a recipe lies between them.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from amr.formats.recipes import AbsentQuery, BackgroundLayer, ForegroundLayer, Scene
from amr.simulation.canvas import Canvas, generator
from amr.simulation.scatter import draw_scatter
from amr.simulation.sequence import draw_sequence
from amr.simulation.settings import Declaration
from amr.simulation.stock import Sound, Stock


def draw_scene(
    canvas: Canvas, stock: Stock, declared: Declaration, *, seed: int, sample_rate_hz: int, encoding: str
) -> Scene:
    """One scene; hangs on its arguments alone, so any worker and any shard draws the same.

    Queries are numbered from 1 within the recording: ``{vid}_{n}``.
    """
    rng = generator(seed, canvas.vid)
    draw = draw_sequence if declared.layout == "sequence" else draw_scatter
    sounds = draw(rng, stock, canvas, declared)
    background_db = declared.background_db.sample(rng)
    numbers = [sound.query for sound in sounds if sound.query is not None]
    return Scene(
        vid=canvas.vid,
        duration_s=canvas.duration_s,
        sample_rate_hz=sample_rate_hz,
        law=declared.law,
        background=BackgroundLayer(
            canvas.bed.path, canvas.start_s, background_db, canvas.repeat, canvas.bed.sha256
        ),
        foregrounds=tuple(layer_of(sound, canvas.vid) for sound in sounds),
        absent=draw_absent(rng, stock, canvas, declared.absent, sounds, 1 + max(numbers, default=0)),
        annotation_step_s=declared.annotation_step_s,
        encoding=encoding,
        seed=seed,
        level_keys=declared.level_keys,
    )


def layer_of(sound: Sound, vid: str) -> ForegroundLayer:
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
    stock: Stock,
    canvas: Canvas,
    count: int,
    sounds: list[Sound],
    first_number: int,
) -> tuple[AbsentQuery, ...]:
    """Queries whose class neither sounds in the recording nor may be heard in its background."""
    if not count:
        return ()
    heard = frozenset(sound.clip.label for sound in sounds if sound.clip.label)
    used = {sound.caption for sound in sounds} | {text for sound in sounds for text in sound.clip.captions}
    topics = (
        (clip, text) for clip, text in stock.topics(rng, canvas.bed.contains | heard) if text not in used
    )
    return tuple(
        AbsentQuery(f"{canvas.vid}_{first_number + index}", text, clip.label)
        for index, (clip, text) in enumerate(islice(topics, count))
    )
