"""A search by several: parts of the recordings (``--shard``), and processes that ``torchrun`` starts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from amr.distributed import Processes, in_shard
from amr.formats.predictions import Prediction
from amr.retrieval.search import SearchRequest

SearchSome = Callable[[Sequence[SearchRequest]], Iterator[Prediction]]


def of_shard(requests: Sequence[SearchRequest], shard: tuple[int, int]) -> list[SearchRequest]:
    """The recordings of one part; the recording's name alone decides."""
    return [request for request in requests if in_shard(request.vid, shard)]


def search_together(
    requests: Sequence[SearchRequest], search: SearchSome, processes: Processes
) -> Iterator[Prediction]:
    """What ``search(requests)`` would give, in the first process; the others search a share and give nothing.

    Recordings go round the processes, so that the first one has each answer about when it wants to write it.

    Raises:
        MissingError: another process went away; it is named, and what it was to search.
    """
    if processes.count == 1:
        yield from search(requests)
        return
    mine = answers_by_request(requests[processes.rank :: processes.count], search)
    if not processes.is_first:
        for answers in mine:
            processes.send(json.dumps([asdict(answer) for answer in answers]))
        return
    for number, request in enumerate(requests):
        owner = number % processes.count
        if owner == 0:
            yield from next(mine)
        else:
            records = json.loads(processes.receive(owner, f"recording {request.vid!r} was searched"))
            yield from (Prediction(**record) for record in records)
    for _ in mine:  # nothing is left; the search comes to its end
        pass


def answers_by_request(requests: Sequence[SearchRequest], search: SearchSome) -> Iterator[list[Prediction]]:
    """The answers of each request; none where its recording is broken and was left out."""
    found = groupby(search(requests), key=lambda answer: answer.vid)
    vid, answers = next(found, ("", iter(())))
    for request in requests:
        if vid != request.vid:
            yield []
            continue
        yield list(answers)
        vid, answers = next(found, ("", iter(())))


def failures_of_all(count: int, processes: Processes) -> int:
    """How many recordings all processes left out, in the first one; the others tell it and keep their own."""
    if not processes.is_first:
        processes.send(str(count))
        return count
    others = range(1, processes.count)
    return count + sum(int(processes.receive(rank, "it had told how it ended")) for rank in others)
