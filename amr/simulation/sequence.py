"""Algorithm 1 of the AM-DETR paper, as its generator runs it: gap, sound, gap, sound, until one overflows."""

from __future__ import annotations

import numpy as np

from amr.simulation.clip_index import ClipIndex, DrawnSound, crop_start_s
from amr.simulation.cuts import BackgroundCut
from amr.simulation.settings import Declaration


def draw_sequence(
    rng: np.random.Generator, index: ClipIndex, cut: BackgroundCut, declared: Declaration
) -> list[DrawnSound]:
    """Sounds one after the other, each clip at most once, none overlapping.

    Before every sound, the first included, lies a gap; the first sound that would end after the recording
    stops the draw (no second try with a shorter one, as in the released generator).
    """
    sounds: list[DrawnSound] = []
    time_s, num_queries = 0.0, 0
    for clip, caption in index.topics(rng, cut.background.contains):
        time_s += declared.gap_s.sample(rng)
        length_s = clip.duration_s
        if declared.length_s is not None:
            length_s = min(length_s, declared.length_s.sample(rng))
        if time_s + length_s > cut.duration_s:
            break
        named = declared.distractor_share == 0 or rng.random() >= declared.distractor_share
        num_queries += named
        sounds.append(
            DrawnSound(
                clip=clip,
                start_s=time_s,
                duration_s=length_s,
                crop_start_s=crop_start_s(rng, clip, length_s),
                fade_s=declared.fade_s if length_s < clip.duration_s else 0.0,
                level_db=declared.foreground_db.sample(rng),
                query=num_queries if named else None,
                caption=caption,
            )
        )
        time_s += length_s
    return sounds
