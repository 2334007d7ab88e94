"""Bringing the qids of two files together."""

from __future__ import annotations

from amr.metrics.matching import match_qids


def test_codes_follow_the_predictions() -> None:
    matching = match_qids(["b", "a", "b"], ["a", "b"])
    assert matching.answer_query.tolist() == [0, 1, 0]
    assert matching.truth_query.tolist() == [1, 0]
    assert matching.is_complete
    assert not matching.by_text


def test_left_overs_are_listed_once_in_file_order() -> None:
    matching = match_qids(["z", "a", "y", "z"], ["b", "a", "c", "b"])
    assert matching.only_answers == ["z", "y"]
    assert matching.only_truths == ["b", "c"]
    assert matching.answer_query.tolist() == [-1, 0, -1, -1]
    assert matching.shared == 1


def test_numbers_match_strings_only_where_nothing_else_does() -> None:
    assert match_qids([1, 2], ["1", "2"]).by_text
    matching = match_qids([1, "a"], [1, "b"])
    assert not matching.by_text
    assert matching.shared == 1


def test_two_ids_never_become_one() -> None:
    matching = match_qids([1, "1", 2], ["1", "2"])
    assert not matching.by_text
    assert matching.shared == 1
    assert matching.only_answers == [1, 2]


def test_zeros_in_front_stay() -> None:
    matching = match_qids([7], ["007"])
    assert matching.shared == 0
    assert matching.only_truths == ["007"]
