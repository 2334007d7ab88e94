"""Answers that never listen: what chance looks like under a metric.

A result near these lines means that a model does not use the sound. They need a length and nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from amr.errors import UsageError
from amr.formats.queries import Query
from amr.moments import Moment
from amr.retrieval.finders import Answer
from amr.retrieval.recordings import RecordingFrames

NUM_TILES = 10
FIRST_S = 10.0
PREFIX = "prior"
DEFAULT = "middle"


def whole(duration_s: float) -> list[Moment]:
    """The whole recording."""
    return [Moment(0.0, duration_s, 1.0)]


def middle(duration_s: float) -> list[Moment]:
    """The middle half: the strongest of them where moments lie in the middle, as in Clotho-Moment."""
    return [Moment(duration_s / 4, duration_s * 3 / 4, 1.0)]


def first(duration_s: float) -> list[Moment]:
    """The first ten seconds."""
    return [Moment(0.0, min(FIRST_S, duration_s), 1.0)]


def tiles(duration_s: float) -> list[Moment]:
    """Ten equal tiles, from the front."""
    edges = [duration_s * tile / NUM_TILES for tile in range(NUM_TILES + 1)]
    return [Moment(edges[i], edges[i + 1], 1.0 / (i + 1)) for i in range(NUM_TILES)]


PRIORS: dict[str, Callable[[float], list[Moment]]] = {
    "whole": whole,
    "middle": middle,
    "first": first,
    "tiles": tiles,
}


def is_prior(model: str) -> bool:
    """Whether a ``--model`` names a prior: ``prior`` or ``prior:NAME``."""
    return model == PREFIX or model.startswith(PREFIX + ":")


def prior(model: str) -> Callable[[float], list[Moment]]:
    """The function from a recording's length in seconds to its blind answer.

    Raises:
        UsageError: there is no prior of that name.
    """
    name = model.partition(":")[2] or DEFAULT
    if name not in PRIORS:
        raise UsageError(f"no prior {name!r}; there are {', '.join(PRIORS)}", where="--model")
    return PRIORS[name]


@dataclass(frozen=True)
class PriorFinder:
    """Answers from a recording's length alone, as ``prior`` gives them."""

    prior: Callable[[float], list[Moment]]
    needs_frames: bool = False

    def find(self, requests: Iterable[tuple[RecordingFrames, Sequence[Query]]]) -> Iterator[list[Answer]]:
        for recording, queries in requests:
            yield [Answer(self.prior(recording.duration_s)) for _ in queries]
