"""A small folder of recordings, commands on it in this process or in another, and what must be left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fault_table import Seen
from waiting import HANG_S

from amr.cli.main import run
from amr.formats.features.open import open_features
from amr.formats.features.read import FeatureFile

TESTS = Path(__file__).parent
FAKE = ("--encoder", "feature_fakes:FakeEncoder", "--device", "cpu")
IDS = [f"recording{number}" for number in range(6)]
RATE_HZ = 8000


def make_world(folder: Path) -> None:
    """``audio/`` with six recordings of 1 to 3.5 s, and ``whole.h5``, what undisturbed work makes of them."""
    (folder / "audio").mkdir()
    for number, name in enumerate(IDS):
        write_noise(folder / "audio" / f"{name}.wav", 1 + number / 2, seed=number)


def write_noise(path: Path, seconds: float, seed: int = 0) -> None:
    sound = np.random.default_rng(seed).uniform(-0.2, 0.2, round(seconds * RATE_HZ))
    soundfile.write(path, sound.astype(np.float32), RATE_HZ)


class World:
    """The tests' working folder.

    Args:
        capfd: what is printed in this process.
    """

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        make_world(folder)
        self.folder = folder
        self.audio = folder / "audio"
        self._capfd = capfd

    def extract(self, *arguments: object, encoder: str = "FakeEncoder") -> Seen:
        """``amr extract``, in this process."""
        return self.amr("extract", *arguments, "--encoder", f"feature_fakes:{encoder}", "--device", "cpu")

    def amr(self, *arguments: object) -> Seen:
        self._capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Seen(code, self._capfd.readouterr().err)

    def require_all(self, path: str | Path = "f.h5", without: tuple[str, ...] = ()) -> None:
        """Every recording is in the file, once, with the frames that undisturbed work gives it."""
        self.require_extracted()
        with open_features(path) as found, open_features("whole.h5") as whole:
            assert sorted(found.ids) == sorted(set(IDS) - set(without))
            for name in found.ids:
                assert np.array_equal(found.frames(name), whole.frames(name)), name
                assert found.duration_s(name) == whole.duration_s(name)

    def require_extracted(self) -> None:
        """``whole.h5`` is there."""
        if not Path("whole.h5").exists():
            assert run(["extract", "audio", "-o", "whole.h5", "-q", "--keep-going", *FAKE]) in (0, 5)

    def resume(self, *arguments: object, encoder: str = "FakeEncoder") -> None:
        """The same command goes on, and nothing is missing in the end."""
        done = self.extract("audio", "-o", "f.h5", *(arguments or ("--resume",)), encoder=encoder)
        assert done.code == 0, done.text
        self.require_all()


def start(*arguments: str, stdin: int | None = None, **environment: str) -> subprocess.Popen[bytes]:
    """``amr``, as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "amr", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}",
            "OMP_NUM_THREADS": "1",
            **environment,
        },
    )


def end(work: subprocess.Popen[bytes]) -> Seen:
    """Wait for a process."""
    _, printed = work.communicate(timeout=HANG_S)
    return Seen(work.returncode, printed.decode())


def ids_in(path: str | Path) -> list[str]:
    """The recordings that a reader sees now; none where there is no file yet."""
    if not Path(path).exists():
        return []
    with FeatureFile(path) as reader:
        return list(reader.ids)


@contextmanager
def patched(target: object, name: str, value: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(target, name, value)
        yield
