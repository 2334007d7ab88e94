"""Answers with scores for another share of present questions than calibration saw (``--prior``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from amr.arrays import Float64Array
from amr.errors import UsageError
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.retrieval.archive.bounds import bound_of
from amr.retrieval.archive.levels import levels_of, samples_of
from amr.retrieval.archive.search import FeatureArchive
from amr.retrieval.presence import AUTO, Presence, estimated_share, presence_of
from amr.retrieval.search import SCORE_DECIMALS, AnswerOptions
from amr.tasks.callbacks import log
from amr.tasks.models import Model

PRIOR = "prior"
"""Key of a record that says for which share of present questions its scores are meant."""
PRIOR_DECIMALS = 4


def needed_presence(model: Model) -> Presence:
    """What a model's scores say of presence.

    Raises:
        UsageError: it was not calibrated for that.
    """
    presence = None if model.network is None else presence_of(model.network.config)
    if presence is None:
        raise UsageError(
            f"the scores of the model {model.name!r} are not calibrated for shares of present queries",
            where="--prior",
            hint="leave it out, or use --model best",
        )
    return presence


def noted(found: Iterable[Prediction], best: list[float]) -> Iterator[Prediction]:
    """The predictions as they come; the best score of each goes to ``best``, 0 for an empty one."""
    for each in found:
        best.append(each.windows[0][2] if each.windows else 0.0)
        yield each


def there_by_first_look(
    archive: FeatureArchive, model: Model, presence: Presence, queries: Sequence[Query]
) -> Float64Array:
    """``(questions x recordings,)``: how likely each is there, as an archive's index has it."""
    bound = bound_of(model.network)
    assert bound is not None  # else there is no archive where a share is estimated
    assert presence.by_level is not None
    samples = samples_of(archive)
    looks = [bound.highest_score(levels_of(archive, bound, query, samples).level) for query in queries]
    return presence.by_level(np.concatenate(looks))


def share_of(there: Float64Array) -> float:
    """The estimated share of present questions; it is logged."""
    share = round(estimated_share(there), PRIOR_DECIMALS)
    if len(there):  # other processes than the first have no answers
        log.info(f"an estimated {share:.1%} of {len(there)} queries, a recording each, are present")
    return share


def under_prior(
    found: Iterable[Prediction],
    kept: AnswerOptions,
    presence: Presence,
    best: list[float],
    archive: FeatureArchive | None,
    model: Model,
    queries: Sequence[Query],
) -> Iterator[Prediction]:
    """The predictions with scores for the share that is given or estimated, in their order.

    Args:
        found: with the scores that the model gives.
        kept: which share, and what is dropped then.
        best: the best score of every question in every recording, when all of ``found`` is known.
        archive: what a shortlist was made from, where there is one: its first look knows every recording.
    """
    share = kept.prior
    if share == AUTO:
        found = list(found)
        if archive is not None:
            there = there_by_first_look(archive, model, presence, queries)
        else:
            there = presence.there(np.array(best))
        share = share_of(there)
    for each in found:
        yield corrected(each, presence, float(share or 0), kept.min_score)


def corrected(found: Prediction, presence: Presence, share: float, min_score: float | None) -> Prediction:
    """A prediction with scores for ``share``, without what is below ``min_score`` then."""
    scores = presence.corrected(np.array([score for _, _, score in found.windows]), share).tolist()
    windows = [
        [start_s, end_s, round(score, SCORE_DECIMALS)]
        for (start_s, end_s, _), score in zip(found.windows, scores, strict=True)
        if min_score is None or score >= min_score
    ]
    return replace(found, windows=windows, extra=found.extra | {PRIOR: share})
