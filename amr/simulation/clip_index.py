"""The foregrounds that a draw chooses from, and one drawn sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from amr.simulation.survey import ForegroundClip
from amr.simulation.trim import PROFILE_BLOCK_S


@dataclass(frozen=True)
class DrawnSound:
    """A drawn sound: which clip, from where in it, where in the recording, how long, how loud.

    Args:
        query: number of the query that means it within the recording, from 1; None: a distractor.
        caption: that query's sentence.
    """

    clip: ForegroundClip
    start_s: float
    duration_s: float
    crop_start_s: float
    fade_s: float
    level_db: float
    query: int | None
    caption: str


class ClipIndex:
    """Clips and their index by label. Clips without a label are each a class of their own."""

    def __init__(self, clips: Sequence[ForegroundClip]) -> None:
        self.clips = clips
        self._by_label: dict[str, list[ForegroundClip]] = {}
        for clip in clips:
            self._by_label.setdefault(clip.label, []).append(clip)

    def same_label(self, clip: ForegroundClip) -> list[ForegroundClip]:
        """The clips of the same label, in table order; of a clip without one, itself."""
        return self._by_label[clip.label] if clip.label else [clip]

    def topics(
        self, rng: np.random.Generator, banned: frozenset[str]
    ) -> Iterator[tuple[ForegroundClip, str]]:
        """Clips in random order, each with one of its captions: no label or caption twice, none ``banned``.

        Two sounds of one label would be two moments of either one's query.
        """
        labels, captions = set(banned), set[str]()
        for index in rng.permutation(len(self.clips)):
            clip = self.clips[int(index)]
            caption = clip.captions[int(rng.integers(len(clip.captions)))]
            if (clip.label and clip.label in labels) or caption in captions:
                continue
            labels.add(clip.label)
            captions.add(caption)
            yield clip, caption


def crop_start_s(rng: np.random.Generator, clip: ForegroundClip, length_s: float) -> float:
    """Where to cut ``length_s`` out of a clip: a random block that sounds, 0 when the clip is no longer."""
    if length_s >= clip.duration_s:
        return 0.0
    last_block = int((clip.duration_s - length_s) / PROFILE_BLOCK_S)
    starts = np.flatnonzero(clip.sounding[: last_block + 1])
    block = int(starts[int(rng.integers(len(starts)))]) if len(starts) else last_block
    return min(block * PROFILE_BLOCK_S, clip.duration_s - length_s)
