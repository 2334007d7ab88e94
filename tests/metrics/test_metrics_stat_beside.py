"""Top k, ceiling, calibration and mixtures: against plain loops and against the scorer itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.columns import case_of
from oracles.official import Record
from oracles.statistics import calibration_error, recall_at
from oracles.strategies import evaluations

from amr.metrics.calibration import reliability
from amr.metrics.candidates import best_of_top, candidate_iou
from amr.metrics.ceiling import ceiling
from amr.metrics.evaluators import evaluate_exactly
from amr.metrics.figures import FIGURES, figure_values
from amr.metrics.mixture import qid_forms


@settings(max_examples=80)
@given(evaluations(strange=False), st.sampled_from([0.3, 0.5, 0.7]))
def test_recall_at_k(files: tuple[list[Record], list[Record]], iou: float) -> None:
    answers, truths = files
    case = case_of(answers, truths)
    exact = evaluate_exactly(case)
    full = exact.ranges["full"]
    assert full is not None
    candidates = candidate_iou(exact.queries, full.query)
    best = best_of_top(candidates, (1, 5, 10))
    np.testing.assert_array_equal(best[:, 0], full.top_iou)  # the top window's is R1's, to the bit
    true = {record["qid"]: record["relevant_windows"] for record in truths}
    ranked = [sorted(record["pred_relevant_windows"], key=lambda window: -window[2]) for record in answers]
    for column, depth in enumerate((1, 5, 10)):
        expected = recall_at(ranked, [true[record["qid"]] for record in answers], depth, iou)
        assert np.mean(best[:, column] >= iou) == pytest.approx(expected)


@settings(max_examples=60)
@given(evaluations(strange=False))
def test_the_ceiling_is_reached_by_the_truth(files: tuple[list[Record], list[Record]]) -> None:
    _, truths = files
    perfect = [
        {"qid": record["qid"], "pred_relevant_windows": [[*w, 0.5] for w in record["relevant_windows"]]}
        for record in truths
    ]
    exact = evaluate_exactly(case_of(perfect, truths))
    full = exact.ranges["full"]
    assert full is not None
    counts = exact.queries.truth.counts[full.query]
    np.testing.assert_allclose(figure_values(full).mean(axis=0), ceiling(counts))


def test_no_answer_beats_the_ceiling_of_eleven_moments() -> None:
    assert dict(zip(FIGURES, ceiling(np.array([20, 10])), strict=True))["mAP"] == pytest.approx(0.75)


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.55, 0.9, 1.0]) | st.floats(0, 1), st.booleans()),
        min_size=1,
    )
)
def test_calibration_error(windows: list[tuple[float, bool]]) -> None:
    scores, right = [score for score, _ in windows], [hit for _, hit in windows]
    found = reliability(np.array(scores), np.array(right))
    assert found is not None
    assert found.count.sum() == len(windows)
    assert found.expected_error() == pytest.approx(calibration_error(scores, right, 10))


def test_honest_scores_have_no_calibration_error() -> None:
    generator = np.random.default_rng(0)
    score = generator.random(200_000)
    found = reliability(score, generator.random(200_000) < score)
    assert found is not None
    assert found.expected_error() < 0.01
    boasting = reliability(np.full(100, 0.9), np.arange(100) < 40)
    assert boasting is not None
    assert boasting.expected_error() == pytest.approx(0.5)


@pytest.mark.parametrize("scores", [[], [0.5, 1.5], [-0.1], [np.nan]])
def test_scores_that_are_no_probabilities_have_no_calibration(scores: list[float]) -> None:
    assert reliability(np.array(scores), np.zeros(len(scores), dtype=bool)) is None


def test_forms_of_qids() -> None:
    castella, clotho, unav = ("-a_1.b_2", "-a_1.b"), ("00317", "Venice_4.0_64.0"), (0, "7bH")
    qids, vids = zip(castella, clotho, unav, strict=True)
    assert qid_forms(qids, vids) == ["qids VID_N", "qids of digits", "integer qids"]
    assert qid_forms(["v_1", "dog", "17", 3], ["v", "v", "v", "v"]) == [*["other qids"] * 3, "integer qids"]
