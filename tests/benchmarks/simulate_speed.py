"""How fast are recordings rendered, where does the time go, and what would the libraries alone need?

    python tests/benchmarks/simulate_speed.py DATA/audio/open --count 200

One thread, CPU seconds (``time.process_time``), so that a busy machine does not count. The floor is what
cannot be left out: decoding each source once, resampling what is at another rate once, encoding FLAC, writing
the bytes. It is measured on the same sources and recordings, in turns with the product.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import soundfile
import soxr

from amr.formats.notices import Notices
from amr.formats.recipes import Scene
from amr.simulation import decode, produce, render, survey
from amr.simulation.folder import OutputFolder
from amr.simulation.plan import ScenePlan, SourceSelection, draw_plan
from amr.simulation.produce import AudioFileSink
from amr.simulation.selection import parse_condition
from amr.simulation.settings import DrawSettings, declaration
from amr.simulation.sources import SourceAudio
from amr.simulation.store import SampleStore

STEPS: list[tuple[str, Any, str]] = [
    ("decode", decode, "decode_whole"),
    ("decode", decode, "decode_span"),
    ("hash", decode, "file_sha256"),
    ("resample", decode, "resample"),
    ("trim", survey, "trim_bounds"),
    ("mix", render, "mix"),
    ("16 bits", render, "to_pcm16"),
    ("encode", produce, "encode"),
]


class Timers:
    """CPU seconds by step, and how often each was called."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted under ``step``."""

        def call(*arguments: Any, **keywords: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*arguments, **keywords)
            finally:
                self.cpu_s[step] += time.process_time() - begin
                self.calls[step] += 1

        return call

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count the steps of everything that is rendered inside."""
        patches = [
            mock.patch.object(where, name, self.timed(step, getattr(where, name)))
            for step, where, name in STEPS
        ]
        opened = produce.open_output

        @contextmanager
        def open_output(*arguments: Any, **keywords: Any) -> Iterator[Any]:
            begin = time.process_time()
            with opened(*arguments, **keywords) as file:
                yield file
            self.cpu_s["write"] += time.process_time() - begin
            self.calls["write"] += 1

        patches.append(mock.patch.object(produce, "open_output", open_output))
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()


def make(data: Path, arguments: argparse.Namespace) -> tuple[ScenePlan, SampleStore]:
    """Survey and draw as ``amr simulate`` does."""
    store = SampleStore()
    made = draw_plan(
        SourceSelection(
            data / "foreground.csv",
            (data / "background.csv",),
            split=arguments.split,
            foreground_where=(parse_condition("domain!=designed", ""),),
        ),
        declaration(arguments.preset, None),
        DrawSettings(seed=1, count=arguments.count, sample_rate_hz=arguments.sample_rate),
        store=store,
        render=True,
        workers=1,
        keep_going=False,
        notices=Notices(),
    )
    return made, store


def product(data: Path, arguments: argparse.Namespace, timers: Timers) -> tuple[float, ScenePlan]:
    """CPU seconds of the whole: survey, draw, render, encode, write."""
    with tempfile.TemporaryDirectory() as folder, timers.watching():
        begin = time.process_time()
        made, store = make(data, arguments)
        output = OutputFolder(Path(folder) / "sim", shard=(0, 1), force=False, resume=False)
        output.begin(made.scenes, with_audio=True)
        for _ in produce.produce(
            made.scenes, AudioFileSink(made.sources, output), workers=1, keep_going=False
        ):
            pass
        cpu_s = time.process_time() - begin
        store.close()
    return cpu_s, made


def floor(data: Path, made: ScenePlan, recordings: list[np.ndarray[Any, Any]], rate_hz: int) -> float:
    """CPU seconds that the libraries need for the same sources and recordings."""
    scenes: list[Scene] = made.scenes
    names = {layer.path for scene in scenes for layer in scene.foregrounds}
    names |= {scene.background.path for scene in scenes}
    begin = time.process_time()
    for name in sorted(names):
        samples, own_hz = soundfile.read(data / name, dtype="float32")
        if own_hz != rate_hz:
            soxr.resample(samples, own_hz, rate_hz)
    with tempfile.TemporaryDirectory() as folder:
        for number, recording in enumerate(recordings):
            file = io.BytesIO()
            soundfile.write(file, recording, rate_hz, format="FLAC", subtype="PCM_16")
            (Path(folder) / f"{number}.flac").write_bytes(file.getvalue())
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--split", default="train")
    parser.add_argument("--preset", default=None)
    parser.add_argument("--sample-rate", type=int, default=32_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    timers, products, floors = Timers(), [], []
    for _ in range(arguments.rounds):
        cpu_s, made = product(arguments.data, arguments, timers)
        products.append(cpu_s)
        sources = SourceAudio(arguments.data, arguments.data, SampleStore())
        recordings = [render.render_scene(scene, sources) for scene in made.scenes]
        floors.append(floor(arguments.data, made, recordings, arguments.sample_rate))
    sound_s = sum(scene.duration_s for scene in made.scenes)
    whole_s = statistics.mean(products)
    print(f"{len(made.scenes)} recordings, {sound_s:.0f} s of sound, {arguments.rounds} rounds")
    print(f"{'step':10}{'CPU s':>8}{'share':>8}{'calls':>8}")
    for step, cpu_s in sorted(timers.cpu_s.items(), key=lambda item: -item[1]):
        own_s, calls = cpu_s / arguments.rounds, timers.calls[step] // arguments.rounds
        print(f"{step:10}{own_s:8.2f}{own_s / whole_s:8.1%}{calls:8d}")
    rest_s = whole_s - sum(timers.cpu_s.values()) / arguments.rounds
    print(f"{'the rest':10}{rest_s:8.2f}{rest_s / whole_s:8.1%}")
    print(f"{'all':10}{whole_s:8.2f}          {sound_s / whole_s:6.0f} x real time on one core")
    floor_s = statistics.mean(floors)
    print(f"{'floor':10}{floor_s:8.2f}{floor_s / whole_s:8.1%}  {sound_s / floor_s:6.0f} x real time")


if __name__ == "__main__":
    main()
