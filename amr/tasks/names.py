"""File names on standard input: all of them at once, or as they come."""

from __future__ import annotations

import io
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from amr.errors import InputError
from amr.formats.streams import STDIO, open_input
from amr.formats.untrusted.bounds import MAX_LINE_BYTES

CHUNK_BYTES = 4096
NAMES_WAITING = 64
"""Names that are read before they are wanted. A writer of more has to wait, once the pipe is full."""

PATIENCE_S = 0.2  # between two questions whether to stop, while a name is waited for


def named(arguments: Iterable[str]) -> list[str]:
    """The arguments, with the whole list on standard input in place of ``-``.

    Raises:
        UsageError: standard input is a terminal.
        InputError: standard input lists no file.
    """
    return list(each_name(arguments))


def each_name(arguments: Iterable[str]) -> Iterator[str]:
    """The arguments, with the names on standard input in place of ``-``, each as soon as it is there."""
    for argument in arguments:
        if argument != STDIO:
            yield argument
            continue
        any_came = False
        with open_input(STDIO) as file:
            for name in split_names(chunks(file)):
                any_came = True
                yield name
        if not any_came:
            raise InputError("lists no file", where="<stdin>")


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """Bytes as they come; of a pipe without its buffer, whose lock a waiting thread would hold for ever."""
    try:
        handle = file.fileno()
    except (io.UnsupportedOperation, AttributeError):
        yield file.read()
        return
    while data := os.read(handle, CHUNK_BYTES):
        yield data


def split_names(data: Iterable[bytes]) -> Iterator[str]:
    """Names that end with a NUL each, or with a line end; the first end that is met says which.

    Blank names are skipped; the last one needs no end.
    """
    held, end = b"", b""
    for chunk in data:
        held += chunk
        end = end or (b"\0" if b"\0" in held else b"\n" if b"\n" in held else b"")
        if end:
            *whole, held = held.split(end)
            yield from filter(None, map(decode_name, whole))
        if len(held) > MAX_LINE_BYTES:
            raise InputError(f"a name is longer than {MAX_LINE_BYTES} bytes", where="<stdin>")
    yield from filter(None, [decode_name(held)])


def decode_name(name: bytes) -> str:
    """A path of any bytes; empty for a blank line."""
    return os.fsdecode(name.rstrip(b"\r")) if name.strip() else ""


class NameStream:
    """Names as they come, read by a thread; how many wait is bounded.

    Args:
        arguments: as :func:`each_name` takes them.
    """

    def __init__(self, arguments: Iterable[str], waiting: int = NAMES_WAITING) -> None:
        self._queue: queue.Queue[str | BaseException | None] = queue.Queue(waiting)
        self._next: str | None = None
        self._has_ended = False
        self._thread = threading.Thread(target=self._read, args=(arguments,), name="read names", daemon=True)
        self._thread.start()

    def _read(self, arguments: Iterable[str]) -> None:
        """Runs in the thread; every failure travels to the taker."""
        try:
            for name in each_name(arguments):
                self._queue.put(name)
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001  # raised again by _take
            self._queue.put(error)

    def _take(self, patience_s: float) -> bool:
        """Whether a name is at hand, after waiting so long for one."""
        if self._next is None and not self._has_ended:
            try:
                item = self._queue.get(patience_s > 0, patience_s or None)
            except queue.Empty:
                return False
            if isinstance(item, BaseException):
                self._has_ended = True
                raise item
            self._next, self._has_ended = item, item is None
        return self._next is not None

    def wait(self, should_stop: Callable[[], bool]) -> bool:
        """Wait for a name; False when none will come any more, or the work is to stop."""
        while not should_stop() and not self._has_ended:
            if self._take(PATIENCE_S):
                return True
        return False

    def at_hand(self) -> Iterator[str]:
        """The names that are there already; ends where the next one would have to be waited for."""
        while self._take(0):
            assert self._next is not None
            name, self._next = self._next, None
            yield name
