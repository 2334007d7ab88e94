"""Threads that work for requests, in a line of bounded length that one leaves with its connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import anyio
from anyio import to_thread
from starlette.requests import Request

from amr.serve.limits import MOST_WAITING

Result = TypeVar("Result")
Stopped = Callable[[], bool]


class BusyError(Exception):
    """Too many requests wait already."""


class GoneError(Exception):
    """Nobody waits for the answer any more."""


class Outcome(Generic[Result]):
    """What became of a piece of work."""

    def __init__(self) -> None:
        self.value: Result | None = None
        self.error: Exception | None = None
        self.is_done = False


class Workers:
    """Some threads that do one thing each at a time.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._limiter: anyio.CapacityLimiter | None = None
        self._waiting = 0

    @property
    def are_busy(self) -> bool:
        """Whether a request is worked for, or waits."""
        return self._waiting > 0

    async def run(self, request: Request, work: Callable[[Stopped], Result]) -> Result:
        """What the work gives, in a thread of its own.

        Args:
            request: who wants it; when its connection ends, it leaves the line, or the work is asked to stop.
            work: is given what says whether to stop.

        Raises:
            BusyError: the line is too long.
            GoneError: the connection has ended.
            Exception: what the work raises.
        """
        if self._waiting >= MOST_WAITING:
            raise BusyError
        self._limiter = self._limiter or anyio.CapacityLimiter(self._threads)  # needs a running loop
        stop, outcome = threading.Event(), Outcome[Result]()
        self._waiting += 1
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(watch, request, stop, group.cancel_scope)
                await to_thread.run_sync(partial(settle, work, stop, outcome), limiter=self._limiter)
                group.cancel_scope.cancel()
        finally:
            self._waiting -= 1
        if outcome.error is not None:
            raise outcome.error
        if stop.is_set() or not outcome.is_done:
            raise GoneError
        return outcome.value  # type: ignore[return-value]  # it is done


def settle(work: Callable[[Stopped], Result], stop: threading.Event, outcome: Outcome[Result]) -> None:
    """Do the work, and keep what it gives or raises: a task group would wrap an exception."""
    try:
        outcome.value = work(stop.is_set)
        outcome.is_done = True
    except Exception as error:  # noqa: BLE001  # raised again by run
        outcome.error = error


async def watch(request: Request, stop: threading.Event, scope: anyio.CancelScope) -> None:
    """Wait for the end of a connection; then stop the work, or leave the line."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    stop.set()
    scope.cancel()
