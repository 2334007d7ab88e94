"""Memory and time of extract, predict, train and score against size: times 1, 10 and 100, in one figure.

    python tests/benchmarks/scaling.py [--base 1.0] [--steps 1 10 100] [--only extract ...]
    python tests/benchmarks/scaling.py --archives FOLDER

Writes ``docs/figures/scaling.svg``, and beside it ``scaling.json`` with the figures. Every point is one
command in a process of its own: processor seconds (user and system) and largest resident memory, as the
kernel counts them. All run on one thread of the processor. Sizes at times 1: 3 recordings of a minute
(extract, and as one recording), 30 recordings of a minute (predict, with one query, and with a network), 30
annotated minutes (train, one epoch), 1,000 predictions of ten windows (score). The whole takes about ten
minutes of one core.

``--archives`` measures ``predict --top 20`` alone, one query over an archive with indexes: those of 10, 100
and 1,000 hours that ``archive_search.py --keep`` has made in FOLDER. Each figure is the median of several
queries' processes. 10,000 hours are those 1,000 with a look at ten times their frames.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import soundfile

from amr.encoders.registry import load_encoder
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.queries import Query
from amr.report.canvas import DASHES, GREY, MARKERS, PALETTE, new_figure, save, style
from amr.retrieval.archive.bounds import bound_of
from amr.retrieval.archive.levels import levels_of, samples_of
from amr.tasks.archive import archive_of
from amr.tasks.inputs import SearchInputs, open_search
from amr.tasks.models import load_model
from amr.tasks.networks import AUTO

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "figures"
RATE_HZ = 16_000
MINUTE_S = 60.0
QUERIES = ["a dog barks", "rain falls on a roof", "a car passes", "people laugh"]
WINDOWS = 10
SIZES_AT_ONE = {
    "extract": 3,
    "extract, one recording": 3,
    "predict": 30,
    "predict, network": 30,
    "train": 30,
    "score": 1000,
}
UNITS = {"score": "predictions"}
ARCHIVE, ARCHIVE_HOURS, TIMES = "predict, archive", (10, 100, 1000), 10


def run(arguments: Sequence[object], folder: Path) -> tuple[float, float]:
    """Processor seconds and largest memory in MB of one ``amr`` command.

    Raises:
        SystemExit: the command failed.
    """
    command = [sys.executable, "-m", "amr", *map(str, arguments)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, **threads, "PYTHONPATH": root}
    with open(folder / "out.txt", "wb") as out:
        process = os.posix_spawn(
            sys.executable,
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, out.fileno(), 2),
            ],
        )
        _, status, used = os.wait4(process, 0)
    if status:
        sys.exit(f"{command} failed:\n{(folder / 'out.txt').read_text()[-2000:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def sound(path: Path, minutes: int) -> Path:
    """Noise that is loud and quiet in turn, a minute over and over."""
    noise = np.random.default_rng(0).normal(0, 0.1, round(RATE_HZ * MINUTE_S))
    minute = (noise * (np.arange(len(noise)) // RATE_HZ % 2)).astype(np.float32)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, subtype="PCM_16", format="RF64") as file:
        for _ in range(minutes):
            file.write(minute)
    return path


def features(path: Path, recordings: int) -> Path:
    """A feature file of the embedded encoder's form: noise for frames, the real vectors of the queries."""
    encoder = load_encoder()
    create_feature_file(path, identity_json=encoder.identity.to_json(), store="float16")
    writer = FeatureWriter(path, identity_json=encoder.identity.to_json())
    for query, vectors in zip(QUERIES, encoder.encode_text(QUERIES), strict=True):
        writer.add_text(query, vectors)
    writer.close()
    each = math.ceil(MINUTE_S / encoder.identity.hop_s)
    block = np.random.default_rng(0).exponential(0.3, (each, encoder.identity.dimension)).astype(np.float16)
    with h5py.File(path, "r+", libver=("v108", "v110")) as file:
        audio = file["audio"]
        for name, values in {
            "start": np.arange(recordings + 1) * each,
            "duration_s": np.full(recordings, MINUTE_S),
            "id": np.array([b"r%06d" % n for n in range(recordings)]),
            "source": np.array([b"r%06d.wav" % n for n in range(recordings)]),
        }.items():
            audio[name].resize(len(values), axis=0)
            audio[name][:] = values.astype(audio[name].dtype)
        audio["frames"].resize(recordings * each, axis=0)
        for number in range(recordings):
            audio["frames"][number * each : (number + 1) * each] = np.roll(block, number, axis=0)
    return path


def annotations(path: Path, count: int) -> Path:
    """One query and one moment a recording."""
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            start_s = number * 7 % 50
            record = {"qid": number, "query": QUERIES[number % len(QUERIES)], "duration": MINUTE_S}
            window = [start_s, start_s + 1 + number % 9]
            file.write(json.dumps({**record, "vid": f"r{number:06d}", "relevant_windows": [window]}) + "\n")
    return path


def predictions(path: Path, count: int) -> Path:
    """Ten windows with scores for each of :func:`annotations`."""
    generator = np.random.default_rng(0)
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            starts = generator.uniform(0, 50, WINDOWS).round(2)
            windows = [[s, s + 5.0, round(1 / (rank + 2), 3)] for rank, s in enumerate(starts.tolist())]
            record = {"qid": number, "query": QUERIES[number % len(QUERIES)], "vid": f"r{number:06d}"}
            file.write(json.dumps({**record, "pred_relevant_windows": windows}) + "\n")
    return path


def extract(folder: Path, size: int) -> list[object]:
    """Recordings of a minute: one file under many names."""
    (folder / "audio").mkdir()
    first = sound(folder / "audio" / "r000000.wav", 1)
    for number in range(1, size):
        os.link(first, folder / "audio" / f"r{number:06d}.wav")
    return ["extract", folder / "audio", "-o", folder / "f.h5", "--workers", 1, "--device", "cpu", "-q"]


def extract_one(folder: Path, size: int) -> list[object]:
    path = sound(folder / "long.wav", size)
    return ["extract", path, "-o", folder / "f.h5", "--workers", 1, "--device", "cpu", "-q"]


def predict(folder: Path, size: int) -> list[object]:
    path = features(folder / "f.h5", size)
    return ["predict", "--query", QUERIES[0], path, "--device", "cpu", "-q", "-o", folder / "p.jsonl"]


def train(folder: Path, size: int) -> list[object]:
    path, truth = features(folder / "f.h5", size), annotations(folder / "gt.jsonl", size)
    command = ["train", truth, "--features", path, "-o", folder / "m.safetensors", "--epochs", 1]
    return [*command, "--threads", 1, "--device", "cpu", "-q"]


def predict_network(folder: Path, size: int) -> list[object]:
    """With a network that was trained for one epoch on very little."""
    model = folder / "first" / "m.safetensors"
    model.parent.mkdir()
    run(train(model.parent, 8), folder)
    return [*predict(folder, size), "--model", model]


def score(folder: Path, size: int) -> list[object]:
    return ["score", predictions(folder / "p.jsonl", size), annotations(folder / "gt.jsonl", size)]


TOOLS: dict[str, Callable[[Path, int], list[object]]] = {
    "extract": extract,
    "extract, one recording": extract_one,
    "predict": predict,
    "predict, network": predict_network,
    "train": train,
    "score": score,
}


def archive_points(folder: Path) -> list[dict[str, float]]:
    """A query over each archive that is there, and what it would take over ten times the largest."""
    points = []
    for hours in ARCHIVE_HOURS:
        archive = folder / f"archive-{hours}h.h5"
        costs = [run(["predict", "--query", each, "--top", 20, "-q", archive], folder) for each in QUERIES]
        cpu_s, memory_mb = float(np.median([cost[0] for cost in costs])), max(cost[1] for cost in costs)
        points.append({"size": hours, "cpu_s": round(cpu_s, 2), "memory_mb": round(memory_mb, 1)})
        print(f"{ARCHIVE:24s} {hours:>8,} {cpu_s:10.2f} s {memory_mb:10.1f} MB", flush=True)
    cpu_s += first_look_s(archive, TIMES) - first_look_s(archive, 1)
    print(f"{ARCHIVE:24s} {TIMES * hours:>8,} {cpu_s:10.2f} s", flush=True)
    return [*points, {"size": TIMES * hours, "cpu_s": round(cpu_s, 2)}]


def first_look_s(path: Path, times: int) -> float:
    """Processor seconds of the look at all frames for one query, as if there were so many such archives."""
    with open_search(SearchInputs([str(path)], []), [], load_model(AUTO)) as search, ExitStack() as stack:
        archive, bound = archive_of(search, stack), bound_of(search.model.network)
        assert bound is not None, "the default model is calibrated"
        samples = samples_of(archive) * times
        archive = replace(archive, parts=[*archive.parts] * times)
        costs = []
        for text in QUERIES:
            began = time.process_time()
            levels_of(archive, bound, Query(text), samples).order(archive.most(20))
            costs.append(time.process_time() - began)
    return float(np.median(costs))


def measure(tool: str, steps: Sequence[int], base: float) -> list[dict[str, float]]:
    """The points of one tool."""
    points = []
    for step in steps:
        size = max(1, round(SIZES_AT_ONE[tool] * base * step))
        with tempfile.TemporaryDirectory() as name:
            cpu_s, memory_mb = run(TOOLS[tool](Path(name), size), Path(name))
        points.append(
            {"step": step, "size": size, "cpu_s": round(cpu_s, 2), "memory_mb": round(memory_mb, 1)}
        )
        print(f"{tool:24s} {size:>8,} {cpu_s:10.2f} s {memory_mb:10.1f} MB", flush=True)
    return points


def slopes(points: Sequence[dict[str, float]]) -> dict[str, float]:
    """What a further unit costs by the last two points, and the exponent between them."""
    before, last = points[-2], points[-1]
    more, grown = last["size"] - before["size"], math.log(last["size"] / before["size"])
    return {
        "cpu_ms_a_unit": round(1e3 * (last["cpu_s"] - before["cpu_s"]) / more, 4),
        "memory_kb_a_unit": round(1024 * (last["memory_mb"] - before["memory_mb"]) / more, 3),
        "cpu_exponent": round(math.log(last["cpu_s"] / before["cpu_s"]) / grown, 3),
        "memory_exponent": round(math.log(last["memory_mb"] / before["memory_mb"]) / grown, 3),
    }


def draw(found: dict[str, Any], path: Path) -> None:
    """Time and memory of the tools, and, where it was measured, the time of a query over an archive; a grey
    line grows as the size does."""
    tools = {tool: found[tool]["points"] for tool in TOOLS if tool in found}
    panels = [
        (tools, "step", "cpu_s", "Processor time, seconds", "size, times"),
        (tools, "step", "memory_mb", "Largest memory, MB", "size, times"),
    ]
    if ARCHIVE in found:
        archive = {ARCHIVE: found[ARCHIVE]["points"]}
        panels.append((archive, "size", "cpu_s", "A query, processor seconds", "hours in the archive"))
    with style():
        figure = new_figure(4.0 * len(panels), 3.6)
        axes = figure.subplots(1, len(panels))
        for axis, (series, x, key, title, label) in zip(axes, panels, strict=True):
            for number, (tool, points) in enumerate(series.items()):
                axis.plot(
                    [point[x] for point in points],
                    [point[key] for point in points],
                    color=PALETTE[number],
                    marker=MARKERS[number],
                    linestyle=DASHES[number],
                    label=tool,
                )
            sizes = sorted({point[x] for points in series.values() for point in points})
            low = min(point[key] for points in series.values() for point in points)
            grown = [low * size / sizes[0] for size in sizes]
            axis.plot(sizes, grown, color=GREY, linewidth=0.8, label="as the size")
            axis.set(xscale="log", yscale="log", title=title, xlabel=label)
            axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
            axis.yaxis.set_major_formatter("{x:,g}")
            axis.grid(visible=True)
            if axis is not axes[1]:
                axis.legend(loc="upper left")
        axes[1].set_ylim(bottom=50)
        with open(path, "wb") as file:
            save(figure, file, "svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", type=float, default=1.0, help="all sizes times this")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--only", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    parser.add_argument("--folder", type=Path, default=FIGURES, help="where figure and numbers go")
    parser.add_argument("--archives", type=Path, help="measure archives in this folder, and no other tool")
    parser.add_argument("--redraw", action="store_true", help="draw the numbers that are there already")
    options = parser.parse_args()
    numbers = options.folder / "scaling.json"
    found: dict[str, Any] = json.loads(numbers.read_text()) if numbers.exists() else {}
    if options.archives is not None:
        points = archive_points(options.archives)
        found[ARCHIVE] = {"unit": "hours", "points": points}
        numbers.write_text(json.dumps(found, indent=1) + "\n")
    for tool in [] if options.redraw or options.archives is not None else options.only:
        points = measure(tool, options.steps, options.base)
        unit = UNITS.get(tool, "minutes")
        found[tool] = {"unit": unit, "points": points, **(slopes(points) if len(points) > 1 else {})}
        numbers.write_text(json.dumps(found, indent=1) + "\n")
    draw(found, options.folder / "scaling.svg")


if __name__ == "__main__":
    main()
