"""Queries against a collection of recordings: which go to which, and the answers as predictions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from amr.errors import AmrError, InputError, number_of, raise_error
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.retrieval.distinct import merge_overlapping
from amr.retrieval.finders import Answer, Finder
from amr.retrieval.recordings import Collection, RecordingFrames

TIME_DECIMALS = 3
SCORE_DECIMALS = 4
QUERIES_AT_ONCE = 256
"""Of one recording: bounds the memory for curves and answers, however many queries there are."""
PRUNE_FROM = 1000
"""As many moments beyond those wanted are collected before the worst are dropped: sorting seldom is quick."""


@dataclass(frozen=True)
class SearchRequest:
    """One recording and the queries for it.

    Args:
        vid: the recording.
        numbered: the queries, each with its place among all; recordings that are asked the same share them.
        several: whether other recordings are asked the same.
    """

    vid: str
    numbered: Sequence[tuple[int, Query]]
    several: bool = False

    @property
    def queries(self) -> list[Query]:
        """All of them, with the recording and an id each."""
        return [query for block in self.blocks() for query in block]

    def blocks(self) -> Iterator[list[Query]]:
        """The queries for this recording, some at a time."""
        for start in range(0, len(self.numbered), QUERIES_AT_ONCE):
            block = self.numbered[start : start + QUERIES_AT_ONCE]
            yield [
                identified(query, self.vid, number, self.several and query.vid is None)
                for number, query in block
            ]


@dataclass(frozen=True)
class AnswerOptions:
    """Which moments of an answer are kept.

    Args:
        top_k: at most this many a query and recording; the field's evaluators read ten.
        min_score: moments below it are dropped; only this can leave an answer empty.
        with_saliency: whether the per-frame curve is handed on.
        merge: leave out moments that a better one covers in part (``amr.retrieval.distinct``): for people.
            The field's metrics want them.
        prior: the share of present questions that scores are for, or ``auto``; None: calibration's. Scores
            are changed when an answer is whole (``amr.retrieval.presence``).
    """

    top_k: int = 10
    min_score: float | None = None
    with_saliency: bool = False
    merge: bool = False
    prior: float | str | None = None


def plan(queries: list[Query], collection: Collection) -> list[SearchRequest]:
    """Which queries go to which recording, in the order in which recordings first come up.

    A query with a ``vid`` is for that recording, any other for all of them. Queries without a ``qid`` get
    ``VID_N`` (the Nth query), the form of CASTELLA's ids.

    Raises:
        InputError: queries name recordings that the collection does not have.
    """
    queries = [
        query if query.vid is None else replace(query, vid=collection.spelt(query.vid)) for query in queries
    ]
    missing = [query for query in queries if query.vid is not None and query.vid not in collection]
    if missing:
        vids = sorted({str(query.vid) for query in missing})
        shown = ", ".join(vids[:3]) + (", ..." if len(vids) > 3 else "")
        here = ", ".join(collection.vids[:3]) + (", ..." if len(collection) > 3 else "")
        count = number_of(len(vids), "recording")
        raise InputError(
            f"asks for {count} not among the inputs: {shown}; here: {here or 'none'}",
            where=missing[0].where,
            hint="give their files too, or leave 'vid' out to search every recording",
        )
    numbered = list(enumerate(queries, start=1))
    of_all = [(number, query) for number, query in numbered if query.vid is None]
    own: dict[str, list[tuple[int, Query]]] = {}
    order: dict[str, None] = {}
    for number, query in numbered:
        if query.vid is not None:
            own.setdefault(query.vid, []).append((number, query))
            order.setdefault(query.vid)
        elif query is of_all[0][1]:
            order |= dict.fromkeys(vid for vid in collection.vids if vid not in order)
    several = len(collection) > 1
    return [SearchRequest(vid, merged(of_all, own[vid]) if vid in own else of_all, several) for vid in order]


def merged(of_all: list[tuple[int, Query]], own: list[tuple[int, Query]]) -> list[tuple[int, Query]]:
    """A recording's own queries and those for all, in their order."""
    return sorted([*of_all, *own], key=lambda each: each[0]) if of_all else own


def identified(query: Query, vid: str, number: int, several: bool) -> Query:
    """The query with the recording and an id that no other pair of query and recording has."""
    if query.qid is None:
        return replace(query, vid=vid, qid=f"{vid}_{number}")
    return replace(query, vid=vid, qid=f"{vid}_{query.qid}" if several else query.qid)


def search(
    requests: Iterable[SearchRequest],
    collection: Collection,
    finder: Finder,
    options: AnswerOptions,
    on_failure: Callable[[AmrError], None] = raise_error,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Prediction]:
    """The predictions for every request, a recording at a time, as soon as they are known.

    Args:
        on_failure: called with what is wrong with a recording, which is then left out.
        should_stop: looked at before each recording.
    """
    requests = list(requests)
    take = collection.load if finder.needs_frames else collection.length_only
    if finder.needs_frames:
        collection.prepare([request.vid for request in requests])
    under_way: deque[tuple[list[Query], float]] = deque()

    def loaded() -> Iterator[tuple[RecordingFrames, list[Query]]]:
        for request in requests:
            if should_stop():
                return
            try:
                recording = take(request.vid)
            except AmrError as error:
                on_failure(error)
                continue
            for queries in request.blocks():
                under_way.append((queries, recording.duration_s))
                yield recording, queries

    for answers in finder.find(loaded()):
        queries, duration_s = under_way.popleft()
        for query, answer in zip(queries, answers, strict=True):
            yield prediction(query, answer, duration_s, options)


def prediction(query: Query, answer: Answer, duration_s: float, options: AnswerOptions) -> Prediction:
    """One record: moments by falling score, rounded to what the file form carries."""
    moments = sorted(answer.moments, key=lambda moment: -moment.score)
    moments = (merge_overlapping(moments) if options.merge else moments)[: options.top_k]
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

    Queries are distinguished by their text and keep their order. No more is held than twice what is wanted.
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
