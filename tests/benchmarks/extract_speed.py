"""How fast, and in how much memory, ``amr extract`` turns an hour of sound into features; where time goes.

    python tests/benchmarks/extract_speed.py [--minutes 60] [--workers 2] [--threads N] [--one-file]
    python tests/benchmarks/extract_speed.py --short 1000

The hour is made of real recordings where the project's shared data lie beside the repository, else of noise.
It is written as stereo FLAC at 44.1 kHz, a file a minute or all in one; or, with --short, as so many files of
a second, where what a file costs shows. Each stage is then run alone in one thread, after the whole
command as a process, less what the same command takes for one file. On a shared machine, believe the
processor seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from amr.arrays import Float32Array
from amr.audio.decode import open_decoder
from amr.audio.files import AudioFile, find_audio
from amr.audio.read import MonoStream, read_audio
from amr.encoders.registry import load_encoder
from amr.encoders.running.pipeline import encode_many
from amr.encoders.running.stream import encode_stream
from amr.formats.features.output import open_feature_output

Floats = Float32Array

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDINGS = REPOSITORY.parent / "shared" / "data" / "audio" / "open" / "background"
RATE_HZ = 44_100


def sound_of(minutes: int) -> Iterator[Floats]:
    """Minute after minute, mono at 44.1 kHz: real recordings one after the other, round and round."""
    files = find_audio([str(RECORDINGS)]) if RECORDINGS.is_dir() else []
    held, turn = np.zeros(0, np.float32), 0
    draw = np.random.default_rng(0)
    for _ in range(minutes):
        while len(held) < 60 * RATE_HZ:
            if files:
                samples, _ = read_audio(files[turn % len(files)].path, RATE_HZ)
            else:
                samples = (0.1 * draw.standard_normal(60 * RATE_HZ)).astype(np.float32)
            held, turn = np.concatenate([held, samples]), turn + 1
        yield held[: 60 * RATE_HZ]
        held = held[60 * RATE_HZ :]


def write_hour(folder: Path, minutes: int, *, one_file: bool) -> list[AudioFile]:
    folder.mkdir()
    files: dict[Path, soundfile.SoundFile] = {}
    for number, minute in enumerate(sound_of(minutes)):
        path = folder / ("all.flac" if one_file else f"minute_{number:03d}.flac")
        if path not in files:
            files[path] = soundfile.SoundFile(path, "w", RATE_HZ, 2, "PCM_16")
        files[path].write(np.stack([minute, 0.8 * minute], axis=1))
        if not one_file:
            files[path].close()
    for file in files.values():
        file.close()
    return find_audio([str(folder)])


def write_short(folder: Path, count: int) -> list[AudioFile]:
    """``count`` files of a second each."""
    folder.mkdir()
    number = 0
    for minute in sound_of(-(-count // 60)):
        for second in minute.reshape(60, RATE_HZ)[: count - number]:
            soundfile.write(folder / f"{number:06d}.flac", np.stack([second, 0.8 * second], axis=1), RATE_HZ)
            number += 1
    return find_audio([str(folder)])


def stages(files: list[AudioFile], folder: Path) -> dict[str, Callable[[], object]]:
    """Each stage alone, on everything; what it needs is in memory."""
    encoder = load_encoder("yamnet")
    identity = encoder.identity

    class InMemory:
        step = 0.0  # nothing is taken for silence

        def __init__(self, file: AudioFile) -> None:
            self.samples, self.duration_s = read_audio(file.path, identity.sample_rate_hz)

        def __iter__(self) -> Iterator[Floats]:
            yield self.samples

    def decode() -> None:
        for file in files:
            with open_decoder(file.path) as decoder:
                for _ in decoder.blocks():
                    pass

    def decode_and_resample() -> None:
        for file in files:
            for _ in MonoStream(file.path, identity.sample_rate_hz):
                pass

    streams = [InMemory(file) for file in files]
    frames: list[Floats] = []

    def encode() -> None:
        frames.extend(np.concatenate(list(encode_stream(encoder, stream))) for stream in streams)

    def decode_and_encode() -> None:
        for recording in encode_many(encoder, files, workers=1):
            for _ in recording:
                pass

    def write() -> None:
        output = folder / "stage.h5"
        with open_feature_output(output, identity_json=identity.to_json(), store="float16") as writer:
            for file, rows in zip(files, frames, strict=True):
                writer.add(file.id, rows, duration_s=len(rows) * identity.hop_s)

    return {
        "decode": decode,
        "decode + mix + resample": decode_and_resample,
        "encode, each alone": encode,
        "decode to encode, together": decode_and_encode,
        "write": write,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--threads", type=int, help="torch threads for the stages run alone; default 1")
    parser.add_argument("--one-file", action="store_true")
    parser.add_argument("--short", type=int, metavar="N", help="N files of a second in place of minutes")
    chosen = parser.parse_args()
    import torch

    torch.set_num_threads(chosen.threads or 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.short:
            files, sound_s = write_short(folder / "audio", chosen.short), chosen.short
        else:
            files = write_hour(folder / "audio", chosen.minutes, one_file=chosen.one_file)
            sound_s = chosen.minutes * 60
        print(f"{len(files)} files, {sound_s / 3600:.2f} h; load of the machine {os.getloadavg()[0]:.1f}")
        workers = [] if chosen.workers is None else ["--workers", str(chosen.workers)]
        # Before the stages: Linux counts what this process holds by then as its children's.
        start_s, start_wall_s = run_extract(files[0].path, "one.h5", folder, workers)
        used_s, wall_s = run_extract(folder / "audio", "all.h5", folder, workers)
        tell("amr extract, whole", used_s, wall_s, sound_s)
        tell("less that of one file", used_s - start_s, wall_s - start_wall_s, sound_s)
        print(f"{'':26s} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB at most")
        for stage, work in stages(files, folder).items():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            tell(stage, time.process_time() - processor, time.perf_counter() - wall, sound_s)


def run_extract(audio: Path, output: str, folder: Path, more: list[str]) -> tuple[float, float]:
    """The whole command as a process: its seconds of processor, and of wall."""
    command = [
        sys.executable,
        "-m",
        "amr",
        "extract",
        str(audio),
        "-o",
        output,
        "-q",
        "--device",
        "cpu",
        *more,
    ]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used_s, time.perf_counter() - wall


def tell(stage: str, processor_s: float, wall_s: float, sound_s: float) -> None:
    """One line: seconds, and how many times faster than the sound lasts."""
    print(
        f"{stage:26s} {processor_s:7.2f} s of processor, {sound_s / processor_s:6.0f} x;"
        f" {wall_s:7.2f} s of wall, {sound_s / wall_s:6.0f} x",
        flush=True,
    )


if __name__ == "__main__":
    main()
