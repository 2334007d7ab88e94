"""kill -9 at random moments of an extraction over 200 files, then ``--resume``: the uninterrupted file."""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fault_table import fault
from fault_world import ids_in
from feature_fakes import contents, text_features
from waiting import wait_for

from amr.cli.main import run
from amr.formats.features.read import FeatureFile

TESTS = Path(__file__).parents[1]
FILES = 200
KILLS = 20
# The long version: AMR_KILL_ENCODER=yamnet AMR_KILL_WITHIN_S=15
ENCODER = os.environ.get("AMR_KILL_ENCODER", "feature_fakes:SlowEncoder")
KILL_WITHIN_S = float(os.environ.get("AMR_KILL_WITHIN_S", "0.5"))


def make_recordings(folder: Path) -> None:
    folder.mkdir()
    draw = np.random.default_rng(3)
    for number in range(FILES):
        sound = draw.uniform(-0.3, 0.3, round(draw.uniform(0.3, 12) * 8000)).astype(np.float32)
        soundfile.write(folder / f"recording_{number:03d}.wav", sound, 8000)


def command(output: str, *options: str) -> list[str]:
    return [
        "extract",
        "audio",
        "--queries",
        "gt.jsonl",
        "-o",
        output,
        "--encoder",
        ENCODER,
        "--device",
        "cpu",
        *options,
    ]


def at_work(journal: Path) -> bool:
    """Whether a process holds the journal."""
    if not journal.exists():
        return False
    with open(journal, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def has_more(part: Path, than: int) -> bool:
    """Whether it has more recordings than that; where it is gone, all are in the output."""
    try:
        return len(ids_in(part)) > than
    except FileNotFoundError:
        return True


def kill_once(moment_s: float, more_than: int) -> None:
    """Start, let it reach its work and have more recordings in its part than that, kill it a moment later."""
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}
    work = subprocess.Popen(
        [sys.executable, "-m", "amr", *command("killed.h5", "--resume", "-q", "--workers", "2")],
        env=environment,
    )
    part = Path("killed.h5.part")
    wait_for(lambda: at_work(Path("killed.h5.part.journal")) or work.poll() is not None)
    wait_for(lambda: more_than < 0 or has_more(part, more_than) or work.poll() is not None)
    time.sleep(moment_s)
    work.kill()
    work.wait()


@fault(
    "signals",
    "SIGKILL while `extract` works, twenty times at any moment",
    code=None,
    says="",
    left="every recording that was committed; `--resume` ends with the file of an uninterrupted run",
)
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_recordings(Path("audio"))
    queries = [f"query number {number}" for number in range(30)]
    Path("gt.jsonl").write_text("".join(json.dumps({"qid": q, "query": q}) + "\n" for q in queries))
    assert run(command("whole.h5", "-q")) == 0
    draw = random.Random(11)
    seen = [0]
    for number in range(KILLS):
        if not Path("killed.h5").exists():
            kill_once(draw.uniform(0, KILL_WITHIN_S), seen[-1] if number % 4 == 3 else -1)
        if Path("killed.h5.part").exists():
            with FeatureFile("killed.h5.part") as reader:
                assert len(reader) >= seen[-1]
                seen.append(len(reader))
                if reader.queries and ENCODER.startswith("feature_fakes"):
                    assert np.array_equal(
                        reader.text(queries[3]).tokens, text_features(queries[3]).tokens.astype("f2")
                    )
    assert len(set(seen)) > 3, seen  # the kills met work at different stages
    assert run(command("killed.h5", "--resume", "-q")) == 0
    whole, killed = contents("whole.h5"), contents("killed.h5")
    assert list(whole) == list(killed)
    for name, value in whole.items():
        assert np.array_equal(np.asarray(value), np.asarray(killed[name])), name
    assert len(whole["audio/id"]) == FILES  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio", "gt.jsonl", "killed.h5", "whole.h5"]
