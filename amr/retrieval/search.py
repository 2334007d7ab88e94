"""Queries against a library of recordings: who is asked what, and the answers as predictions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from amr.errors import AmrError, InputError
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.retrieval.find import Answer, Finder
from amr.retrieval.library import Library, Recording

TIME_DECIMALS = 3
SCORE_DECIMALS = 4
PRUNE_FROM = 1000
"""As many moments beyond those wanted are collected before the worst are dropped: sorting seldom is quick."""


@dataclass(frozen=True)
class Task:
    """One recording and the queries that are asked of it."""

    vid: str
    queries: list[Query]


@dataclass(frozen=True)
class AnswerOptions:
    """Which moments of an answer are kept.

    Args:
        top_k: at most this many a query and recording; the field's evaluators read ten.
        min_score: moments below it are dropped; only this can leave an answer empty.
        with_saliency: whether the per-frame curve is handed on.
    """

    top_k: int = 10
    min_score: float | None = None
    with_saliency: bool = False


def plan(queries: list[Query], library: Library) -> list[Task]:
    """Which queries are asked of which recording, in the order in which recordings first come up.

    A query with a ``vid`` is asked of that recording, any other of all of them. Queries without a ``qid`` get
    ``VID_N`` (the Nth query), the form of CASTELLA's ids.

    Raises:
        InputError: queries name recordings that the library does not have.
    """
    missing = [query for query in queries if query.vid is not None and query.vid not in library]
    if missing:
        vids = sorted({str(query.vid) for query in missing})
        shown = ", ".join(vids[:3]) + (", ..." if len(vids) > 3 else "")
        here = ", ".join(library.vids[:3]) + (", ..." if len(library) > 3 else "")
        raise InputError(
            f"asks for {len(vids)} recordings that are not here: {shown}; here: {here or 'none'}",
            where=missing[0].where,
            hint="give their files too, or leave 'vid' out to ask every recording",
        )
    asked: dict[str, list[Query]] = {}
    several = len(library) > 1
    for number, query in enumerate(queries, start=1):
        for vid in [query.vid] if query.vid is not None else library.vids:
            asked.setdefault(vid, []).append(identified(query, vid, number, several and query.vid is None))
    return [Task(vid, asked[vid]) for vid in asked]


def identified(query: Query, vid: str, number: int, several: bool) -> Query:
    """The query with the recording and an id that no other pair of query and recording has."""
    if query.qid is None:
        return replace(query, vid=vid, qid=f"{vid}_{number}")
    return replace(query, vid=vid, qid=f"{vid}_{query.qid}" if several else query.qid)


def search(
    tasks: Iterable[Task],
    library: Library,
    finder: Finder,
    options: AnswerOptions,
    on_failure: Callable[[Task, AmrError], None] | None = None,
) -> Iterator[Prediction]:
    """The predictions of every task, a recording at a time, as soon as they are known.

    Args:
        on_failure: called with a task whose recording is broken, which is then passed over; None: the
            error ends the search.
    """
    tasks = list(tasks)
    if finder.listens:
        library.prepare([task.vid for task in tasks])
    under_way: deque[tuple[Task, float]] = deque()

    def recordings() -> Iterator[tuple[Recording, list[Query]]]:
        for task in tasks:
            try:
                recording = library.load(task.vid) if finder.listens else library.unheard(task.vid)
            except AmrError as error:
                if on_failure is None:
                    raise
                on_failure(task, error)
                continue
            under_way.append((task, recording.duration_s))
            yield recording, task.queries

    for answers in finder.find(recordings()):
        task, duration_s = under_way.popleft()
        for query, answer in zip(task.queries, answers, strict=True):
            yield prediction(query, answer, duration_s, options)


def prediction(query: Query, answer: Answer, duration_s: float, options: AnswerOptions) -> Prediction:
    """One record: moments by falling score, rounded to what the file form carries."""
    moments = sorted(answer.moments, key=lambda moment: -moment.score)[: options.top_k]
    if options.min_score is not None:
        moments = [moment for moment in moments if moment.score >= options.min_score]
    saliency = answer.saliency if options.with_saliency else None
    return Prediction(
        qid=query.qid if query.qid is not None else "",
        query=query.text,
        vid=query.vid or "",
        windows=[
            [round(start_s, TIME_DECIMALS), round(end_s, TIME_DECIMALS), round(score, SCORE_DECIMALS)]
            for start_s, end_s, score in moments
        ],
        duration_s=round(duration_s, TIME_DECIMALS),
        saliency=None if saliency is None else [round(float(value), SCORE_DECIMALS) for value in saliency],
        extra=query.extra,
    )


def best_over_all(predictions: Iterable[Prediction], top: int) -> list[Prediction]:
    """The ``top`` moments a query over all recordings; records by falling best score, others dropped.

    Queries are told apart by their text and keep their order. No more is held than twice what is wanted.
    """
    by_query: dict[str, _Best] = {}
    for record in predictions:
        by_query.setdefault(record.query, _Best(top)).add(record)
    return [record for best in by_query.values() for record in best.records()]


def best_recordings(predictions: Iterable[Prediction], top: int) -> list[Prediction]:
    """The ``top`` recordings a query, by their best moments, each with all of its moments."""
    by_query: dict[str, list[tuple[float, int, Prediction]]] = {}
    for order, record in enumerate(predictions):
        best = by_query.setdefault(record.query, [])
        if record.windows:
            best.append((-record.windows[0][2], order, record))
        if len(best) >= PRUNE_FROM + 2 * top:
            best[:] = sorted(best, key=lambda each: each[:2])[:top]
    return [
        record for best in by_query.values() for _, _, record in sorted(best, key=lambda each: each[:2])[:top]
    ]


class _Best:
    """The best moments of one query, so far."""

    def __init__(self, top: int) -> None:
        self.top = top
        self.seen = 0
        # (-score, record's number, rank in the record, record): no two are equal in the first three
        self.moments: list[tuple[float, int, int, Prediction]] = []

    def add(self, record: Prediction) -> None:
        self.moments += [(-w[2], self.seen, rank, record) for rank, w in enumerate(record.windows)]
        self.seen += 1
        if len(self.moments) >= PRUNE_FROM + 2 * self.top:
            self.prune()

    def prune(self) -> None:
        self.moments = sorted(self.moments, key=lambda each: each[:3])[: self.top]

    def records(self) -> list[Prediction]:
        self.prune()
        kept: dict[int, tuple[Prediction, list[list[float]]]] = {}
        for _, number, rank, record in self.moments:
            kept.setdefault(number, (record, []))[1].append(record.windows[rank])
        return [replace(record, windows=windows) for record, windows in kept.values()]
