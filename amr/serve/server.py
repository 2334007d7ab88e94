"""The server: a socket, uvicorn on it, and connections that are not waited for without end."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from amr.errors import UsageError
from amr.formats.labels import LabelFile
from amr.serve.guard import Access, Application
from amr.serve.library import Library
from amr.serve.limits import ANSWER_S, MOST_CONNECTIONS, MOST_HEADER_BYTES, REQUEST_S
from amr.serve.moments import Answerer
from amr.serve.routes import Page, application
from amr.serve.sounds import KeptSounds
from amr.tasks.standing import StandingSearch

DEFAULT_PORT = 8765
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANYWHERE = ("0.0.0.0", "::")
CLOSE_S = 3.0
"""So long answers under way are waited for when the server ends."""


class PatientProtocol(H11Protocol):
    """uvicorn's, which does not wait for ever: for a request to come, and for its answer to be read."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(REQUEST_S)

    def data_received(self, data: bytes) -> None:
        """A request that has come whole is answered by a later time; one that is under way keeps its own."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._expect(REQUEST_S + ANSWER_S)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect(REQUEST_S)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _expect(self, seconds: float) -> None:
        """Cut the connection if nothing more has come of it by then."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._cut)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class QuietServer(uvicorn.Server):
    """uvicorn's, without its signal handlers: the command line has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Args:
        port: None: the usual one, or any where that is taken; 0: any.

    Raises:
        UsageError: there is no such host on this machine, or the port is taken.
    """
    wanted = [DEFAULT_PORT, 0] if port is None else [port]
    for number in wanted:
        try:
            return listening(host, number)
        except OSError as error:
            if number == wanted[-1]:
                raise UsageError(
                    f"cannot listen at {host}, port {number}: {error.strerror or error}",
                    where="--port" if port is not None else "--host",
                    hint="--port 0 takes any that is free",
                ) from error
    raise AssertionError("unreachable: the last one returns or raises")


def listening(host: str, port: int) -> socket.socket:
    """One that listens there. Raises ``OSError``."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(MOST_CONNECTIONS)
    except OSError:
        sock.close()
        raise
    return sock


def configuration(app: Application) -> uvicorn.Config:
    """How uvicorn runs the page: no logs of its own, no header of its own, bounds on everything."""
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=int(REQUEST_S),
        timeout_graceful_shutdown=int(CLOSE_S),
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
    )


def open_page(
    standing: StandingSearch,
    places: Mapping[str, Path],
    labels: Path,
    sock: socket.socket,
    host: str,
    *,
    title: str = "amr",
    likely: float | None = None,
) -> Page:
    """A page for a socket that listens.

    Args:
        places: recordings by id, where they were found in folders.
        labels: the file of labels.
        host: where it listens; another than this machine's own wants a password.
        likely: the score from which on a moment is probably right.
    """
    library = Library(standing.search.collection, places)
    port = sock.getsockname()[1]
    if host in LOOPBACK:
        access = Access(port)
    else:
        names = (host.lower(), socket.gethostname().lower())
        access = Access(port, password=secrets.token_urlsafe(9), names=names, any_address=True)
    answerer = Answerer(standing, library, KeptSounds(labels.parent))
    return Page(library, answerer, LabelFile(labels), access, title, likely)


def link_to(page: Page, host: str) -> str:
    """The address that opens the page."""
    name = "127.0.0.1" if host in ANYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{page.access.port}/?token={page.access.token}"


def serve(page: Page, sock: socket.socket, on_ready: Callable[[], Any] = lambda: None) -> None:
    """Answer until Ctrl-C or SIGTERM.

    Args:
        on_ready: called when requests are answered.
    """
    server = QuietServer(configuration(application(page)))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: setattr(server, "should_exit", True))
        task = asyncio.create_task(server.serve([sock]))
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        on_ready()
        await task

    asyncio.run(run())
