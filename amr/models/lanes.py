"""Jobs worked off by several threads, in order, with a result that no thread can change: chunks of a training
batch, batches of windows in prediction.

Each is computed by one thread alone, has draws of its own, and hands back its result; the results are
taken in order. So the sum is the same to the last bit on one core or on many, and with a busy neighbour a run
loses its share of the machine and no more: OpenMP's threads, which wait for one another inside every
operation by spinning, lose many times that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


class Lanes:
    """Threads that work off jobs side by side; a context manager.

    Args:
        threads: how many; with one, jobs run in the caller's thread.
        operation_threads: threads that torch may use inside an operation while this is open.
    """

    def __init__(self, threads: int, *, operation_threads: int = 1) -> None:
        self.threads = threads
        self._operation_threads = operation_threads
        self._executor: ThreadPoolExecutor | None = None
        self._threads_before = torch.get_num_threads()

    def __enter__(self) -> Lanes:
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self._operation_threads)
        if self.threads > 1:
            self._executor = ThreadPoolExecutor(self.threads, "lane", self._start_thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None
        torch.set_num_threads(self._threads_before)

    def _start_thread(self) -> None:
        torch.set_num_threads(self._operation_threads)

    def map(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """``work`` of every job, in the order of the jobs; at most one finished result a thread waits."""
        if self._executor is None:
            yield from map(work, jobs)
            return
        pending: deque[Future[Result]] = deque()
        for job in jobs:
            pending.append(self._executor.submit(work, job))
            if len(pending) > self.threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
