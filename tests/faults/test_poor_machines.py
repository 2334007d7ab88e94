"""Machines that lack what others have: no /dev/shm, a home that may not be written, no home at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import FAKE, TESTS, make_world
from training_world import World as TrainingWorld
from training_world import command as training
from waiting import HANG_S

WITHOUT_POWERS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
"""Root, to whom no folder is closed, becomes a user like others."""
WITHOUT_SHM = (
    *("unshare", "-m", "sh", "-c"),
    'mount -t tmpfs -o ro,size=4k none /dev/shm && exec "$0" "$@"',
)
SCRIPT = """
import json, sys
from amr.cli.main import run
open_to_all = sys.argv[1]
try:
    open(open_to_all + "/probe", "w")
except OSError:
    pass
else:
    sys.exit(open_to_all + " may be written, nothing is proven")
for command in json.loads(sys.argv[2]):
    code = run(command)
    if code:
        sys.exit(f"{code}: {command}")
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """One of each tool that has threads, caches or scratch files, to be run in the working folder."""
    monkeypatch.chdir(tmp_path)
    make_world(tmp_path)
    made = TrainingWorld(tmp_path)
    made.fill("train", 6, seed=0)
    made.fill("val", 4, seed=1)
    made.close()
    return [
        ["extract", "audio", "-q", "--workers", "2", "-o", "f.h5", *FAKE],
        ["predict", "--query", "rain", "f.h5", "--model", "prior:tiles", "-o", "p.jsonl"],
        ["plot", "p.jsonl", "--qid", "recording1_1", "-o", "p.png"],
        ["convert", "p.jsonl", "--clips", "clips", "--audio", "audio", "--clip-form", "ogg"],
        training(made, "m.safetensors", "-q", "--threads", "2", "--memory", "0"),
    ]


def perform(prefix: tuple[str, ...], closed: str, commands: list[list[str]], **environment: str) -> Seen:
    """The commands, one after the other, in a process that may not write into a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "HOME"))}
    done = subprocess.run(
        [*prefix, sys.executable, "-c", SCRIPT, closed, json.dumps(commands)],
        capture_output=True,
        env={
            **kept,
            "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}",
            "OMP_NUM_THREADS": "1",
            **environment,
        },
        timeout=HANG_S,
        check=False,
    )
    return Seen(done.returncode, done.stderr.decode())


def require_able(prefix: tuple[str, ...]) -> None:
    """Skip where this machine does not let itself be made poorer."""
    if shutil.which(prefix[0]) is None:
        pytest.skip(f"needs {prefix[0]}")
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"may not run {prefix[0]}: {tried.stderr.decode().strip()}")


@fault(
    "machine",
    "there is no `/dev/shm`, or it may not be written",
    code=0,
    says="",
    left="all of it: nothing lies there",
)
def test_no_shared_memory(commands: list[list[str]]) -> Seen:
    require_able(WITHOUT_SHM)
    return perform(WITHOUT_SHM, "/dev/shm", commands)


@fault(
    "machine",
    "a user without rights, whose home may not be written, or who has none",
    code=0,
    says="",
    left="all of it, and not a word: caches are done without",
)
def test_no_home(commands: list[list[str]], tmp_path: Path) -> Seen:
    prefix = WITHOUT_POWERS if os.geteuid() == 0 else ()
    if prefix:
        require_able(prefix)
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    seen = perform(prefix, str(home), commands, HOME=str(home))
    homeless = perform(prefix, str(home), [[*commands[2], "-f"]])
    assert (seen.text, homeless) == ("", Seen(0, ""))
    return seen
