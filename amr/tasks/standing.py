"""A search that stays open: one question after the other, without opening anything again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from amr.arrays import BoolArray
from amr.errors import AmrError
from amr.formats.features.read import FeatureFile
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.retrieval.archive.bounds import bound_of
from amr.retrieval.archive.exact import QuerySearch
from amr.retrieval.archive.index import find_index
from amr.retrieval.archive.levels import Sample, samples_of
from amr.retrieval.archive.search import FeatureArchive
from amr.retrieval.search import AnswerOptions, best_over_all, plan
from amr.retrieval.search import search as search_recordings
from amr.tasks.archive import (
    Ranking,
    all_fit,
    make_indexes,
    obstacle_of,
    open_archive,
    parts_of,
    spaces_of,
)
from amr.tasks.callbacks import ShouldStop, leave_out_found, log, never
from amr.tasks.inputs import Search

INDEXED_FROM_S = 3600.0
"""Recordings of an hour in all are searched in a fraction of a second without an index."""
MOST_UNDER_WAY = 8
"""Searches that are kept, to be gone on with."""


@dataclass(frozen=True)
class StandingSearch:
    """What is open, to be searched by one thread at a time.

    Args:
        search: recordings, and what searches them.
        archive: the same by their indexes; None: each recording is searched.
    """

    search: Search
    archive: FeatureArchive | None
    _under_way: OrderedDict[object, QuerySearch] = field(default_factory=OrderedDict)
    """The last searches by index: a quick look is gone on with where it ended."""

    def ask(
        self,
        queries: Sequence[Query],
        *,
        top: int,
        kept: AnswerOptions,
        shortlist: int | None = None,
        among: Collection[str] | None = None,
        should_stop: ShouldStop = never,
    ) -> list[Prediction]:
        """The ``top`` best moments of each query, as ``amr predict --top`` finds them.

        Args:
            shortlist: how many moments, or recordings, a first look at all frames lists, where there are
                indexes; None: as many as ``amr predict`` lists.
            among: only these recordings; None: all.
            should_stop: looked at between recordings, and between queries.
        """
        wanted = list(queries)
        if self.archive is None:
            return best_over_all(self._of_each(wanted, kept, among, should_stop), top)
        count = shortlist if shortlist is None else max(top, shortlist)
        found: list[Prediction] = []
        for answers in self._by_index(self.archive, wanted, top, kept, count, among, should_stop):
            found += best_over_all(answers, top)
            if should_stop():
                break
        return found

    def _by_index(
        self,
        archive: FeatureArchive,
        queries: list[Query],
        top: int,
        kept: AnswerOptions,
        count: int | None,
        among: Collection[str] | None,
        should_stop: ShouldStop,
    ) -> Iterator[list[Prediction]]:
        """The answers to each query of what is listed first, as ``amr predict`` lists it."""
        bound = bound_of(self.search.model.network)
        masks = None if among is None else [allowed(part.ids, among) for part in archive.parts]
        if bound is None or not all_fit(archive, bound):
            count = archive.enough(top) if count is None else count
            yield from archive.search(queries, kept, shortlist=count, among=masks)
            return
        for number, query in enumerate(queries, start=1):
            meant = archive.direction(query), archive.window.joint_text([query.text])[0]
            # What a text means changes with the examples behind it.
            key = repr(query), *(each.tobytes() for each in meant if each is not None), number, top, kept
            asked = key if among is None else (*key, frozenset(among))
            under_way = self._under_way.pop(asked, None) or QuerySearch(
                archive, bound, query, kept, top=top, number=number, among=masks, samples=self.samples
            )
            self._under_way[asked] = under_way
            while len(self._under_way) > MOST_UNDER_WAY:
                self._under_way.popitem(last=False)
            yield under_way.go_on(archive.most(top) if count is None else count, should_stop).predictions

    @cached_property
    def samples(self) -> list[Sample]:
        """By which it is known how far the indexes are off."""
        return [] if self.archive is None else samples_of(self.archive)

    def _of_each(
        self,
        queries: list[Query],
        kept: AnswerOptions,
        among: Collection[str] | None,
        should_stop: ShouldStop,
    ) -> Iterator[Prediction]:
        """The answers of every recording that is meant."""
        requests = plan(queries, self.search.collection)
        ask = partial(
            search_recordings,
            collection=self.search.collection,
            finder=self.search.joining,
            options=kept,
            on_failure=leave_out_found,
            should_stop=should_stop,
        )
        return ask([request for request in requests if among is None or request.vid in among])


def allowed(vids: Sequence[str], among: Collection[str]) -> BoolArray:
    """``(recordings,)``: which of a file's recordings are among those that are meant."""
    return np.fromiter((vid in among for vid in vids), dtype=bool, count=len(vids))


@contextmanager
def standing(search: Search) -> Iterator[StandingSearch]:
    """A search that stays open while the block runs, by its indexes where all are there."""
    with open_archive(search, [], Ranking(top=1), AnswerOptions()) as archive:
        yield StandingSearch(search, archive)


def index_where_worth_it(search: Search) -> None:
    """Make the indexes that are missing, or out of date, where searching every recording takes long.

    Where that cannot be, the log says so, and every recording is searched.
    """
    if obstacle_of(search, [], AnswerOptions()) is not None or total_s(search) < INDEXED_FROM_S:
        return
    assert search.encoder is not None  # obstacle_of has looked
    spaces = spaces_of(search.encoder, search.model.network)
    parts = [part for part in parts_of(search) if isinstance(part, FeatureFile)]
    if all(find_index(part, space) is not None for part in parts for space in spaces):
        return
    try:
        make_indexes(search)
    except (AmrError, OSError) as error:
        log.warning("no index could be made, every recording is searched: %s", error)


def total_s(search: Search) -> float:
    """Seconds of sound in all feature files."""
    return sum(float(part.durations_s.sum()) for part in parts_of(search) if isinstance(part, FeatureFile))
