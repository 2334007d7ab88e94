"""What one question costs as a whole process, and what the network in numpy costs beside the one in torch.

    python tests/benchmarks/instant.py [--recordings 62] [--compared 1000] [--runs 5] [--beside FILE]

The stored recordings are minutes cut out of the examples' frames, each dimension scaled at random (20 %). The
first table is of whole processes, the median of ``--runs`` in turns: processor time (user and system), wall
time and the most memory; a recording given as audio is one of a minute. Then both networks answer one query
of ``--compared`` recordings in this process, on one thread each and in turns, without their loading, and the
greatest difference of a score is printed. ``--beside`` is another trained model, which answers in numpy in
turn with the shipped one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from score_speed import Cost, run

import amr
from amr.formats.features.read import FeatureFile
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.queries import Query
from amr.retrieval.recordings import Collection, FeatureSource
from amr.retrieval.trained.finder import TrainedFinder
from amr.retrieval.trained.model import MomentModel
from amr.retrieval.window import WindowOptions
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.networks import shipped_path

EXAMPLES = Path(__file__).parents[2] / "examples" / "audio"
FRAMES, LENGTH_S = 125, 60.0
QUERY = "someone chops wood"


def write_recordings(path: Path, count: int) -> None:
    """Minutes of the examples' frames, all different."""
    model = amr.load_model("window", device="cpu")
    frames = np.concatenate([model.encode(each).frames for each in sorted(EXAMPLES.iterdir())])
    identity = model.encoder.identity.to_json()
    create_feature_file(path, identity_json=identity, store="float16")
    writer = FeatureWriter(path, identity_json=identity)
    rng = np.random.default_rng(0)
    for number in range(count):
        first = int(rng.integers(0, len(frames) - FRAMES + 1))
        scale = rng.lognormal(0, 0.2, size=(1, frames.shape[1])).astype(np.float32)
        writer.add(f"r{number:05d}", frames[first : first + FRAMES] * scale, duration_s=LENGTH_S)
    writer.close()


def write_minute(path: Path) -> None:
    """A minute of sound: an example, repeated."""
    import soundfile

    samples, rate_hz = soundfile.read(str(EXAMPLES / "lumberjack.ogg"))
    length = int(rate_hz * LENGTH_S)
    soundfile.write(path, np.resize(samples, (length, *samples.shape[1:])), rate_hz)


def processes(features: Path, minute: Path, runs: int) -> None:
    """The table of whole processes."""
    ask = ("-m", "amr", "predict", "--query", QUERY)
    commands = {
        "python, import torch": ("-c", "import torch"),
        "amr --version": ("-m", "amr", "--version"),
        "predict, stored features, --model window": (*ask, "--model", "window", str(features)),
        "predict, stored features": (*ask, str(features)),
        "predict, a minute of sound": (*ask, str(minute)),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, words in commands.items():
            costs[name].append(run(*words))
    for name, found in costs.items():
        cpu_s, wall_s = median(each.cpu_s for each in found), median(each.wall_s for each in found)
        peak = max(each.peak_bytes for each in found)
        print(f"{name:42} {cpu_s:6.2f} s processor {wall_s:6.2f} s wall {peak / 1e6:5.0f} MB", flush=True)


def networks(features: Path, count: int, runs: int, beside: Path | None) -> None:
    """Both networks on the same recordings, in turns, and another model's."""
    import torch

    from amr.models.checkpoint import read_checkpoint
    from amr.models.torch_windows import TorchWindows

    torch.set_num_threads(1)
    checkpoint = read_checkpoint(shipped_path())
    encoder = amr.load_model("window", device="cpu").encoder
    window = WindowFinder(encoder, WindowOptions())
    with FeatureFile(features) as reader:
        collection = Collection([FeatureSource(reader)])
        recordings = [(collection.load(vid), [Query(QUERY)]) for vid in collection.vids[:count]]
    models = {name: MomentModel(checkpoint, threads=1) for name in ("numpy", "torch")}
    models["torch"].network = TorchWindows(checkpoint.build(), torch.device("cpu"))
    if beside is not None:
        models["numpy, the other model"] = MomentModel(read_checkpoint(beside), threads=1)
    took: dict[str, list[float]] = {name: [] for name in models}
    scores: dict[str, np.ndarray] = {}
    for _ in range(runs):
        for name, model in models.items():
            finder = TrainedFinder(model, window.sentences, window)
            began = time.process_time()
            found = [answer for answers in finder.find(recordings) for answer in answers]
            took[name].append(time.process_time() - began)
            scores[name] = np.array([[m.score for m in each.moments[:3]] for each in found])
    for name, seconds in took.items():
        print(f"{len(recordings)} recordings, the network in {name}: {median(seconds):6.2f} s processor")
    off = np.abs(scores["numpy"] - scores["torch"]).max()
    print(f"the three best scores of numpy and torch are within {off:.1e}")
    for name in list(took)[1:]:
        ratio = median(a / b for a, b in zip(took[name], took["numpy"], strict=True))
        print(f"{name} / numpy, pair by pair: {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=int, default=62)
    parser.add_argument("--compared", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--beside", type=Path, help="another trained model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        features, many, minute = (Path(name) / each for each in ("feats.h5", "many.h5", "minute.wav"))
        write_minute(minute)
        # In a process of its own: what a child takes at most counts what its parent has when it starts.
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:
            for path, count in ((features, max(options.recordings, 1)), (many, options.compared)):
                apart.submit(write_recordings, path, count).result()
        if options.recordings:
            processes(features, minute, options.runs)
        if options.compared:
            networks(many, options.compared, options.runs, options.beside)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
