"""Moments for people: none shows again what a better one shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amr.formats.queries import Query
from amr.moments import Moment
from amr.retrieval.distinct import COVERED, merge_overlapping, shared
from amr.retrieval.finders import Answer
from amr.retrieval.search import AnswerOptions, prediction

moments = st.lists(
    st.builds(
        lambda start, length, score: Moment(start, start + length, score),
        st.floats(0, 50),
        st.floats(0, 20),
        st.floats(0, 1),
    ),
    max_size=12,
).map(lambda found: sorted(found, key=lambda moment: -moment.score))


@given(moments)
def test_what_is_left_is_apart_and_the_best_of_what_it_stands_for(found: list[Moment]) -> None:
    kept = merge_overlapping(found)
    assert all(moment in found for moment in kept)
    assert [moment.score for moment in kept] == sorted((moment.score for moment in kept), reverse=True)
    assert all(shared(a, b) < COVERED for place, a in enumerate(kept) for b in kept[:place])
    for moment in found:
        better = [each for each in kept if each.score >= moment.score]
        assert any(moment == each or shared(moment, each) >= COVERED for each in better)
    assert merge_overlapping(kept) == kept


def test_a_short_moment_inside_a_long_one_is_the_same_and_neighbours_are_not() -> None:
    long, inside, beside, over = (
        Moment(0, 10, 0.9),
        Moment(4, 5, 0.8),
        Moment(10, 12, 0.7),
        Moment(9.2, 13, 0.6),
    )
    assert merge_overlapping([long, inside, beside]) == [long, beside]
    assert merge_overlapping([long, over]) == [long, over]
    assert merge_overlapping([]) == []
    assert shared(Moment(1, 1, 0), long) == 0


def test_merging_comes_before_counting() -> None:
    answer = Answer([Moment(0, 4, 0.9), Moment(0.5, 4.5, 0.8), Moment(6, 8, 0.7)])
    query = Query("a", qid=1, vid="v")
    two = prediction(query, answer, 10.0, AnswerOptions(top_k=2, merge=True)).windows
    assert two == [[0, 4, 0.9], [6, 8, 0.7]]
    assert len(prediction(query, answer, 10.0, AnswerOptions(top_k=2)).windows) == 2
    assert prediction(query, answer, 10.0, AnswerOptions()).windows == [
        [0, 4, 0.9],
        [0.5, 4.5, 0.8],
        [6, 8, 0.7],
    ]
