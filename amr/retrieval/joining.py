"""Sentences of several sounds: their parts are found apart, and the moments that belong together are joined.

Two sounds at once are where moments of both overlap. Two that are only named together, or in order, reach
from the start of the one to the end of the other, where no more than :data:`APART_S` lies between them. A
joined moment is as sure as its parts: the geometric mean of their scores. The numbers were chosen on the
validation split; docs/encoders.md has what it gains, and ``examples/two_sounds.py`` makes the questions.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from amr.formats.queries import Query
from amr.moments import Moment
from amr.retrieval.finders import Answer, Finder
from amr.retrieval.parts import AT_ONCE, IN_ORDER, Part, Together, clauses, taken_apart
from amr.retrieval.recordings import RecordingFrames

APART_S = 3.0
LEAST_S = 0.5
"""Sounds at once share this much at least."""
LOOKED_AT = 10
"""Moments of each part, at most."""
TURNED = re.compile(r"^@|\b(?:un)?like:|\+\d+ -\d+$")
"""In the text of a query that is not words alone (``amr.tasks.learned``)."""

Request = tuple[RecordingFrames, Sequence[Query]]


@dataclass(frozen=True)
class JoiningFinder:
    """A finder that answers sentences of several sounds from their parts, all others as ``finder`` does.

    The curve over the frames stays that of the whole sentence, and so do the moments where none belong
    together.
    """

    finder: Finder

    @property
    def needs_frames(self) -> bool:
        return self.finder.needs_frames

    @property
    def sentences(self) -> object:
        """Where the queries' vectors come from."""
        return getattr(self.finder, "sentences", None)

    def find(self, requests: Iterable[Request]) -> Iterator[list[Answer]]:
        """For each recording one answer a query, in order."""
        under_way: deque[list[Part]] = deque()

        def asked() -> Iterator[Request]:
            for recording, queries in requests:
                parts = [parts_of(query.text) for query in queries]
                under_way.append(parts)
                yield (
                    recording,
                    [
                        replace(query, text=text)
                        for query, part in zip(queries, parts, strict=True)
                        for text in (query.text, *(clauses(part) if isinstance(part, Together) else ()))
                    ],
                )

        for answers in self.finder.find(asked()):
            rest = iter(answers)
            yield [answer_of(part, rest) for part in under_way.popleft()]


def parts_of(text: str) -> Part:
    """A query's parts; one that examples have turned is known by its whole text alone."""
    return text if TURNED.search(text) else taken_apart(text)


def answer_of(part: Part, answers: Iterator[Answer]) -> Answer:
    """The answer to a sentence, of those to itself and, if it has some, to its clauses."""
    whole = next(answers)
    if isinstance(part, str):
        return whole
    moments = moments_of(part, answers)
    return replace(whole, moments=moments or whole.moments)


def moments_of(part: Part, answers: Iterator[Answer]) -> list[Moment]:
    """The moments of a part, best first."""
    if isinstance(part, str):
        return next(answers).moments[:LOOKED_AT]
    first, *others = [moments_of(each, answers) for each in part.parts]
    for other in others:
        first = joined(part.how, first, other)
    return first


def joined(how: str, first: Sequence[Moment], second: Sequence[Moment]) -> list[Moment]:
    """The pairs that belong together, best first; none where there are none."""
    found: dict[tuple[float, float], float] = {}
    for a in first:
        for b in second:
            starts_s, ends_s = (a.start_s, b.start_s), (a.end_s, b.end_s)
            apart_s = max(starts_s) - min(ends_s)
            if how == AT_ONCE:
                fits, span_s = apart_s <= -LEAST_S, (max(starts_s), min(ends_s))
            else:
                fits, span_s = apart_s <= APART_S, (min(starts_s), max(ends_s))
                fits = fits and (how != IN_ORDER or a.start_s < b.start_s)
            if fits:
                found[span_s] = max(found.get(span_s, 0.0), (a.score * b.score) ** 0.5)
    moments = [Moment(*span_s, score) for span_s, score in found.items()]
    return sorted(moments, key=lambda moment: -moment.score)[:LOOKED_AT]
