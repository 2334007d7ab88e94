"""``--shard I/N`` and ``torchrun ... -m amr predict``: who searches which recording, and one answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from amr.cli.group import Group, in_shard
from amr.cli.messages import Failures, warn
from amr.cli.predict_archive import ALL
from amr.errors import UsageError
from amr.formats.features import FeatureReader
from amr.formats.features_parts import files_in, lost_parts
from amr.formats.predictions import Prediction
from amr.retrieval.search import Task

Search = Callable[[Sequence[Task]], Iterator[Prediction]]


def whole_search(shortlist: str | None, top: int | None, *, index: bool) -> str | None:
    """What ``--shortlist`` is where recordings are shared out: each is asked, none is chosen beforehand.

    Raises:
        UsageError: something else was asked for.
    """
    if index:
        raise UsageError("is made by one process, of the whole", where="--index")
    if shortlist not in (None, ALL):
        raise UsageError(
            "shares and shards ask every recording", where="--shortlist", hint=f"--shortlist {ALL}"
        )
    return None if top is None else ALL


def tell_lost_parts(reader: FeatureReader | None, *, quiet: bool) -> None:
    """Warn where features of several parts are searched and one of them was not named."""
    warn("predict", [] if reader is None else lost_parts(files_in(reader)), quiet=quiet)


def of_shard(tasks: Sequence[Task], shard: tuple[int, int]) -> list[Task]:
    """The recordings of one part; the recording's name alone decides."""
    return [task for task in tasks if in_shard(task.vid, shard)]


def search_together(
    tasks: Sequence[Task], search: Search, group: Group, failures: Failures
) -> Iterator[Prediction]:
    """What ``search(tasks)`` would give, in the first process; the others search a share and give nothing.

    Recordings go round the processes, so that the first one has each answer about when it wants to write it.

    Raises:
        MissingError: another process went away; it is named, and what it was to search.
    """
    if group.count == 1:
        yield from search(tasks)
        return
    mine = answers_by_task(tasks[group.rank :: group.count], search)
    if not group.is_first:
        for answers in mine:
            group.send(json.dumps([asdict(answer) for answer in answers]))
        group.send(str(failures.count))
        return
    for number, task in enumerate(tasks):
        owner = number % group.count
        if owner == 0:
            yield from next(mine)
        else:
            records = json.loads(group.receive(owner, f"recording {task.vid!r} was searched"))
            yield from (Prediction(**record) for record in records)
    for _ in mine:  # nothing is left; the search comes to its end
        pass
    for rank in range(1, group.count):
        failures.count += int(group.receive(rank, "it had told how it ended"))


def answers_by_task(tasks: Sequence[Task], search: Search) -> Iterator[list[Prediction]]:
    """The answers of each task; none where its recording is broken and was passed over."""
    found = groupby(search(tasks), key=lambda answer: answer.vid)
    vid, answers = next(found, ("", iter(())))
    for task in tasks:
        if vid != task.vid:
            yield []
            continue
        yield list(answers)
        vid, answers = next(found, ("", iter(())))
