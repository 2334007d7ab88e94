"""Highlight figures worked out by hand, and where the official program stops."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.columns import ragged

from amr.metrics.highlights import highlight_scores
from amr.metrics.official import OfficialStopError
from amr.metrics.ragged import Ragged, offsets


def curves(*values: list[float]) -> Ragged:
    return Ragged(offsets(np.array([len(v) for v in values])), np.concatenate([np.array(v) for v in values]))


def test_by_hand() -> None:
    # Clips by falling value: 2 (seen by person 1), 0 (nobody), 1 (persons 1 and 2), 3 (nobody).
    labels = ragged([[[0, 0, 0], [2, 4, 1], [3, 1, 0], [0, 0, 0]]], 3)
    scores = highlight_scores(curves([0.5, 0.3, 0.9, 0.1]), labels)
    # Fair: person 1 finds clips at ranks 1 and 3 (precision 1, 2/3), person 2 at rank 3 (1/3), person 3 none.
    assert scores["Fair"].average_precision[0] == pytest.approx([(1 + 2 / 3) / 2, 1 / 3, 0])
    assert scores["Good"].average_precision[0] == pytest.approx([1, 1 / 3, 0])
    assert scores["VeryGood"].average_precision[0] == pytest.approx([0, 1 / 3, 0])
    assert [scores[name].hit_at_1() for name in scores] == [100.0, 100.0, 0.0]


def test_equal_values_are_one_step() -> None:
    labels = ragged([[[4, 4, 4], [0, 4, 0], [0, 4, 0]]], 3)
    scores = highlight_scores(curves([0.5, 0.5, 0.1]), labels)["Fair"]
    assert scores.average_precision[0] == pytest.approx([1 / 2, 1, 1 / 2])


def test_short_curves_are_filled_and_long_ones_cut() -> None:
    labels = ragged([[[4, 4, 4], [0, 0, 0]], [[4, 4, 4], [0, 0, 0]]], 3)
    scores = highlight_scores(curves([0.5], [0.1, 0.5, 0.9]), labels)["Fair"]
    assert scores.average_precision.tolist() == [[1, 1, 1], [0.5, 0.5, 0.5]]
    assert scores.top_hit.tolist() == [1, 0]  # the second's top value lies after the recording


@pytest.mark.parametrize(
    ("curve", "clips", "reason"),
    [([], 2, "no value"), ([0.5, np.nan], 2, "not finite"), ([0.5], 0, "shorter than one clip")],
)
def test_stops_where_the_official_program_does(curve: list[float], clips: int, reason: str) -> None:
    with pytest.raises(OfficialStopError, match=reason):
        highlight_scores(curves(curve), ragged([[[4, 4, 4]] * clips], 3))
