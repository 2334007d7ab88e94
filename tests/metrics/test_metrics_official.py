"""The fast official figures against the slow restatement of the official evaluator."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import official as oracle
from oracles.columns import case_of
from oracles.strategies import evaluations, highlight_evaluations, with_every_range

from amr.metrics import ragged
from amr.metrics.evaluators import EvaluationInput, evaluate_officially, official_map_alone
from amr.metrics.official import LIGHTHOUSE_RANGES, OfficialStopError, official_precision, within
from amr.metrics.official_json import official_text

quick = settings(max_examples=60)
Files = tuple[list[oracle.Record], list[oracle.Record]]


def both(files: Files, *, qvhighlights: bool) -> tuple[object, object]:
    """What the fast code and the oracle say; a crash is the name of its exception."""
    answers, truths = with_every_range(files) if qvhighlights else files
    ranges = oracle.QVHIGHLIGHTS if qvhighlights else oracle.LIGHTHOUSE
    try:
        slow: object = oracle.evaluate(answers, truths, ranges)
    except oracle.StopsError as stop:
        slow = str(stop)
    try:
        fast: object = evaluate_officially(case_of(answers, truths, qvhighlights=qvhighlights))
    except OfficialStopError as stop:
        fast = stop.exception
    return fast, slow


@quick
@given(evaluations(strange=False), st.booleans())
def test_equals_the_oracle_on_clean_files(files: Files, qvhighlights: bool) -> None:
    fast, slow = both(files, qvhighlights=qvhighlights)
    assert isinstance(slow, dict)
    assert repr(fast) == repr(slow)


@quick
@given(evaluations(strange=True), st.booleans())
def test_equals_the_oracle_on_strange_files(files: Files, qvhighlights: bool) -> None:
    fast, slow = both(files, qvhighlights=qvhighlights)
    assert repr(fast) == repr(slow)


@quick
@given(evaluations(strange=True))
def test_average_precision_equals_the_oracle_to_the_last_bit(files: Files) -> None:
    answers, truths = files
    true = oracle.in_range(truths, (0, 1500))
    qids = {record["qid"] for record in true}
    slow = oracle.average_precisions([a for a in answers if a["qid"] in qids], true)
    case = case_of(answers, truths)
    if not slow:
        assert official_map_alone(case) is None
        return
    fast = official_precision(case.answers, within(case.truths, (0, 1500)))
    by_first_record = [slow[qid] for qid in dict.fromkeys(a["qid"] for a in answers) if qid in slow]
    assert fast.tolist() == by_first_record


@quick
@given(highlight_evaluations())
def test_highlights_equal_the_oracle(files: Files) -> None:
    fast, slow = both(files, qvhighlights=False)
    assert isinstance(slow, dict)
    assert {"HL-min-Fair", "HL-min-Good", "HL-min-VeryGood"} < set(slow)
    assert fast == slow


def random_case(num_queries: int, seed: int) -> Files:
    """Many queries whose windows are drawn from few times, up to 30 true ones each."""
    generator = np.random.default_rng(seed)
    answers, truths = [], []
    for qid in range(num_queries):
        true = windows(generator, int(generator.integers(1, 31)))
        guesses = [*windows(generator, 5), *true[:7]]
        generator.shuffle(guesses)
        scores = np.sort(generator.integers(0, 9, len(guesses)) / 8)[::-1].tolist()
        rows = [[*w, s] for w, s in zip(guesses, scores, strict=True)]
        answers.append({"qid": qid, "pred_relevant_windows": rows})
        truths.append({"qid": qid, "relevant_windows": true, "duration": 60})
    return answers, truths


def windows(generator: np.random.Generator, count: int) -> list[list[float]]:
    start = generator.integers(0, 20, count)
    return np.stack([start, start + generator.integers(1, 12, count)], axis=1).astype(float).tolist()


def test_equals_the_oracle_with_many_true_windows() -> None:
    fast, slow = both(random_case(150, seed=1), qvhighlights=False)
    assert isinstance(slow, dict)
    assert fast == slow


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(*random_case(60, seed=2))
    whole = evaluate_officially(case)
    monkeypatch.setattr(ragged, "MAX_BLOCK_CELLS", 1)
    assert evaluate_officially(case) == whole


def test_order_of_ground_truth_changes_nothing() -> None:
    answers, truths = random_case(40, seed=3)
    assert evaluate_officially(case_of(answers, truths)) == evaluate_officially(
        case_of(answers, truths[::-1])
    )


def test_sum_of_selected_is_numpys_own_sum() -> None:
    generator = np.random.default_rng(4)
    values = generator.random((500, 40))
    selected = generator.random((500, 40)) < generator.random((500, 1))
    expected = [np.sum(row[chosen]) for row, chosen in zip(values, selected, strict=True)]
    assert ragged.sum_selected(values, selected).tolist() == expected


def one_query(predicted: list[list[float]], true: list[list[float]]) -> EvaluationInput:
    record = {"qid": "a", "relevant_windows": true, "duration": 60}
    return case_of([{"qid": "a", "pred_relevant_windows": predicted}], [record])


def test_equal_overlaps_take_the_last_window() -> None:
    # [4, 8] meets [0, 8] and [4, 12] with IoU 0.5. It takes the last, so [4, 12] finds nothing free at 0.5.
    case = one_query([[4, 8, 0.9], [4, 12, 0.8]], [[0, 8], [4, 12]])
    average = official_precision(case.answers, case.truths)
    assert average[0].tolist() == [0.5, *[0.25] * 9]
    # The other way round [0, 8] is last and taken, and [4, 12] is free.
    case = one_query([[4, 8, 0.9], [4, 12, 0.8]], [[4, 12], [0, 8]])
    assert official_precision(case.answers, case.truths)[0, 0] == 1.0


def test_a_prediction_falls_through_to_its_second_best_window() -> None:
    case = one_query([[0, 10, 0.9], [0, 10, 0.8]], [[0, 10], [1, 10]])
    assert official_precision(case.answers, case.truths)[0].tolist() == [*[1.0] * 9, 0.5]


def test_text_has_the_published_form() -> None:
    text = official_text(evaluate_officially(one_query([[0, 5, 1.0]], [[0, 10]])))
    assert text.startswith(
        '{\n    "brief": {\n        "MR-full-R1@0.5": 100.0,\n        "MR-full-R1@0.7": 0.0,\n'
    )
    assert text.endswith("        }\n    }\n}")
    assert list(json.loads(text)["full"]["MR-mAP"])[-2:] == ["0.95", "average"]


def test_lighthouse_looks_at_one_range() -> None:
    assert LIGHTHOUSE_RANGES == {"full": (0, 1500)}
