"""Recordings that vanish, grow, are cut or cannot be read: named, and the others are done."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fault_table import Seen, fault
from fault_world import IDS, RATE_HZ, World, ids_in, patched, write_noise

from amr.arrays import Float32Array
from amr.audio.read import MonoStream
from amr.encoders.running import pipeline

THIRD = "audio/recording2.wav"
OTHERS_DONE = "all others are done"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


def keep_going(world: World, *options: str, encoder: str = "FakeEncoder") -> Seen:
    """The whole folder, without the third recording in the end."""
    seen = world.extract("audio", "-o", "f.h5", "--keep-going", *options, encoder=encoder)
    assert ids_in("f.h5") == [name for name in IDS if name != "recording2"]
    return seen


def mended(world: World, seen: Seen) -> Seen:
    """With the third recording as it should be, the same command ends with all of them."""
    write_noise(Path(THIRD), 2, seed=2)
    world.resume()
    return seen


def meanwhile(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Do something to the third recording while it is read."""
    plain = MonoStream.__iter__

    def disturbed(self: MonoStream) -> Iterator[Float32Array]:
        blocks = plain(self)
        if self.path.name == Path(THIRD).name:
            first = next(blocks)
            if change == "grows":
                with open(self.path, "ab") as file:
                    file.write(bytes(1000))
            elif change == "is written anew":
                self.path.write_bytes(self.path.read_bytes())
                os.utime(self.path, ns=(1, 1))
            elif change == "vanishes":
                self.path.unlink()
            else:
                raise OSError(errno.EIO, "Input/output error")
            yield first
        yield from blocks

    monkeypatch.setattr(MonoStream, "__iter__", disturbed)


@fault(
    "input",
    "a file grows while it is read",
    code=5,
    says=f"{THIRD}: changed while it was read (… bytes at first, … at the end)",
    left=OTHERS_DONE,
)
def test_growing(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    with monkeypatch.context() as patch:
        meanwhile(patch, "grows")
        seen = keep_going(world)
    return mended(world, seen)


@fault(
    "input",
    "a file is written anew while it is read, with the same size",
    code=5,
    says=f"{THIRD}: changed while it was read (rewritten)",
    left=OTHERS_DONE,
)
def test_rewritten(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    with monkeypatch.context() as patch:
        meanwhile(patch, "is written anew")
        seen = keep_going(world)
    return mended(world, seen)


@fault(
    "input",
    "a file is removed while it is read",
    code=0,
    says="6 recordings",
    left="all of it: an open file stays whole",
)
def test_removed_while_read(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    kept = Path(THIRD).read_bytes()
    with monkeypatch.context() as patch:
        meanwhile(patch, "vanishes")
        seen = world.extract("audio", "-o", "f.h5")
    Path(THIRD).write_bytes(kept)
    world.require_all()
    return seen


@fault(
    "input",
    "the disk fails in the middle of a file",
    code=5,
    says=f"{THIRD}: cannot be read: Input/output error",
    left=OTHERS_DONE,
)
def test_read_error(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    with monkeypatch.context() as patch:
        meanwhile(patch, "fails")
        seen = keep_going(world)
    return mended(world, seen)


@fault(
    "input",
    "a file vanishes between listing and reading",
    code=5,
    says=f"{THIRD}: no such audio file",
    left=OTHERS_DONE,
)
def test_vanishing(world: World) -> Seen:
    plain = pipeline.encode_many

    def later(*arguments: object, **named: object) -> object:
        Path(THIRD).unlink()
        return plain(*arguments, **named)  # type: ignore[arg-type]

    with (
        patched(pipeline, "encode_many", later),
        patched(__import__("amr.tasks.extract.work", fromlist=["x"]), "encode_many", later),
    ):
        seen = keep_going(world)
    return mended(world, seen)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def undefined(path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, 2 * RATE_HZ)
    samples[12_345] = np.nan
    soundfile.write(path, samples.astype(np.float32), RATE_HZ, subtype="FLOAT")


def nonsense(path: Path) -> None:
    path.write_bytes(b"these are words, no sound " * 99)


@fault("input", "an audio file is cut", code=5, says=f"{THIRD}: is cut: …", left=OTHERS_DONE)
def test_cut(world: World) -> Seen:
    cut(Path(THIRD))
    return mended(world, keep_going(world))


@fault("input", "an audio file of 0 bytes", code=5, says=f"{THIRD}: is empty (0 bytes)", left=OTHERS_DONE)
def test_empty(world: World) -> Seen:
    empty(Path(THIRD))
    return mended(world, keep_going(world))


@fault(
    "input",
    "NaN among the samples",
    code=5,
    says=f"{THIRD}: holds NaN or infinite samples after … s",
    left=OTHERS_DONE,
)
def test_nan_samples(world: World) -> Seen:
    undefined(Path(THIRD))
    return mended(world, keep_going(world))


@fault(
    "input",
    "a file called .wav that is no sound",
    code=5,
    says=f"{THIRD}: cannot be read as audio",
    left=OTHERS_DONE,
)
def test_nonsense(world: World) -> Seen:
    nonsense(Path(THIRD))
    return mended(world, keep_going(world))


@fault(
    "input",
    "the encoder makes NaN of a recording",
    code=5,
    says=f"{THIRD}: the encoder gave undefined values",
    left=OTHERS_DONE,
)
def test_nan_frames(world: World) -> Seen:
    soundfile.write(THIRD, np.tile([0.99, -0.99], RATE_HZ), 2 * RATE_HZ)
    return mended(world, keep_going(world, encoder="BrokenEncoder"))


@fault(
    "input",
    "ffmpeg is killed in the middle of a file",
    code=5,
    says="audio/talk.m4a: ffmpeg cannot read it",
    left=OTHERS_DONE,
)
def test_ffmpeg_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Stands for ffmpeg: a header, some sound, and the end by SIGKILL."""
    head = ".snd" + "".join(
        f"\\{byte:03o}" for byte in bytes.fromhex("00000018ffffffff000000060000 1f40 00000001")
    )
    script = f"#!/bin/sh\nprintf '{head}'\nhead -c 8000 /dev/zero\nkill -9 $$\n"
    Path("bin").mkdir()
    Path("bin/ffmpeg").write_text(script)
    Path("bin/ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{world.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    Path("audio/talk.m4a").write_bytes(b"\0" * 5000)
    seen = world.extract("audio", "-o", "f.h5", "--keep-going")
    Path("audio/talk.m4a").unlink()
    world.require_all()
    return seen
