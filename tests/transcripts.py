"""Commands that stand in the docs with what they print: run them, and write anew what they print.

``python tests/transcripts.py [PAGE...]`` rewrites the console blocks of the README and the tutorials.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
TRANSCRIPTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "docs" / "tutorial.md",
    REPOSITORY / "docs" / "field_recorder.md",
]
BLOCK = re.compile(r"```console\n(.*?)```", flags=re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command of a transcript and the lines that follow it; ``...`` stands for any lines."""

    command: str
    expected: list[str]


def steps(page: Path) -> list[Step]:
    """The ``$`` commands of a page's console blocks, in order."""
    found: list[Step] = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:], []))
            else:
                found[-1].expected.append(line)
    return found


def run_at_a_terminal(command: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """What a person sees on standard output of a terminal, by lines; the environment is where ``amr`` is."""
    leader, follower = pty.openpty()
    environment = {**environment, "COLUMNS": "100", "OMP_NUM_THREADS": "1", "TERM": "dumb"}
    with subprocess.Popen(
        ["bash", "-c", command], stdout=follower, stderr=subprocess.DEVNULL, cwd=folder, env=environment
    ):
        os.close(follower)
        seen = b""
        while chunk := read(leader):
            seen += chunk
    os.close(leader)
    return seen.decode().replace("\r\n", "\n").splitlines()


def read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # Linux: the other side is closed
        return b""


def rewrite(page: Path) -> None:
    """Put what the commands print now under them; ``...`` is to be put back by hand."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(REPOSITORY / "examples", folder / "examples")

        def renew(block: re.Match[str]) -> str:
            lines = []
            for line in block[1].splitlines():
                if line.startswith("$ "):
                    lines += [line, *run_at_a_terminal(line[2:], folder, environment)]
            return "```console\n" + "\n".join(lines) + "\n```"

        page.write_text(BLOCK.sub(renew, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for transcript in map(Path, sys.argv[1:] or TRANSCRIPTS):
        rewrite(transcript)
