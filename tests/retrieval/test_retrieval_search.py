"""Who is asked what, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from amr.errors import AmrError, InputError, UsageError
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.moments import FrameGrid, Moment
from amr.retrieval.finders import Answer
from amr.retrieval.prior import PRIORS, PriorFinder, is_prior, prior
from amr.retrieval.recordings import Collection, LengthSource, RecordingFrames
from amr.retrieval.search import AnswerOptions, best_over_all, plan, search


@dataclass(frozen=True)
class ThreeFrames:
    """A shelf on which every recording is three one-second frames, and ``broken`` is broken."""

    vids: Sequence[str]
    name: str = "shelf"

    def prepare(self, vids: Sequence[str]) -> None:
        """Nothing to prepare."""

    def load(self, vid: str) -> RecordingFrames:
        if vid == "broken":
            raise InputError("is cut off", where=vid)
        return RecordingFrames(vid, np.zeros((3, 2), np.float32), FrameGrid(1.0, 1.0, 3), 3.0)

    def duration_s(self, vid: str) -> float:
        return 3.0

    def path(self, vid: str) -> str:
        return ""


@dataclass(frozen=True)
class Fixed:
    """Finds the same three moments everywhere, worst first."""

    needs_frames: bool = True

    def find(self, requests: Iterable[tuple[RecordingFrames, Sequence[Query]]]) -> Iterator[list[Answer]]:
        moments = [Moment(0.0, 1.0, 0.1), Moment(1.0, 2.00044, 0.55556), Moment(2, 3, 0.9)]
        for _, queries in requests:
            yield [Answer(moments, np.array([0, 0.123456, 1], np.float32)) for _ in queries]


def test_a_query_without_vid_is_asked_of_every_recording() -> None:
    requests = plan([Query("dog"), Query("cat", qid=7)], Collection([ThreeFrames(["a", "b.c"])]))
    assert [(request.vid, [query.qid for query in request.queries]) for request in requests] == [
        ("a", ["a_1", "a_7"]),
        ("b.c", ["b.c_1", "b.c_7"]),
    ]


def test_one_recording_keeps_the_ids_as_they_are() -> None:
    [request] = plan([Query("dog", qid=7), Query("cat", qid="x")], Collection([ThreeFrames(["a"])]))
    assert [query.qid for query in request.queries] == [7, "x"]


def test_a_query_with_vid_is_asked_of_that_recording_and_each_recording_is_read_once() -> None:
    queries = [Query("dog", 1, "b"), Query("cat", 2, "a"), Query("cow", 3, "b")]
    requests = plan(queries, Collection([ThreeFrames(["a", "b", "c"])]))
    assert [(request.vid, [query.qid for query in request.queries]) for request in requests] == [
        ("b", [1, 3]),
        ("a", [2]),
    ]


def test_recordings_that_are_not_here_are_named() -> None:
    queries = [Query("dog", 1, "b"), Query("cat", 2, "zz", where="gt.jsonl:2")]
    with pytest.raises(InputError, match="zz") as caught:
        plan(queries, Collection([ThreeFrames(["a", "b"])]))
    assert caught.value.where == "gt.jsonl:2"


def test_one_id_in_two_sources_is_refused() -> None:
    with pytest.raises(InputError, match="is in one as well") as caught:
        Collection([ThreeFrames(["a"], "one"), ThreeFrames(["b", "a"], "two")])
    assert caught.value.where == "two"


def test_predictions_are_sorted_rounded_and_cut() -> None:
    collection = Collection([ThreeFrames(["a"])])
    requests = plan([Query("dog", extra={"note": 1})], collection)
    options = AnswerOptions(top_k=2, with_saliency=True)
    [record] = search(requests, collection, Fixed(), options)
    assert record.windows == [[2, 3, 0.9], [1.0, 2.0, 0.5556]]
    assert record.saliency == [0, 0.1235, 1]
    assert (record.qid, record.duration_s, record.extra) == ("a_1", 3.0, {"note": 1})
    [record] = search(requests, collection, Fixed(), AnswerOptions(min_score=0.95))
    assert record.windows == []
    assert record.saliency is None


def test_a_broken_recording_ends_the_search_unless_it_is_to_be_passed_over() -> None:
    collection = Collection([ThreeFrames(["a", "broken", "b"])])
    requests = plan([Query("dog")], collection)
    with pytest.raises(InputError, match="cut off"):
        list(search(requests, collection, Fixed(), AnswerOptions()))
    failed: list[AmrError] = []
    found = list(search(requests, collection, Fixed(), AnswerOptions(), failed.append))
    assert [record.vid for record in found] == ["a", "b"]
    assert [error.where for error in failed] == ["broken"]


def test_priors_need_nothing_but_lengths() -> None:
    collection = Collection([LengthSource({"a": 60.0}, "gt.jsonl")])
    [record] = search(
        plan([Query("x")], collection), collection, PriorFinder(prior("prior:middle")), AnswerOptions()
    )
    assert record.windows == [[15, 45, 1]]
    with pytest.raises(InputError, match="not its sound"):
        list(search(plan([Query("x")], collection), collection, Fixed(), AnswerOptions()))


@pytest.mark.parametrize("name", sorted(PRIORS))
@pytest.mark.parametrize("duration_s", [0.3, 9.0, 60.0, 36_000.0])
def test_priors_stay_inside_the_recording(name: str, duration_s: float) -> None:
    moments = prior(f"prior:{name}")(duration_s)
    assert moments
    assert all(0 <= start < end <= duration_s and 0 <= score <= 1 for start, end, score in moments)
    assert [m.score for m in moments] == sorted((m.score for m in moments), reverse=True)


def test_prior_names() -> None:
    assert is_prior("prior")
    assert is_prior("prior:tiles")
    assert not is_prior("priors.safetensors")
    assert prior("prior") is prior("prior:middle")
    with pytest.raises(UsageError, match="no prior 'nope'"):
        prior("prior:nope")


def test_the_best_over_all_recordings() -> None:
    records = [
        Prediction(1, "dog", "a", [[0, 1, 0.5], [1, 2, 0.2]]),
        Prediction(2, "dog", "b", [[0, 1, 0.9], [1, 2, 0.5], [2, 3, 0.1]]),
        Prediction(3, "dog", "c", [[0, 1, 0.1]]),
        Prediction(4, "cat", "a", [[0, 1, 0.01]]),
    ]
    best = best_over_all(records, top=3)
    assert [(record.qid, [window[2] for window in record.windows]) for record in best] == [
        (2, [0.9, 0.5]),
        (1, [0.5]),
        (4, [0.01]),
    ]
