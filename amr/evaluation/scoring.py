"""Prediction files scored against a ground truth, a dataset at a time: a figure of a mixture is none."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from amr import __version__
from amr.errors import InputError
from amr.evaluation.breakdown import parse_lengths
from amr.evaluation.context import chance_remark
from amr.evaluation.files import EvaluationSettings, MatchedFiles, match_files
from amr.evaluation.judged import JudgedFile, judge
from amr.evaluation.official import official_text
from amr.evaluation.percent import Block
from amr.evaluation.report import note_remarks, report_block
from amr.evaluation.scores import Scores
from amr.evaluation.sets import dataset_names, left_out, mixture_remark, names_its_sets, set_files
from amr.evaluation.several import comparison_blocks, luck_remark, runs_block
from amr.formats.scoring import SET_KEY, Source, read_answers, read_truth

log = logging.getLogger("amr")

DRAWS, MANY_DRAWS = 1_000, 10_000
"""Draws for one file; for several, whose p wants more digits."""

Scorer = Callable[[Sequence[MatchedFiles], EvaluationSettings], Scores]
"""From prediction files matched with one dataset to their scores."""


def score(
    predictions: Source,
    annotations: Source,
    *,
    qvhighlights: bool = False,
    partial: bool = False,
    bootstrap: int = DRAWS,
    seed: int = 0,
    lengths: str | None = None,
    by: str | None = None,
    pool: bool = False,
) -> Scores:
    """Score predicted moments against true ones.

    ``score("preds.jsonl", "queries.jsonl")["R1@0.5"]`` is what ``amr score`` prints, to the last digit.

    Args:
        predictions: JSONL, or its records: :class:`Prediction` or dicts in the same keys.
        annotations: JSONL, or its records: :class:`Annotation` or dicts.
        qvhighlights: add short, middle and long moments, and highlights by saliency.
        partial: score the queries that both have.
        bootstrap: draws for intervals; 0: none.
        seed: of the draws.
        lengths: add parts by length of moment (``5,10,30`` or ``0-5,5-10,30-``, seconds), by number of
            moments and by length of recording.
        by: score apart what differs in this key of the annotations.
        pool: one figure even where the annotations mix datasets; otherwise each has its own, in ``sets``.

    Raises:
        InputError: a record is wrong, qids do not match, or no query has a true moment.
        UsageError: ``lengths`` are none.
    """
    settings = EvaluationSettings(qvhighlights, partial, bootstrap, seed, lengths)
    scores = evaluate([predictions], annotations, settings, score_one, by=by, pool=pool)
    again = {"qvhighlights": qvhighlights, "partial": partial, "pool": pool}
    return replace(scores, official=functools.partial(official_text, predictions, annotations, **again))


def compare(
    predictions: Sequence[Source],
    annotations: Source,
    *,
    are_runs: bool = False,
    qvhighlights: bool = False,
    partial: bool = False,
    bootstrap: int = MANY_DRAWS,
    seed: int = 0,
    lengths: str | None = None,
    by: str | None = None,
    pool: bool = False,
) -> Scores:
    """Score several prediction files and compare each with the first, paired: ``record()["comparisons"]``.

    Arguments and errors as of :func:`score`.

    Args:
        predictions: of two systems or more.
        are_runs: they are runs of one system: mean, deviation and intervals in ``record()["seeds"]`` instead.
    """
    settings = EvaluationSettings(qvhighlights, partial, bootstrap, seed, lengths)
    scorer = score_runs if are_runs else score_systems
    return evaluate(predictions, annotations, settings, scorer, by=by, pool=pool)


def evaluate(
    predictions: Sequence[Source],
    annotations: Source,
    settings: EvaluationSettings,
    scorer: Scorer,
    *,
    by: str | None,
    pool: bool,
) -> Scores:
    """Read, match and judge; remarks are logged."""
    if settings.lengths is not None:
        parse_lengths(settings.lengths)  # refused before anything is read
    labels, set_key = settings.qvhighlights, by or SET_KEY
    truth = read_truth(annotations, with_labels=labels, set_key=set_key, needs_set=by is not None)
    answers = [
        read_answers(
            source,
            with_curves=labels,
            name="predictions" if len(predictions) == 1 else f"predictions {number}",
        )
        for number, source in enumerate(predictions, start=1)
    ]
    matched = [match_files(each, truth, settings) for each in answers]
    names = dataset_names(truth, by)
    is_mixed = len(set(names)) > 1
    if is_mixed and not pool:
        is_named = by is not None or names_its_sets(truth)
        how = f"scored apart, by {'key' if is_named else 'the form of the qids'}"
        remark = mixture_remark(names, truth, f"{how} (--pool for one figure, --by KEY for other sets)")
        scores = score_sets(matched, names, settings, scorer)
    else:
        remark = mixture_remark(names, truth, "scored as one (--pool)")
        scores = scorer(matched, settings)
    if is_mixed:
        scores = replace(scores, remarks=[remark, *scores.remarks])
    for each in scores.remarks:
        log.warning(each)
    return scores


def score_one(matched: Sequence[MatchedFiles], settings: EvaluationSettings) -> Scores:
    """The only file.

    Raises:
        InputError: no query has a true window.
    """
    judged = judge(matched[0])
    if judged is None:
        raise InputError("no query has a true window to find", where=matched[0].truth.columns.name)
    report = report_block(judged, settings)
    return Scores(report, [*note_remarks(report), *chance_remark(report)], judged)


def score_systems(matched: Sequence[MatchedFiles], settings: EvaluationSettings) -> Scores:
    """Each file by itself and against the first."""
    systems, judged = judged_systems(matched, settings)
    found = comparison_blocks(judged, settings)
    remarks = [line for block in found for line in luck_remark(block, "R1@0.7")] if settings.bootstrap else []
    return together(systems, {"comparisons": found}, remarks)


def score_runs(matched: Sequence[MatchedFiles], settings: EvaluationSettings) -> Scores:
    """Each file by itself and all as runs of one system."""
    systems, judged = judged_systems(matched, settings)
    return together(systems, {"seeds": runs_block(judged, settings)}, [])


def judged_systems(
    matched: Sequence[MatchedFiles], settings: EvaluationSettings
) -> tuple[list[Scores], list[JudgedFile]]:
    """Each file by itself."""
    systems = [score_one([each], settings) for each in matched]
    return systems, [system.judged for system in systems if system.judged is not None]


def together(systems: list[Scores], blocks: Block, remarks: list[str]) -> Scores:
    """Several files' scores with what was found of them together."""
    report = {"systems": [system.report for system in systems], **blocks, "amr_version": __version__}
    own = [remark for system in systems for remark in system.remarks]
    return Scores(report, [*own, *remarks], systems=systems)


def score_sets(
    matched: Sequence[MatchedFiles], names: list[str], settings: EvaluationSettings, scorer: Scorer
) -> Scores:
    """Every dataset of a mixture by itself, and no figure over them.

    Args:
        names: the dataset of each record of the ground truth.

    Raises:
        InputError: no dataset is answered by all files.
    """
    by_file = [set_files(each, names) for each in matched]
    shared = [name for name in by_file[0] if all(name in files for files in by_file)]
    if not shared:
        where = matched[0].truth.columns.name
        raise InputError("no dataset of the ground truth is answered by all files", where=where)
    sets = {
        name: scorer([match_files(*files[name], settings) for files in by_file], settings) for name in shared
    }
    remarks = [line for each in matched for line in left_out(each, names, shared)]
    remarks += [f"{name}: {line}" for name, scores in sets.items() for line in scores.remarks]
    report = {"sets": {name: scores.report for name, scores in sets.items()}, "amr_version": __version__}
    return Scores(report, remarks, sets=sets)
