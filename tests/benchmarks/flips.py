"""Flips single bits in files of ours, one at a time, and counts what becomes of it.

    python tests/benchmarks/flips.py [--flips 200]

*found*: the reader, or ``info``, ends with an error or names a problem. *harmless*: everything that is read
is as before. *wrong*: something else is read, and nobody says so. Half of the places are drawn over the whole
file, half over its bytes that are not 0: a feature file has empty room.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from archive_world import ToyEncoder, identity, text_features, wandering

from amr.errors import AmrError
from amr.formats.describe import describe
from amr.formats.features.read import FeatureFile
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.models.checkpoint import read_checkpoint
from amr.retrieval.archive.index import build_index, find_index
from amr.retrieval.archive.index_file import index_folder
from amr.retrieval.archive.spaces import JointSpace
from amr.tasks.networks import shipped_path

LENGTHS = [40, 300, 7, 120]
LONG = [9000, 30_000, 7, 12_000]
"""Enough to fill most of a feature file, whose chunks are 256 kB each."""
QUERIES = ("rain", "a dog barks", "ein Zug fährt ein")


class Kind(NamedTuple):
    """A kind of file.

    Args:
        path: the file that is changed.
        read: everything in it, as something to compare; raises where it is found out.
    """

    name: str
    path: Path
    read: Callable[[], Any]


def make_features(path: Path, lengths: list[int]) -> Path:
    text = identity().to_json()
    create_feature_file(path, identity_json=text, store="float16")
    writer = FeatureWriter(path, identity_json=text)
    writer.add_history({"command": "amr extract", "amr_version": "0"})
    for query in QUERIES:
        writer.add_text(query, text_features(query))
    for number, count in enumerate(lengths):
        writer.add(
            f"r{number}", wandering(count, number), duration_s=0.5 * count + 0.5, source=f"r{number}.wav"
        )
    writer.close()
    return path


def all_features(path: Path) -> list[object]:
    """What readers of single recordings and queries get."""
    with FeatureFile(path) as file:
        found: list[object] = [file.identity_json, file.history, list(file.ids), list(file.sources)]
        found += [(each.id, each.duration_s, each.frames.tobytes()) for each in file]
        for query in file.queries:
            text = file.text(query)
            found.append((query, text.tokens.tobytes(), text.pooled.tobytes()))
        return found


def told_features(path: Path) -> list[object]:
    """The same, after ``info`` has found nothing."""
    if problems := describe(path).problems:
        raise AmrError(problems[0])
    return all_features(path)


def all_weights(path: Path) -> list[object]:
    read = read_checkpoint(path)
    weights = [(name, weight.numpy().tobytes()) for name, weight in sorted(read.weights.items())]
    return [read.config, read.encoder, read.history, read.metrics, read.training, read.preset, *weights]


def all_similarities(features: Path) -> list[bytes]:
    """What a search by the index gives for each query."""
    with FeatureFile(features) as file:
        index = find_index(file, JointSpace(ToyEncoder()))
        if index is None:
            raise AmrError("no index: every frame is searched")
        vectors = ToyEncoder().joint_text(np.stack([text_features(query).pooled for query in QUERIES]))
        return [index.similarity(vector, left_out=0.0).tobytes() for vector in vectors]


def kinds(folder: Path) -> Iterator[Kind]:
    model = folder / "best.safetensors"
    shutil.copy(shipped_path(), model)
    yield Kind("model", model, lambda: all_weights(model))
    features = make_features(folder / "f.h5", LONG)
    yield Kind("features, by `info`", features, lambda: told_features(features))
    yield Kind("features, by readers", features, lambda: all_features(features))
    indexed = make_features(folder / "indexed.h5", LENGTHS)
    with FeatureFile(indexed) as file:
        build_index(file, JointSpace(ToyEncoder()))
    for path in sorted(index_folder(indexed).iterdir()):
        yield Kind(f"index, {path.suffix[1:]}", path, lambda: all_similarities(indexed))


def flip(kind: Kind, flips: int, generator: np.random.Generator) -> Counter[str]:
    """What became of so many flips, each undone before the next."""
    plain, before = kind.read(), kind.path.stat()
    whole = kind.path.read_bytes()
    counts: Counter[str] = Counter()
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))
    places = [*generator.integers(0, len(whole), flips // 2), *generator.choice(used, flips - flips // 2)]
    for place in (8 * int(byte) + int(generator.integers(8)) for byte in places):
        with open(kind.path, "r+b") as file:
            for byte in (whole[place // 8] ^ 1 << place % 8, whole[place // 8]):
                file.seek(place // 8)
                file.write(bytes([byte]))
                file.flush()
                if byte != whole[place // 8]:
                    counts[outcome(kind, plain)] += 1
    assert kind.path.stat().st_size == before.st_size
    return counts


def outcome(kind: Kind, plain: object) -> str:
    try:
        return "harmless" if kind.read() == plain else "wrong"
    except AmrError:
        return "found"


def table(flips: int, seed: int = 0) -> dict[str, Counter[str]]:
    with tempfile.TemporaryDirectory() as folder:
        return {
            kind.name: flip(kind, flips, np.random.default_rng(seed)) for kind in list(kinds(Path(folder)))
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=200)
    print("| file | flips | found | harmless | wrong |\n|---|---|---|---|---|")
    for name, counts in table(parser.parse_args().flips).items():
        cells = [counts.total(), *(counts[key] for key in ("found", "harmless", "wrong"))]
        print(f"| {name} | {' | '.join(map(str, cells))} |")
