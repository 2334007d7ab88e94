"""Running command lines of a checkout, each as if it were typed in a folder of its own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WARM = Path(__file__).parent / "warm.py"
KEPT = ("LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    code: int
    stdout: bytes
    stderr: bytes


class Runner:
    """A warm process of one checkout; use it as a context.

    Args:
        python: an interpreter with all dependencies.
        checkout: the folder that holds the package ``amr`` to run.
        scratch: a folder for the streams of the commands.
    """

    def __init__(self, python: Path | str, checkout: Path, scratch: Path) -> None:
        self.checkout = checkout.resolve()
        self._scratch = scratch
        self._process = subprocess.Popen(
            [str(python), str(WARM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(self.checkout, scratch),
            text=True,
        )
        hello = self._answer()
        self.machine: str = hello["machine"]
        if not str(hello["amr"]).startswith(f"{self.checkout}{os.sep}"):
            self.close()
            raise RuntimeError(f"amr of {self.checkout} was asked for, {hello['amr']} would be run")

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline() or "null")

    def run(self, line: str, folder: Path, *, terminal: bool = False) -> Ended:
        """Run ``amr ... < FILE > FILE`` in a folder."""
        words, streams = split(line)
        stdin = str(folder / streams["<"]) if "<" in streams else os.devnull
        ended = self.call(words[1:], folder, stdin, terminal=terminal and ">" not in streams)
        if ">" in streams:
            (folder / streams[">"]).write_bytes(ended.stdout)
            return Ended(ended.code, b"", ended.stderr)
        return ended

    def call(
        self,
        argv: Sequence[str],
        folder: Path,
        stdin: str = os.devnull,
        *,
        env: Mapping[str, str] | None = None,
        terminal: bool = False,
    ) -> Ended:
        """Run ``amr`` with these words in a folder; ``stdin`` is a file, ``env`` all of the environment."""
        out, err = self._scratch / "stdout", self._scratch / "stderr"
        task = {
            "argv": list(argv),
            "cwd": str(folder),
            "env": environment(self.checkout, self._scratch) if env is None else dict(env),
            "stdin": stdin,
            "stdout": str(out),
            "stderr": str(err),
            "terminal": terminal,
        }
        code = self.ask(json.dumps(task))
        return Ended(code, out.read_bytes(), err.read_bytes())

    def keep(self, data: bytes) -> str:
        """A file of these bytes, to be the next command's standard input."""
        path = self._scratch / "stdin"
        path.write_bytes(data)
        return str(path)

    def ask(self, task: str) -> int:
        """The exit code of a task in the form of ``warm.py``, one line of JSON."""
        assert self._process.stdin is not None
        self._process.stdin.write(task + "\n")
        self._process.stdin.flush()
        code: int = self._answer()
        return code


def split(line: str) -> tuple[list[str], dict[str, str]]:
    """The words of a command line, and the files of ``<`` and ``>``."""
    words, streams = shlex.split(line), {}
    while len(words) > 2 and words[-2] in ("<", ">"):
        streams[words[-2]] = words[-1]
        words = words[:-2]
    return words, streams


def environment(checkout: Path, home: Path) -> dict[str, str]:
    """The same surroundings everywhere: a plain terminal of 100 columns, one thread, no ffmpeg."""
    fixed = {
        "PYTHONPATH": str(checkout),
        "PATH": str(home),
        "HOME": str(home),
        "COLUMNS": "100",
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "OMP_NUM_THREADS": "1",
        "MPLCONFIGDIR": str(home),
    }
    return {**{key: os.environ[key] for key in KEPT if key in os.environ}, **fixed}
