"""How many processors this process may use, and work for several threads whose results come in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE_S = 1.0
AHEAD = 2
"""Items in work for each thread, so that memory stays bounded while no thread waits."""


def free_processors() -> int:
    """Processors that this process may run on; ``taskset`` or a container may leave it few."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """``map(function, items)`` with ``workers`` threads; 0 or 1: none."""
    if workers <= 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from ordered_results(pool, function, items, AHEAD * workers - 1)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def ordered_results(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], waiting: int
) -> Iterator[Result]:
    """``map(function, items)`` in the threads of a pool, with at most ``waiting`` results to come or taken.

    An exception of ``function`` comes out where its result would; what has not begun is then not begun, and
    what has is waited for a moment only.
    """
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > waiting:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        wait([future for future in pending if not future.cancel()], PATIENCE_S)
