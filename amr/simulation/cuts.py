"""Which recordings there will be: on which background each lies, from where, how long, and its name."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amr.errors import InputError, UsageError
from amr.simulation.settings import Declaration
from amr.simulation.survey import Background


@dataclass(frozen=True)
class BackgroundCut:
    """An empty recording.

    Args:
        vid: its id.
        background: its background.
        start_s, duration_s: the part of it; with ``repeat`` the background goes round.
    """

    vid: str
    background: Background
    start_s: float
    duration_s: float
    repeat: bool


def generator(seed: int, item: str) -> np.random.Generator:
    """The random numbers of one item: no other item, worker or shard can change them."""
    return np.random.default_rng([seed, zlib.crc32(item.encode("utf-8"))])


def every_cut(backgrounds: Sequence[Background], declared: Declaration) -> list[BackgroundCut]:
    """Each full cut of each background at each hop, as the released generator takes them.

    Names are ``{background}_{start}_{end}`` with times rounded to 0.1 s.

    Raises:
        UsageError: durations are drawn, so that nobody says how many recordings there are.
    """
    if not declared.duration_s.is_fixed:
        raise UsageError(
            "give the number of recordings: it does not follow from a length that is drawn at random",
            where="--count",
        )
    duration_s, hop_s = declared.duration_s.low, declared.background_hop_s
    cuts = []
    for background in backgrounds:
        repeat = background.duration_s < duration_s
        num_cuts = 1 if repeat else 1 + math.floor((background.duration_s - duration_s) / hop_s + 1e-9)
        for index in range(num_cuts):
            start_s = index * hop_s
            vid = f"{background.name}_{start_s:.1f}_{start_s + duration_s:.1f}"
            cuts.append(BackgroundCut(vid, background, start_s, duration_s, repeat))
    if len({cut.vid for cut in cuts}) < len(cuts):
        raise InputError(
            "cuts less than 0.1 s apart would share a name", where="--background-hop", hint="use --count"
        )
    return cuts


def drawn_cuts(
    backgrounds: Sequence[Background], declared: Declaration, *, count: int, seed: int, prefix: str
) -> list[BackgroundCut]:
    """``count`` recordings on the backgrounds in turn, each round in a new order, cut anywhere on the grid.

    Names are ``{prefix}00000`` and so on.
    """
    return [drawn_cut(backgrounds, declared, index, seed, prefix) for index in range(count)]


def drawn_cut(
    backgrounds: Sequence[Background], declared: Declaration, index: int, seed: int, prefix: str
) -> BackgroundCut:
    """Recording ``index`` of :func:`drawn_cuts`; depends on nothing but its arguments."""
    vid = f"{prefix}{index:05d}"
    turn, place = divmod(index, len(backgrounds))
    background = backgrounds[int(generator(seed, f"backgrounds {turn}").permutation(len(backgrounds))[place])]
    rng = generator(seed, f"cut {vid}")
    # Whole tenths, so that every part of the field's files can name the length exactly.
    duration_s = round(declared.duration_s.sample(rng), 1)
    if not declared.repeat_short:
        duration_s = min(duration_s, math.floor(background.duration_s * 10) / 10)
    repeat = background.duration_s < duration_s
    last_s = background.duration_s if repeat else background.duration_s - duration_s
    num_starts = 1 + math.floor(last_s / declared.background_hop_s + 1e-9)
    start_s = int(rng.integers(num_starts)) * declared.background_hop_s
    return BackgroundCut(vid, background, start_s, duration_s, repeat)
