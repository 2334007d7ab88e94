"""The feature store at scale: a million recordings, 60 million frames; and the disk's own rate beside ours.

    python tests/benchmarks/store_scale.py [--folder DIR] [--recordings 1000000] [--wide-frames 2000000]

Two files are made and removed again: many short frames (2 GB), and frames of 1,024 numbers as encoders make
them (4 GB). Rates are taken in turns (disk, store, disk, store), each after the kernel was told to forget the
file, and the median of the paired ratios counts. What the disk gives is ``os.readv`` of 32 MB into memory
that is there already; ``blocks`` reads the same way. ``packed`` is compared with reading into new memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from amr.formats.describe import describe
from amr.formats.features.read import BLOCK_BYTES, FeatureFile
from amr.formats.features.write import FeatureWriter, create_feature_file

FRAMES_EACH = 60
PER_WRITE = 50_000
READS = 200
APPENDED = 200


def identity(dimension: int) -> str:
    fields = {"name": "fake", "weights_sha256": "0" * 64, "sample_rate_hz": 16_000, "window_samples": 16_000}
    fields |= {"hop_samples": 16_000, "dimension": dimension, "text_dimension": 4, "joint_dimension": 4}
    return json.dumps({**fields, "normalisation": "none", "framing": ""}, sort_keys=True)


def fabricate(path: Path, recordings: int, dimension: int) -> None:
    """A sound file of ``recordings`` times 60 frames, written past the writer's commits."""
    create_feature_file(path, identity_json=identity(dimension), store="float16")
    block = np.random.default_rng(0).standard_normal((PER_WRITE, dimension)).astype(np.float16)
    with h5py.File(path, "r+", libver=("v108", "v110")) as file:
        audio, total = file["audio"], recordings * FRAMES_EACH
        audio["frames"].resize(total, axis=0)
        for first in range(0, total, PER_WRITE):
            rows = min(PER_WRITE, total - first)
            audio["frames"][first : first + rows] = block[:rows]
        for name, values in {
            "start": np.arange(recordings + 1) * FRAMES_EACH,
            "duration_s": np.full(recordings, float(FRAMES_EACH)),
            "id": np.array([b"recording_%07d.x" % n for n in range(recordings)]),
            "source": np.array([b"audio/%07d.wav" % n for n in range(recordings)]),
        }.items():
            audio[name].resize(len(values), axis=0)
            audio[name][:] = values.astype(audio[name].dtype)
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def forget(path: Path) -> None:
    """Ask the kernel to drop the file from its cache."""
    handle = os.open(path, os.O_RDONLY)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def look_ups(path: Path, recordings: int) -> dict[str, float]:
    forget(path)
    wall, cpu = time.perf_counter(), time.process_time()
    reader = FeatureFile(path)
    opened, opened_cpu = time.perf_counter() - wall, time.process_time() - cpu
    reader.frames("recording_0000000.x")
    first, first_cpu = time.perf_counter() - wall, time.process_time() - cpu
    picks = np.random.default_rng(1).integers(recordings, size=READS)
    each = [seconds(lambda n=n: reader.frames(f"recording_{n:07d}.x")) for n in picks]  # type: ignore[misc]
    reader.close()
    return {
        "open_s": opened,
        "open_cpu_s": opened_cpu,
        "open_and_first_look_up_s": first,
        "open_and_first_look_up_cpu_s": first_cpu,
        "one_recording_ms_median": 1e3 * statistics.median(wall for wall, _ in each),
        "one_recording_ms_largest": 1e3 * max(wall for wall, _ in each),
        "one_recording_cpu_ms_median": 1e3 * statistics.median(cpu for _, cpu in each),
    }


def disk(path: Path, memory: memoryview | None = None) -> None:
    """The file by plain system calls: over and over into ``memory``, or once into memory of its own."""
    handle = os.open(path, os.O_RDONLY)
    whole = memory if memory is not None else memoryview(np.empty(path.stat().st_size, np.uint8))
    at = 0
    while count := os.readv(handle, [whole[at : at + BLOCK_BYTES]]):
        at = 0 if memory is not None else at + count
    os.close(handle)


def stored(path: Path) -> None:
    with FeatureFile(path) as reader:
        for _ in reader.blocks():
            continue


def packed(path: Path) -> None:
    with FeatureFile(path) as reader:
        reader.packed()


def sequential(path: Path, rounds: int, *, cold: bool) -> dict[str, float]:
    memory = memoryview(np.ones(BLOCK_BYTES, np.uint8))
    sides: dict[str, Callable[[], None]] = {
        "disk": lambda: disk(path, memory),
        "blocks": lambda: stored(path),
        "disk, new memory": lambda: disk(path),
        "packed": lambda: packed(path),
    }
    size = path.stat().st_size
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            if cold:
                forget(path)
            wall_s, cpu_s = seconds(side)
            wall[name].append(wall_s)
            cpu[name].append(cpu_s)
    found = {f"{name}, GB/s": size / 1e9 / statistics.median(wall[name]) for name in sides}
    for ours, theirs in (("blocks", "disk"), ("packed", "disk, new memory")):
        for what, times in (("wall", wall), ("cpu", cpu)):
            ratios = [b / a for a, b in zip(times[ours], times[theirs], strict=True)]
            found[f"{ours} to {theirs}, {what}"] = statistics.median(ratios)
    return found


def bytes_written() -> int:
    """By this process's system calls so far."""
    told = Path("/proc/self/io").read_text()
    return int(told.split("wchar: ")[1].split()[0])


def append(path: Path, dimension: int) -> dict[str, float]:
    """Recordings added to the large file, in place."""
    frames = np.ones((FRAMES_EACH, dimension), np.float32)
    size, before = path.stat().st_size, bytes_written()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    writer = FeatureWriter(path, identity_json=identity(dimension))
    opened, opened_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    for number in range(APPENDED):
        writer.add(f"new_{number}", frames, duration_s=60.0)
    writer.close()
    whole = time.perf_counter() - begin
    return {
        "append_open_s": opened,
        "append_open_cpu_s": opened_cpu,
        "append_each_ms": 1e3 * (whole - opened) / APPENDED,
        "append_payload_bytes": APPENDED * FRAMES_EACH * dimension * 2,
        "append_bytes_written": bytes_written() - before,
        "append_file_grew_bytes": path.stat().st_size - size,
        "append_file_bytes": size,
    }


READ_BESIDE = """
import sys, time
from amr.formats.features.read import FeatureFile
end, last, opens = time.monotonic() + float(sys.argv[2]), 0, 0
while time.monotonic() < end:
    with FeatureFile(sys.argv[1]) as reader:
        assert len(reader) >= last, (len(reader), last)
        last, opens = len(reader), opens + 1
        reader._frames[reader.total_frames - 60 : reader.total_frames]
print(opens, last)
"""


def beside(path: Path, dimension: int, duration_s: float = 10.0) -> dict[str, float]:
    """Another process opens and reads the file while this one adds to it."""
    command = [sys.executable, "-c", READ_BESIDE, str(path), str(duration_s)]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    writer = FeatureWriter(path, identity_json=identity(dimension))
    frames, number = np.ones((FRAMES_EACH, dimension), np.float32), 0
    while reader.poll() is None:
        writer.add(f"beside_{number}", frames, duration_s=60.0)
        number += 1
    writer.close()
    assert reader.stdout is not None
    opens, seen = map(int, reader.stdout.read().split())
    return {"beside_written": number, "beside_opens": opens, "beside_last_seen": seen}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to be measured")
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=16)
    parser.add_argument("--wide-frames", type=int, default=2_000_000)
    parser.add_argument("--wide", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        many, wide = Path(folder) / "many.h5", Path(folder) / "wide.h5"
        fabricate(wide, max(1, options.wide_frames // FRAMES_EACH), options.wide)
        show("one by one, wide frames, cold", sequential(wide, options.rounds, cold=True))
        show("one by one, wide frames, in the kernel's cache", sequential(wide, 2, cold=False))
        wide.unlink()
        fabricate(many, options.recordings, options.dimension)
        size = {"recordings": options.recordings, "frames": options.recordings * FRAMES_EACH}
        show("many recordings", {**size, "bytes": many.stat().st_size})
        show("look-ups", look_ups(many, options.recordings))
        show("one by one, short frames, cold", sequential(many, options.rounds, cold=True))
        show("append", append(many, options.dimension))
        show("a reader beside the writer", beside(many, options.dimension))
        wall_s, cpu_s = seconds(lambda: describe(many))
        show("amr info, every number read", {"wall_s": wall_s, "cpu_s": cpu_s})


def show(title: str, figures: dict[str, float]) -> None:
    print(title)
    for name, value in figures.items():
        print(
            f"  {name:36s} {value:>16,}" if isinstance(value, int) else f"  {name:36s} {value:16,.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
