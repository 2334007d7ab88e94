"""Learning a direction from examples: equal to the plain least squares, and it turns where examples pull."""

from __future__ import annotations

import numpy as np
import pytest

from amr.errors import InputError
from amr.retrieval.learned import REJECTED, RIDGE, SURE, learn_meaning

AXES = 7


def frames(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.normal(size=(count, AXES))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slow(words: np.ndarray, accepted: list[np.ndarray], rejected: list[np.ndarray]) -> np.ndarray:
    """The same by a least squares over rows: each example's frames share one vote."""
    rows, wanted = [np.sqrt(RIDGE) * np.eye(AXES)], [np.sqrt(RIDGE) * words]
    for examples, weight, value in ((accepted, 1.0, 1.0), (rejected, REJECTED, 0.0)):
        for each in examples:
            share = np.sqrt(weight / len(each))
            rows.append(share * each)
            wanted.append(np.full(len(each), share * value))
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0]


@pytest.mark.parametrize(("yes", "no"), [(0, 1), (1, 0), (3, 2), (10, 10)])
def test_it_is_the_least_squares_of_all_frames(yes: int, no: int) -> None:
    rng = np.random.default_rng([yes, no])
    words = 0.4 * frames(rng, 1)[0]
    accepted = [frames(rng, int(rng.integers(1, 9))) for _ in range(yes)]
    rejected = [frames(rng, int(rng.integers(1, 9))) for _ in range(no)]
    found, plain = learn_meaning(words, accepted, rejected), slow(words, accepted, rejected)
    assert np.allclose(found / np.linalg.norm(found), plain / np.linalg.norm(plain), atol=1e-5)
    assert np.linalg.norm(found) == pytest.approx(SURE if yes else np.linalg.norm(words), abs=1e-5)


def test_without_examples_words_stay_what_they_are() -> None:
    words = 0.3 * frames(np.random.default_rng(0), 1)[0]
    assert np.allclose(learn_meaning(words, [], []), words, atol=1e-6)


def test_examples_pull_and_push_and_without_words_they_are_all() -> None:
    axis = np.eye(AXES, dtype=np.float32)
    one, other = axis[0:1], axis[1:2]
    mixed = (one + other) / np.sqrt(2)
    alone = learn_meaning(None, [mixed], [])
    assert alone[0] == pytest.approx(alone[1])
    assert alone[0] > 0.5
    pushed = learn_meaning(None, [mixed], [other])
    assert pushed[0] > pushed[1]
    unsure, sure = (learn_meaning(length * other[0], [one], []) for length in (0.1, 0.9))
    assert unsure[0] / np.linalg.norm(unsure) > sure[0] / np.linalg.norm(sure)


def test_nothing_says_nothing() -> None:
    with pytest.raises(InputError, match="a query or an accepted example"):
        learn_meaning(None, [], [np.ones((1, AXES), dtype=np.float32)])
