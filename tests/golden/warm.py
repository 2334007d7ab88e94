"""A process that has imported the big libraries once and runs every command line in a fork of itself.

Reads a JSON object a line, {"argv", "cwd", "env", "stdin", "stdout", "stderr", "terminal"}, the streams being
files, and answers each with the exit code. A fork begins where ``python -m amr`` begins, with its modules
loaded. With "terminal", standard output of the command is a terminal, and what it shows goes to the file.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import pty
import runpy
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

LIBRARIES = (
    "numpy",
    "scipy.signal",
    "h5py",
    "soundfile",
    "soxr",
    "torch",
    "safetensors.numpy",
    "typer",
    "rich.console",
    "matplotlib.figure",
)


def machine() -> str:
    """What decides the last digits that networks, decoders and resamplers give."""
    import numpy
    import soundfile
    import soxr
    import torch

    names = [line.partition(": ")[2] for line in cpu_lines() if line.startswith("model name")]
    versions = [
        f"torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()}",
        f"numpy {numpy.__version__}",
        f"libsndfile {soundfile.__libsndfile_version__}",
        f"soxr {soxr.__version__}",
    ]
    return "\n".join([names[0] if names else "unknown processor", *versions]) + "\n"


def load(checkout_package: str) -> None:
    """Import the libraries and every module of the package; what needs something that is not here is left."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    package = importlib.import_module(checkout_package)
    for module in pkgutil.walk_packages(package.__path__, f"{checkout_package}.", onerror=lambda _: None):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def become(task: dict[str, Any]) -> None:
    """Go on as the command line; never returns."""
    os.setsid()
    os.environ.clear()
    os.environ.update(task["env"])
    time.tzset()
    os.chdir(task["cwd"])
    for number, key in enumerate(("stdin", "stdout", "stderr")):
        if not (key == "stdout" and task["terminal"]):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(task[key], flags), number)
    sys.stdin = io.open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115, UP020
    sys.stdout = io.open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115, UP020
    sys.stderr = io.open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115, UP020
    sys.argv = ["amr", *task["argv"]]
    code: object = 0
    try:
        runpy.run_module("amr", run_name="__main__", alter_sys=True)
    except SystemExit as exit_:
        code = exit_.code
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        code = 1
    end(code)


def end(code: object) -> None:
    """Leave as an interpreter does, but for taking every object apart, which takes long."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def drain(leader: int, path: str) -> None:
    """Write what the terminal shows to a file, until its other side is closed."""
    with open(path, "wb") as file, contextlib.suppress(OSError):
        while chunk := os.read(leader, 65536):
            file.write(chunk.replace(b"\r\n", b"\n"))
    os.close(leader)


def run(task: dict[str, Any]) -> int:
    """The exit code of a command line."""
    leader, follower = pty.openpty() if task["terminal"] else (-1, -1)
    child = os.fork()
    if child == 0:
        if task["terminal"]:
            os.close(leader)
            os.dup2(follower, 1)
            os.close(follower)
        become(task)
    if task["terminal"]:
        os.close(follower)
        drain(leader, task["stdout"])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    sys.path.pop(0)  # the folder of this script
    load("amr")
    origin = sys.modules["amr"].__file__
    answers = os.dup(1)
    os.write(answers, (json.dumps({"amr": origin, "machine": machine()}) + "\n").encode())
    while line := sys.stdin.readline():
        os.write(answers, (json.dumps(run(json.loads(line))) + "\n").encode())


if __name__ == "__main__":
    main()
