"""Jobs for several threads, with a result that their number cannot change.

Chunks of a training batch, and batches of windows in prediction.

Each is computed by one thread alone, has draws of its own, and hands back its result; the results are
taken in order. So the sum is the same to the last bit on one core or on many, and with a busy neighbour a run
loses its share of the machine and no more: OpenMP's threads, which wait for one another inside every
operation by spinning, lose many times that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TypeVar

from threadpoolctl import threadpool_limits

from amr.processors import ordered_results

Job = TypeVar("Job")
Result = TypeVar("Result")


class ThreadPool:
    """Threads that work off jobs side by side; a context manager.

    Args:
        threads: how many; with one, jobs run in the caller's thread.
        operation_threads: threads that torch and numpy may use inside an operation while this is open.
    """

    def __init__(self, threads: int, *, operation_threads: int = 1) -> None:
        self.threads = threads
        self._operation_threads = operation_threads
        self._executor: ThreadPoolExecutor | None = None
        self._limits = ExitStack()

    def __enter__(self) -> ThreadPool:
        self._limits.enter_context(operation_threads(self._operation_threads))
        if self.threads > 1:
            self._executor = ThreadPoolExecutor(self.threads, "chunk", self._start_thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None
        self._limits.close()

    def _start_thread(self) -> None:
        set_torch_threads(self._operation_threads)

    def map(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> Generator[Result, None, None]:
        """``work`` of every job, in the order of the jobs; at most one finished result a thread waits."""
        if self._executor is None:
            yield from map(work, jobs)
            return
        yield from ordered_results(self._executor, work, jobs, self.threads)


@contextmanager
def operation_threads(count: int) -> Iterator[None]:
    """Let torch, where it is in use, and numpy use so many threads inside an operation, for a while."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    with threadpool_limits(count, "blas"):
        set_torch_threads(count)
        try:
            yield
        finally:
            set_torch_threads(before)


def set_torch_threads(count: int | None) -> None:
    """Of torch in this thread, where it is in use."""
    torch = sys.modules.get("torch")
    if torch is not None and count is not None:
        torch.set_num_threads(count)
