"""A program ``amr`` for shell scripts that passes its command line on to a warm process."""

from __future__ import annotations

import os
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from golden.runner import Runner

CLIENT = """
import json, os, socket, sys, tempfile
folder = tempfile.mkdtemp()
streams = {name: os.path.join(folder, name) for name in ("stdin", "stdout", "stderr")}
with open(streams["stdin"], "wb") as file:
    if not sys.stdin.isatty():
        file.write(sys.stdin.buffer.read())
at_terminal = sys.stdout.isatty()
task = {"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "terminal": at_terminal, **streams}
with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ["AMR_SOCKET"])
    server.sendall(json.dumps(task).encode() + b"\\n")
    code = json.loads(server.makefile().readline())
try:
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        with open(streams[name], "rb") as file:
            stream.buffer.write(file.read())
            stream.flush()
except BrokenPipeError:
    os._exit(141)
sys.exit(code)
"""


class Server(socketserver.UnixStreamServer):
    """Takes command lines of other processes."""

    def __init__(self, path: Path, runner: Runner) -> None:
        super().__init__(str(path), Handler)
        self.runner = runner


class Handler(socketserver.StreamRequestHandler):
    """One command line."""

    server: Server

    def handle(self) -> None:
        code = self.server.runner.ask(self.rfile.readline().decode().strip())
        self.wfile.write(f"{code}\n".encode())


@contextmanager
def served(runner: Runner, home: Path) -> Iterator[dict[str, str]]:
    """The environment in which ``amr`` is the client; ``home`` is a new folder for it."""
    program = home / "amr"
    (home / "client.py").write_text(CLIENT)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {home / "client.py"} "$@"\n')
    program.chmod(0o755)
    with Server(home / "socket", runner) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = os.pathsep.join([str(home), str(Path(sys.executable).parent), os.environ["PATH"]])
        yield {**os.environ, "AMR": str(program), "AMR_SOCKET": str(home / "socket"), "PATH": path}
        server.shutdown()
