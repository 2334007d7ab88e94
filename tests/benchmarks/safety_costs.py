"""What checksums and locks cost: the same work with and without them, turn about, in processor time.

    python tests/benchmarks/safety_costs.py [--seconds 2] [--only TEXT]

Medians over the turns; the cost is the median of the quotients of each two that were measured one right
after the other, which other work on the machine slows down alike. Files that are read lie in the system's
cache; from a disk all reading takes longer, and the sums the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from archive_world import ToyEncoder, identity

from amr.arrays import Float32Array
from amr.encoders.registry import load_encoder
from amr.formats.annotations import Annotation
from amr.formats.features.read import FeatureFile
from amr.formats.features.sums import CRC, FRAMES_SUM, RowSums
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.notices import Notices
from amr.models.checkpoint import read_checkpoint
from amr.retrieval.archive.index import build_index
from amr.retrieval.archive.index_file import index_folder
from amr.retrieval.archive.spaces import JointSpace
from amr.tasks.convert import MomentFiles, convert_moments
from amr.tasks.extract import extract
from amr.tasks.models import load_model
from amr.tasks.networks import shipped_path
from amr.training.loading import LoadOptions, load_dataset

SOUND = Path(__file__).parents[2] / "examples" / "audio" / "lumberjack.ogg"
RECORDINGS, MINUTE, DIMENSION = 500, 120, 1024
FEWEST = 9

Work = Callable[[], object]


def nothing(*_: object, **__: object) -> int:
    return 0


UNSAFE: list[tuple[str, object]] = [
    ("amr.formats.features.sums.sum_of_frames", nothing),
    ("amr.formats.features.write.sum_of_recording", nothing),
    ("amr.formats.features.write.sum_of_query", nothing),
    ("amr.formats.features.write.sum_of_head", nothing),
    ("amr.formats.features.read.FeatureFile.require_sums", nothing),
    ("amr.formats.features.output.sole_writer", nullcontext),
    ("amr.tasks.extract.jobs.sole_writer", nullcontext),
    ("amr.formats.streams.sole_writer", nullcontext),
    ("amr.models.model_file.require_checksum", nothing),
    ("amr.retrieval.archive.index.sole_writer_in", nullcontext),
    ("amr.retrieval.archive.index_file.sum_of_frames", nothing),
]


@dataclass(frozen=True)
class Pair:
    """The same work with and without what is measured, one call of each."""

    safe: Work
    bare: Work


def patched(work: Work) -> Pair:
    """Work of which the safe parts are taken out while the bare one runs."""
    return Pair(work, work)


@contextmanager
def unsafe() -> Iterator[None]:
    """No checksum is made or compared, and nothing is locked."""
    with ExitStack() as stack:
        for name, instead in UNSAFE:
            stack.enter_context(patch(name, instead))
        stack.enter_context(patch.object(RowSums, "add", nothing))
        yield


def frames(number: int) -> Float32Array:
    return np.random.default_rng(number).normal(size=(MINUTE, DIMENSION)).astype(np.float32)


def make_features(path: Path) -> Path:
    """Hours of recordings of a minute, as ``yamnet`` stores them."""
    text = replace(identity(), dimension=DIMENSION).to_json()
    create_feature_file(path, identity_json=text, store="float16")
    writer = FeatureWriter(path, identity_json=text)
    for number in range(RECORDINGS):
        writer.add(f"r{number}", frames(number), duration_s=60.0)
    [words] = ToyEncoder().encode_text(["rain"])
    writer.add_text("rain", words)
    writer.close()
    return path


def without_sums(path: Path, copy: Path) -> Path:
    """The same features without checksums, as an earlier version made them."""
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        for name in (FRAMES_SUM, f"audio/{CRC}", f"text/{CRC}"):
            del file[name]
        del file.attrs[CRC]
    return copy


def works(folder: Path) -> dict[str, Pair]:
    """What is measured, by name."""
    features, encoder = make_features(folder / "f.h5"), load_encoder("yamnet")
    unsummed = without_sums(features, folder / "bare.h5")
    file, bare = FeatureFile(features), FeatureFile(unsummed)
    annotations = [Annotation("0", "rain", "r0", 60.0, [[1, 2]])]
    annotations = [replace(annotations[0], vid=f"r{number}") for number in range(RECORDINGS)]
    answer = {"query": "rain", "vid": "r", "pred_relevant_windows": [[0, 1, 0.5], [2, 4, 0.25]]}
    lines = [json.dumps({"qid": number, **answer}) + "\n" for number in range(1000)]
    (folder / "p.jsonl").write_text("".join(lines))
    order = iter(range(10**9))

    def opening(path: Path) -> Work:
        return lambda: FeatureFile(path).close()

    def one_recording(reader: FeatureFile) -> Work:
        names = itertools.cycle(f"r{number}" for number in range(0, RECORDINGS, 5))
        return lambda: reader.frames(next(names))

    def every_recording(reader: FeatureFile) -> Work:
        return lambda: sum(len(each.frames) for each in reader)

    def convert() -> None:
        moments = MomentFiles([str(folder / "p.jsonl")])
        convert_moments(moments, "csv", output=folder / "p.csv", force=True)

    def index() -> None:
        for path in index_folder(features).glob("*"):
            path.unlink()
        build_index(file, JointSpace(WideEncoder()))

    def train_reads() -> None:
        load_dataset(annotations, file, LoadOptions(memory_bytes=1 << 32), Notices())

    def hear() -> None:
        extract(SOUND, folder / f"{next(order)}.h5", encoder=encoder, workers=1)

    return {
        "extract, 45 s of sound": patched(hear),
        "open a feature file": Pair(opening(features), opening(unsummed)),
        "one recording of a minute": Pair(one_recording(file), one_recording(bare)),
        "all recordings, one after the other (Python)": Pair(every_recording(file), every_recording(bare)),
        "all recordings, as `train` reads them": patched(train_reads),
        "make an index": patched(index),
        "read a model": patched(lambda: read_checkpoint(shipped_path())),
        "load a model, ready to answer": patched(lambda: load_model("best")),
        "a text: 1,000 answers to CSV": patched(convert),
    }


class WideEncoder(ToyEncoder):
    """A joint space of frames as wide as ``yamnet``'s, and of as many axes."""

    def __init__(self) -> None:
        super().__init__()
        self.identity = replace(self.identity, dimension=DIMENSION, joint_dimension=521)
        self.map = np.random.default_rng(0).normal(size=(DIMENSION, 521)).astype(np.float32)


def taken_s(work: Work) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def bare_s(pair: Pair) -> float:
    if pair.bare is not pair.safe:
        return taken_s(pair.bare)
    with unsafe():
        return taken_s(pair.bare)


def measured(pair: Pair, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds of processor time with and without, turn about, for so long."""
    pair.safe(), bare_s(pair)
    safe, bare = [], []
    while sum(safe) < seconds or len(safe) < FEWEST:
        if len(safe) % 2:
            safe.append(taken_s(pair.safe))
            bare.append(bare_s(pair))
        else:
            bare.append(bare_s(pair))
            safe.append(taken_s(pair.safe))
    return safe, bare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of processor time for each work")
    parser.add_argument("--only", default="", help="work whose name holds this")
    options = parser.parse_args()
    print("| work | without, ms | with, ms | cost | turns |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for title, pair in works(Path(name)).items():
            if options.only not in title:
                continue
            safe, bare = measured(pair, options.seconds)
            cost = np.median(np.divide(safe, bare)) - 1
            cells = [f"{1000 * np.median(bare):.2f}", f"{1000 * np.median(safe):.2f}", f"{cost:+.1%}"]
            print(f"| {title} | {' | '.join(cells)} | {len(safe)} |", flush=True)


if __name__ == "__main__":
    main()
