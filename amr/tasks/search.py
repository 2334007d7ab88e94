"""A query's way to its answer: what is searched is opened, each recording is searched, the best is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from amr.distributed import Processes
from amr.encoders.base import Encoder
from amr.errors import UsageError
from amr.formats.annotations import Annotation
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction
from amr.formats.queries import Query, check_text, from_texts, read_queries
from amr.retrieval.presence import checked_share
from amr.retrieval.search import AnswerOptions, plan
from amr.retrieval.search import search as search_recordings
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.archive import Ranking, open_archive, shortlisted
from amr.tasks.callbacks import (
    OnFailure,
    OnProgress,
    Progress,
    ShouldStop,
    ignore_progress,
    leave_out_found,
    logged_notices,
    never,
)
from amr.tasks.inputs import Search, find_inputs, open_search
from amr.tasks.learned import Examples, with_examples
from amr.tasks.limits import with_limits
from amr.tasks.models import Model, load_model
from amr.tasks.networks import AUTO
from amr.tasks.places import Places, located
from amr.tasks.priors import needed_presence, noted, under_prior
from amr.tasks.results import Hits
from amr.tasks.shares import of_shard, search_together

if TYPE_CHECKING:
    from amr.retrieval.tune import Trial

COUNTED_ANSWERS = 100
WHOLE = (0, 1)
"""The one part of what is not divided."""
ALONE = Processes()

Paths = str | Path | Sequence[str | Path]
"""Recordings, folders, patterns and feature files; empty: ``$AMR_FEATURES``, else ``feats.h5``."""
Queries = str | Path | Query | Iterable[str | Query]
"""A sentence, a file of queries (as a ``Path``), or several sentences or queries."""


def predict(
    queries: Queries,
    inputs: Paths = (),
    *,
    model: str | Path | Model = AUTO,
    like: Sequence[str | Path] = (),
    unlike: Sequence[str | Path] = (),
    examples: str | Path | None = None,
    top_k: int = AnswerOptions.top_k,
    top: int | None = None,
    by_recording: bool = False,
    shortlist: int | str | None = None,
    min_score: float | None = None,
    prior: float | str | None = None,
    saliency: bool = False,
    merge: bool = False,
    absolute_times: bool = False,
    device: str = "auto",
    encoder: str | Encoder | None = None,
    hop_s: float | None = None,
    workers: int | None = None,
    strict: bool = False,
    shard: tuple[int, int] = WHOLE,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure | None = None,
    should_stop: ShouldStop = never,
) -> Iterator[Prediction]:
    """The predictions that ``amr predict`` writes, each as soon as it is known; nothing is opened before.

    Args:
        queries: a sentence, a file of queries (as a ``Path``), or several sentences or queries; may be empty
            where there are clips or labels. ``@NAME`` is a sound that ``amr predict --save-as`` kept.
        inputs: recordings, folders, patterns and feature files; empty: ``$AMR_FEATURES``, else ``feats.h5``.
        model: of :func:`amr.load_model`, or a name that it takes; left out: ``best`` where the features are
            those that it takes, else ``curves``.
        like: clips; what sounds like them is found, together with the words where there are some.
        unlike: clips of what is not meant.
        examples: a file of accepted and rejected moments of these recordings (``docs/examples.md``).
        top_k: moments a query and recording, at most.
        top: moments a query over all recordings, best first.
        by_recording: ``top`` counts recordings, each with its moments.
        shortlist: with ``top``: search only where a first look at all frames finds so many moments; ``all``:
            search every recording; ``exact``: as many as can hold one of the best. Left out: what is quick,
            see ``docs/archive.md``.
        min_score: moments below it are dropped; an answer may then be empty.
        prior: the share of questions that are present, a recording each, which scores are to be right for;
            ``auto``: estimated from their scores, so that nothing is known before all are searched. Left
            out: a half.
        saliency: add the per-frame curve in [0, 1].
        merge: leave out moments that a better one covers in part: for people, not for the field's metrics.
        absolute_times: add the clock times of moments, where a recording's name or header has one.
        device: as in :func:`amr.load_model`, where ``model`` is a name; so are the next two.
        encoder: as there.
        hop_s: as there.
        workers: threads that encode sound; left out: what the machine has free.
        strict: refuse a recording whose header is wrong about its sound; else there is a warning.
        shard: ``(index, parts)``, from 0: search one part of the recordings only.
        on_progress: called as recordings are encoded.
        on_failure: called with what is wrong with a recording, which is then left out. Without it a broken
            recording that is named in ``inputs`` raises, and one that came with a folder or a pattern is
            logged and left out.
        should_stop: looked at before each recording.

    Raises:
        UsageError: what is wanted cannot be. InputError: an input is missing, broken, or was made by another
            encoder. MissingError: something that the work needs is not here.
    """
    ranking = Ranking(top, by_recording, shortlist).checked(is_shared=shard[1] > 1)
    kept = AnswerOptions(top_k, min_score, saliency, merge, checked_share(prior))
    chosen = model_of(model, device, encoder, hop_s)
    given = Examples(like, unlike, examples)
    with opened(queries, inputs, chosen, given, ranking, workers, on_progress, on_failure, strict=strict) as (
        search,
        wanted,
    ):
        found = answers(search, wanted, ranking, kept, shard, ALONE, on_failure, should_stop)
        yield from located(found, Places(search.collection), with_clock=absolute_times)


def search(
    queries: Queries,
    inputs: Paths = (),
    *,
    top: int = 20,
    model: str | Path | Model = AUTO,
    like: Sequence[str | Path] = (),
    unlike: Sequence[str | Path] = (),
    examples: str | Path | None = None,
    top_k: int = AnswerOptions.top_k,
    shortlist: int | str | None = None,
    min_score: float | None = None,
    prior: float | str | None = None,
    merge: bool = False,
    device: str = "auto",
    encoder: str | Encoder | None = None,
    hop_s: float | None = None,
    workers: int | None = None,
    strict: bool = False,
    on_progress: OnProgress = ignore_progress,
    on_failure: OnFailure | None = None,
    should_stop: ShouldStop = never,
) -> Hits:
    """The best moments of many recordings, a query after the other, as ``amr predict --top`` finds them.

    The arguments, and what is raised, are those of :func:`predict`.

    Returns:
        A list of hits: recording, path, query, start and end in seconds, score in [0, 1].
    """
    ranking = Ranking(top, shortlist=shortlist).checked(is_shared=False)
    kept = AnswerOptions(top_k, min_score, merge=merge, prior=checked_share(prior))
    chosen = model_of(model, device, encoder, hop_s)
    given = Examples(like, unlike, examples)
    with opened(queries, inputs, chosen, given, ranking, workers, on_progress, on_failure, strict=strict) as (
        search,
        wanted,
    ):
        found = answers(search, wanted, ranking, kept, WHOLE, ALONE, on_failure, should_stop)
        return Hits(located(found, Places(search.collection)), search.collection.path)


@contextmanager
def opened(
    queries: Queries,
    inputs: Paths,
    model: Model,
    examples: Examples,
    ranking: Ranking,
    workers: int | None,
    on_progress: OnProgress,
    on_failure: OnFailure | None,
    *,
    strict: bool,
) -> Iterator[tuple[Search, list[Query]]]:
    """What is searched, and the queries, with their examples."""
    wanted = gather_queries(queries, is_needed=not examples)
    several = [inputs] if isinstance(inputs, (str, Path)) else inputs
    found = find_inputs([str(each) for each in several], wanted, model)
    with open_search(found, wanted, model, workers, on_progress, on_failure, strict=strict) as search:
        finder = search.finder_of(searches_all=ranking.searches_all)
        marked = with_limits(wanted, finder, search.encoder)
        yield search, with_examples(search, marked, examples)


def answers(
    search: Search,
    queries: list[Query],
    ranking: Ranking,
    kept: AnswerOptions,
    shard: tuple[int, int],
    processes: Processes,
    on_failure: OnFailure | None = None,
    should_stop: ShouldStop = never,
    on_progress: OnProgress = ignore_progress,
) -> Iterator[Prediction]:
    """The predictions for all queries; of several processes the first one gives them.

    Where a shortlist is wanted, or is possible and quick, only what is on it is searched.

    Args:
        on_progress: called with how many answers there are, where every recording is searched.
    """
    presence = None if kept.prior is None else needed_presence(search.model)
    plain = kept if presence is None else replace(kept, min_score=None)
    best: list[float] = []
    with open_archive(search, queries, ranking, kept) as archive:
        found: Iterable[Prediction]
        if archive is not None:
            found = shortlisted(archive, search.model.network, queries, plain, ranking)
        else:
            requests = of_shard(plan(queries, search.collection), shard)
            ask = partial(
                search_recordings,
                collection=search.collection,
                finder=search.joining,
                options=plain,
                on_failure=on_failure or leave_out_found,
                should_stop=should_stop,
            )
            found = noted(search_together(requests, ask, processes), best)
            total = sum(len(request.numbered) for request in requests)
            found = ranking.best(counted(found, total, on_progress))
        if presence is not None:
            found = under_prior(found, kept, presence, best, archive, search.model, queries)
        yield from found


def counted(found: Iterable[Prediction], total: int, on_progress: OnProgress) -> Iterator[Prediction]:
    """The predictions as they come, with a word on how many of how many there are."""
    on_progress(Progress("answer", 0, total))
    for number, prediction in enumerate(found, start=1):
        yield prediction
        if number % COUNTED_ANSWERS == 0:
            on_progress(Progress("answer", number, total, share=number / total))


def gather_queries(queries: Queries, *, is_needed: bool = True) -> list[Query]:
    """Queries, whichever way they are given.

    Raises:
        InputError: one has no words, or its file is wrong.
        UsageError: there is none, and one is needed.
    """
    if isinstance(queries, Path):
        found = read_queries(queries)
    else:
        several = [queries] if isinstance(queries, (str, Query)) else list(queries)
        found = [
            check_text(each) if isinstance(each, Query) else from_texts([each], "query")[0]
            for each in several
        ]
    with logged_notices() as notices:
        note_shared_ids(found, notices)
    if is_needed and not found:
        raise UsageError("there is no query", hint='give --query "dog barking", or --queries FILE')
    return found


def note_shared_ids(queries: Sequence[Query], notices: Notices) -> None:
    """Count ids that stand for another sentence than before: evaluators take them for one query."""
    texts: dict[int | str, str] = {}
    for query in queries:
        if query.qid is not None and texts.setdefault(query.qid, query.text) != query.text:
            notices.add(f"qid {query.qid!r} has another query in an earlier line", query.where)


def model_of(
    model: str | Path | Model,
    device: str,
    encoder: str | Encoder | None,
    hop_s: float | None,
) -> Model:
    """The model itself, or that of a name."""
    if isinstance(model, Model):
        return model
    return load_model(model, device=device, encoder=encoder, hop_s=hop_s)


def tune(search: Search, annotations: Sequence[Annotation]) -> list[Trial]:
    """The window's settings and what they score on annotations, best mAP first.

    Raises:
        UsageError: the model is not the window.
        InputError: an annotation names a recording that is not there, or none has a moment.
    """
    from amr.retrieval import tune as tuning

    if not isinstance(search.finder, WindowFinder):
        raise UsageError("only --model window has a threshold to tune", where="--tune")
    examples = list(tuning.gather_examples(annotations, search.collection, search.finder))
    return tuning.tune(examples, tuning.setting_grid(search.finder.options))
