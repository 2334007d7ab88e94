"""Recordings as they are in CASTELLA: queries with several moments, short and long, anywhere, overlapping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from amr.moments import Span
from amr.simulation.clip_index import ClipIndex, DrawnSound, crop_start_s
from amr.simulation.cuts import BackgroundCut
from amr.simulation.settings import Declaration
from amr.simulation.survey import ForegroundClip

MAX_COVERAGE = 0.75
"""Share of a recording that several moments of one query may fill; 98 % of CASTELLA's queries fill less."""
SHORTEST_PIECE_S = 0.1
"""A moment is not filled up with anything shorter."""
MAX_TURNS = 8
"""A moment is filled with at most about this many clips of its class where any class allows it."""


def draw_scatter(
    rng: np.random.Generator, index: ClipIndex, cut: BackgroundCut, declared: Declaration
) -> list[DrawnSound]:
    """Queries and distractors, each a class of sound with its moments; classes may overlap, a class never.

    A moment longer than its clip is filled with several clips of the label, faded into each other.
    """
    num_queries = declared.queries.sample_int(rng)
    share = declared.distractor_share
    num_topics = num_queries + int(rng.poisson(num_queries * share / (1 - share)))
    candidates = index.topics(rng, cut.background.contains)
    sounds: list[DrawnSound] = []
    for number in range(1, num_topics + 1):
        lengths_s = draw_lengths(rng, declared, cut.duration_s)
        topic = fitting_topic(candidates, index, max(lengths_s, default=0.0))
        if topic is None:
            break
        clip, caption = topic
        pool = index.same_label(clip)
        if declared.length_s is None:
            lengths_s = [clip.duration_s] * len(lengths_s)
        level_db = declared.foreground_db.sample(rng)
        for moment in place(rng, declared, lengths_s, cut.duration_s):
            for piece, part, crop_s in fill(rng, pool, moment, declared.fade_s):
                query = number if number <= num_queries else None
                sounds.append(
                    DrawnSound(
                        piece, part.start_s, part.length_s, crop_s, declared.fade_s, level_db, query, caption
                    )
                )
    return sorted(sounds, key=lambda sound: sound.start_s)


def draw_lengths(rng: np.random.Generator, declared: Declaration, duration_s: float) -> list[float]:
    """Lengths of the moments of one query; alike within a query through a Gaussian copula.

    Where together they would fill the recording, the longest is shortened, to half at the most, and again.
    Drawing anew instead would favour few and short moments.
    """
    count = max(1, declared.occurrences.sample_int(rng))
    if declared.length_s is None:
        return [0.0] * count
    common = math.sqrt(declared.length_correlation) * rng.standard_normal()
    own = math.sqrt(1 - declared.length_correlation) * rng.standard_normal(count)
    shares = [0.5 * (1 + math.erf((common + x) / math.sqrt(2))) for x in own]
    lengths_s = [min(declared.length_s.at(share), duration_s) for share in shares]
    while count > 1 and (excess_s := sum(lengths_s) - MAX_COVERAGE * duration_s) > 1e-9:
        longest = max(range(count), key=lengths_s.__getitem__)
        lengths_s[longest] = max(lengths_s[longest] - excess_s, lengths_s[longest] / 2)
    return lengths_s


def fitting_topic(
    candidates: Iterator[tuple[ForegroundClip, str]], index: ClipIndex, longest_s: float
) -> tuple[ForegroundClip, str] | None:
    """The next class whose clips can fill the longest moment in a few turns; else the best passed."""
    best: tuple[float, tuple[ForegroundClip, str]] | None = None
    for clip, caption in candidates:
        reach_s = MAX_TURNS * max(other.duration_s for other in index.same_label(clip))
        if best is None or reach_s > best[0]:
            best = (reach_s, (clip, caption))
        if reach_s >= longest_s:
            break
    return None if best is None else best[1]


def place(
    rng: np.random.Generator, declared: Declaration, lengths_s: Sequence[float], duration_s: float
) -> list[Span]:
    """Moments of these lengths in this order, with drawn gaps between, somewhere in the recording.

    Gaps shrink together where there is not room for them; what still does not fit is left out.
    """
    kept = list(lengths_s)
    while kept and sum(kept) > duration_s:
        kept.pop()
    gaps_s = [declared.gap_s.sample(rng) for _ in kept[1:]]
    room_s = duration_s - sum(kept)
    if sum(gaps_s) > room_s:
        scale = room_s / sum(gaps_s)
        gaps_s = [gap_s * scale for gap_s in gaps_s]
    time_s = float(rng.random()) * max(0.0, room_s - sum(gaps_s))
    moments = []
    for length_s, gap_s in zip(kept, [*gaps_s, 0.0], strict=True):
        start_s = min(time_s, duration_s - length_s)
        moments.append(Span(start_s, start_s + length_s))
        time_s = start_s + length_s + gap_s
    return moments


def fill(
    rng: np.random.Generator, pool: Sequence[ForegroundClip], moment: Span, fade_s: float
) -> Iterator[tuple[ForegroundClip, Span, float]]:
    """Clips of one class that together sound for a moment: (clip, where in the recording, crop's start)."""
    time_s = moment.start_s
    while True:
        # A rest of a few milliseconds would be a click, or the silence before a sound.
        time_s = max(moment.start_s, min(time_s, moment.end_s - SHORTEST_PIECE_S))
        left_s = moment.end_s - time_s
        reach = np.array([min(clip.duration_s, left_s) for clip in pool])
        clip = pool[int(rng.choice(len(pool), p=reach / reach.sum()))]
        length_s = min(clip.duration_s, left_s)
        yield clip, Span(time_s, time_s + length_s), crop_start_s(rng, clip, length_s)
        if length_s >= left_s:
            return
        time_s += max(length_s - fade_s, length_s / 2)
