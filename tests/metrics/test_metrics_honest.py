"""The honest figures against their slow restatement, and against the official ones of clean files."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import honest as oracle
from oracles.columns import case_of
from oracles.official import Record
from oracles.strategies import evaluations

from amr.metrics.evaluators import evaluate_exactly, evaluate_officially
from amr.metrics.oddities import Oddity, find_oddities
from amr.metrics.official_json import retrieval_block
from amr.metrics.results import RetrievalScores

quick = settings(max_examples=60)
Files = tuple[list[Record], list[Record]]


def block(scores: RetrievalScores | None) -> Record | None:
    return None if scores is None else {**retrieval_block(scores), "mIoU": scores.mean_iou()}


@quick
@given(evaluations(strange=True))
def test_equals_the_oracle(files: Files) -> None:
    ranges = evaluate_exactly(case_of(*files, qvhighlights=True)).ranges
    assert block(ranges["full"]) == oracle.retrieval(*files)
    assert block(ranges["short"]) == oracle.retrieval(*files, 0, 10)
    assert block(ranges["middle"]) == oracle.retrieval(*files, 10, 30)
    assert block(ranges["long"]) == oracle.retrieval(*files, 30, math.inf)


@quick
@given(evaluations(strange=False), st.booleans())
def test_clean_files_have_no_oddity_and_the_official_figures(files: Files, qvhighlights: bool) -> None:
    case = case_of(*files, qvhighlights=qvhighlights)
    exact = evaluate_exactly(case)
    assert exact.findings == []
    full = exact.ranges["full"]
    assert full is not None
    # All windows of the strategy's grid are at most 30 s, so "long" is empty and Moment-DETR would stop.
    official = evaluate_officially(case_of(*files))
    assert retrieval_block(full) == official["full"]


@quick
@given(evaluations(strange=True))
def test_files_without_findings_have_the_official_figures(files: Files) -> None:
    case = case_of(*files)
    exact = evaluate_exactly(case)
    full = exact.ranges["full"]
    if not exact.findings and full is not None:
        assert retrieval_block(full) == evaluate_officially(case)["full"]


@quick
@given(evaluations(strange=True))
def test_figures_are_per_cent(files: Files) -> None:
    full = evaluate_exactly(case_of(*files)).ranges["full"]
    if full is not None:
        values = [*full.recall_at_1().values(), *full.mean_average_precision().values(), full.mean_iou()]
        assert all(0 <= value <= 100 for value in values)
        assert np.isfinite(values).all()


@quick
@given(evaluations(strange=False))
def test_dropping_an_answer_never_pays(files: Files) -> None:
    answers, truths = files
    whole = evaluate_exactly(case_of(answers, truths)).ranges["full"]
    emptied = [{**answers[0], "pred_relevant_windows": []}, *answers[1:]]
    less = evaluate_exactly(case_of(emptied, truths)).ranges["full"]
    assert whole is not None
    assert less is not None
    assert (less.average_precision.mean(axis=0) <= whole.average_precision.mean(axis=0) + 1e-12).all()
    assert less.mean_iou() <= whole.mean_iou()


def findings(answers: list[Record], truths: list[Record]) -> dict[Oddity, tuple[int, int]]:
    case = case_of(answers, truths)
    found = find_oddities(case.answers, case.truths)
    return {finding.oddity: (finding.count, finding.record) for finding in found}


def test_oddities_are_counted_and_the_first_is_named() -> None:
    nan = math.nan
    answers = [
        {"qid": 1, "pred_relevant_windows": [[0, 5, 0.9], [1, 5, 0.8]]},
        {"qid": 2, "pred_relevant_windows": [[5, 0, 0.9], [nan, 1, 0.8], [3, 3, 0.7]]},
        {"qid": 3, "pred_relevant_windows": []},
        {"qid": 4, "pred_relevant_windows": [[0, 5, 0.1], [1, 5, 0.8], [1, 6, nan]]},
        {"qid": 1, "pred_relevant_windows": [[0, 5], [1, 5]]},
        {"qid": 5, "pred_relevant_windows": [[9, 1, 0.5]]},
    ]
    truths = [
        {"qid": 1, "relevant_windows": [[0, 5], [2, 2]], "duration": 60},
        {"qid": 2, "relevant_windows": [[0, 5], [7, 9], [0, 5]], "duration": 60},
        {"qid": 3, "relevant_windows": [[0, 1600]], "duration": 1700},
        {"qid": 4, "relevant_windows": [[0, 5]], "duration": 60},
        {"qid": 4, "relevant_windows": [[8, 9]], "duration": 60},
        {"qid": 5, "relevant_windows": [[0, 1600]], "duration": 60},
    ]
    assert findings(answers, truths) == {
        Oddity.NO_ANSWER: (1, 2),
        Oddity.IMPOSSIBLE_ANSWER: (2, 1),  # that of query 5 is not judged
        Oddity.EMPTY_ANSWER: (1, 1),
        Oddity.UNSORTED: (1, 3),
        Oddity.NAN_SCORE: (1, 3),
        Oddity.SCORELESS: (1, 4),
        Oddity.REPEATED_ANSWER: (1, 4),
        Oddity.REPEATED_TRUTH: (1, 4),
        Oddity.WINDOW_TWICE: (1, 1),
        Oddity.IMPOSSIBLE_TRUTH: (2, 0),
        Oddity.OVER_CEILING: (1, 2),
        Oddity.UNJUDGED: (1, 5),
    }
