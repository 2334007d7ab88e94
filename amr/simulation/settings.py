"""What decides a simulation: the declaration that scenes are drawn from, and its presets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from amr.errors import UsageError
from amr.simulation.distributions import Distribution, exponential, fixed, uniform

LAYOUTS = ("sequence", "scatter")
DEFAULT_RATE_HZ = 32_000
"""The released generator's."""


@dataclass(frozen=True)
class TrimRule:
    """How quiet ends of foregrounds are cut off; see ``amr.simulation.trim``.

    Args:
        below_db: blocks this far below the clip's mean power count as quiet.
        block_s: length of a block.
        keep_rest: keep the trailing fraction of a block (the released generator loses it).
    """

    below_db: float
    block_s: float
    keep_rest: bool


PEAK_TRIM = TrimRule(below_db=5.0, block_s=1.0, keep_rest=False)
"""The released generator: 1 s blocks, 5 dB, durations in whole seconds."""

POWER_TRIM = TrimRule(below_db=20.0, block_s=0.1, keep_rest=True)
"""The paper, section III-A: 20 dB below the overall power. It names no block; 0.1 s is the labels' grid."""


ONE_MINUTE_S = fixed(60.0)
"""The paper's recordings."""
MEAN_GAP_30_S = exponential(30.0)
"""The paper's lambda."""
FOREGROUND_DB = uniform(-5.0, 5.0)
BACKGROUND_DB = uniform(-25.0, -15.0)
ONE, TWO = fixed(1.0), fixed(2.0)


@dataclass(frozen=True)
class Declaration:
    """All that decides a draw, besides the sources and the seed. The defaults are the paper's algorithm.

    Args:
        layout: ``sequence`` (Algorithm 1: gap, sound, gap, sound, stop at the first overflow) or ``scatter``
            (queries with several moments each, anywhere, overlapping).
        law: how levels are meant, ``power`` or ``peak``; see ``amr.simulation.mix``.
        trim: how foregrounds lose their quiet ends.
        duration_s: of a recording.
        background_hop_s: grid of the backgrounds' cuts.
        repeat_short: backgrounds shorter than a recording go round instead of being left out.
        gap_s: before every sound (``sequence``), between the moments of one query (``scatter``).
        foreground_db, background_db: levels.
        length_s: of a moment; None: whole clips, one a moment.
        length_correlation: how alike the moments of one query are in length, 0 to 1 (``scatter``).
        queries: how many a recording (``scatter``).
        occurrences: how many moments a query (``scatter``).
        distractor_share: of the sounds, how many no query names.
        absent: queries without any moment, a recording.
        fade_s: at the ends of a cropped sound, so that a cut does not click.
        annotation_step_s: grid that annotated times are rounded to.
        level_keys: write ``fg_dB`` into annotations, as the released files do.
    """

    layout: str = "sequence"
    law: str = "power"
    trim: TrimRule = POWER_TRIM
    duration_s: Distribution = ONE_MINUTE_S
    background_hop_s: float = 1.0
    repeat_short: bool = False
    gap_s: Distribution = MEAN_GAP_30_S
    foreground_db: Distribution = FOREGROUND_DB
    background_db: Distribution = BACKGROUND_DB
    length_s: Distribution | None = None
    length_correlation: float = 0.0
    queries: Distribution = TWO
    occurrences: Distribution = ONE
    distractor_share: float = 0.0
    absent: int = 0
    fade_s: float = 0.01
    annotation_step_s: float = 0.1
    level_keys: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn; messages name the command line's options."""
        if self.duration_s.low <= 0 or self.duration_s.high > 24 * 3600:
            raise UsageError("a recording must last more than 0 s and at most a day", where="--duration")
        if self.background_hop_s <= 0:
            raise UsageError("the step between cuts must be above 0 s", where="--background-hop")
        if self.gap_s.low < 0:
            raise UsageError("a gap must not be negative", where="--gap")
        if self.length_s is not None and self.length_s.low <= 0:
            raise UsageError("a moment must be longer than 0 s", where="--length")
        if self.queries.low < 0 or self.occurrences.low < 1:
            raise UsageError("a recording needs at least 0 queries, and a query 1 moment", where="--queries")
        if not (0 <= self.distractor_share < 1 and 0 <= self.length_correlation <= 1):
            raise UsageError("a share must be at least 0 and below 1", where="--distractors")
        if self.annotation_step_s <= 0 or self.fade_s < 0 or self.absent < 0:
            raise UsageError("each of these must be 0 or more", where="--annotation-step, --fade, --absent")


@dataclass(frozen=True)
class DrawSettings:
    """How many recordings, how named, which part of them.

    Args:
        seed: of every draw.
        count: how many; None: one for every cut of every background.
        prefix: of their names, where they are counted.
        sample_rate_hz, encoding: of the recordings.
        shard: which part of how many, from 0; parts follow each other.
    """

    seed: int = 0
    count: int | None = None
    prefix: str = "sim-"
    sample_rate_hz: int = DEFAULT_RATE_HZ
    encoding: str = "flac"
    shard: tuple[int, int] = (0, 1)
    limit: int | None = None


def clotho_moment(law: str = "peak") -> Declaration:
    """Clotho-Moment: as the released generator makes it (``peak``), or as its paper says (``power``)."""
    if law == "power":
        return Declaration(fade_s=0.0)
    return Declaration(law="peak", trim=PEAK_TRIM, fade_s=0.0, level_keys=True)


def castella_like(law: str = "power") -> Declaration:
    """Lengths, counts and durations of CASTELLA's training split; see ``amr.simulation.castella``."""
    from amr.simulation import castella

    return Declaration(
        layout="scatter",
        law=law,
        trim=PEAK_TRIM if law == "peak" else POWER_TRIM,
        duration_s=castella.DURATION_S,
        repeat_short=True,
        gap_s=castella.GAP_S,
        # Not published for CASTELLA: chosen from clear (25 dB) to masked (0 dB).
        foreground_db=uniform(-5.0, 5.0),
        background_db=uniform(-20.0, -5.0),
        length_s=castella.LENGTH_S,
        length_correlation=castella.LENGTH_CORRELATION,
        queries=castella.QUERIES,
        occurrences=castella.OCCURRENCES,
        distractor_share=0.2,
    )


def paper(law: str = "power") -> Declaration:
    """The defaults: the paper's algorithm with levels of the law."""
    return Declaration() if law == "power" else replace(Declaration(), law="peak", trim=PEAK_TRIM)


PRESETS: dict[str, Callable[..., Declaration]] = {
    "clotho-moment": clotho_moment,
    "castella-like": castella_like,
}


def declaration(preset: str | None, law: str | None) -> Declaration:
    """The declaration of a preset under a law; None: the paper's algorithm, the preset's own law.

    Raises:
        UsageError: there is no such preset or law.
    """
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"no preset {preset!r}; there are {', '.join(PRESETS)}", where="--preset")
    if law is not None and law not in ("peak", "power"):
        raise UsageError(f"no law {law!r}; there are peak, power", where="--law")
    make = PRESETS[preset] if preset else paper
    return make() if law is None else make(law)
