"""Bits that change in models, features and indexes, and files that are cut or zeroed while they are read."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from archive_world import ToyEncoder, identity, wandering, write_features
from fault_table import Seen, fault
from fault_world import World

from amr.errors import InputError
from amr.formats.describe import describe
from amr.formats.features.read import FeatureFile
from amr.formats.features.sums import RowSums, sum_of_frames
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.untrusted.tensor_header import read_header
from amr.models.checkpoint import read_checkpoint
from amr.retrieval.archive.index import build_index, find_index
from amr.retrieval.archive.ranking import products_of_rows
from amr.retrieval.archive.spaces import JointSpace
from amr.tasks.networks import shipped_path

FLIPS = 12


def load_flips() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "flips.py"
    spec = importlib.util.spec_from_file_location("flips", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["flips"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


def test_no_flip_is_wrong_without_a_word() -> None:
    for name, counts in load_flips().table(FLIPS).items():
        assert isinstance(counts, Counter)
        assert counts["wrong"] == 0, name
        assert counts["found"] > 0, name


def flipped(path: Path, place: int) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        [byte] = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 4]))


def frames_at(path: Path) -> int:
    """Where in the file the first frame lies."""
    with FeatureFile(path) as file:
        return path.read_bytes().index(file.rows(0, 1).tobytes())


@fault(
    "input",
    "a bit changes in the frames of a feature file",
    code=3,
    says="recording 'recording0' is not as it was written",
    left="the file; readers of that recording end with an error, the others are as they were",
)
def test_flip_in_frames(world: World) -> Seen:
    assert world.extract("audio", "-q", "-o", "f.h5").code == 0
    flipped(Path("f.h5"), frames_at(Path("f.h5")))
    with FeatureFile("f.h5") as file:
        with pytest.raises(InputError, match="recording 'recording0' is damaged"):
            file.frames("recording0")
        with pytest.raises(InputError, match="is damaged"):
            list(file)
        file.frames("recording1")
    problems = describe(Path("f.h5")).problems
    assert problems == ("recording 'recording0' is not as it was written",)
    return Seen(world.amr("info", "f.h5").code, problems[0])


@fault(
    "input",
    "a feature file is cut, or zeroed in place, while it is read",
    code=None,
    says="",
    left="an error that names the recording",
)
def test_change_under_a_reader(tmp_path: Path) -> None:
    for change in ("cut", "zero"):
        path = write_features(tmp_path / f"{change}.h5", [200, 300])
        at = frames_at(path)
        with FeatureFile(path) as file:
            with open(path, "r+b") as writer:
                writer.seek(at)
                writer.truncate() if change == "cut" else writer.write(bytes(20_000))
            with pytest.raises(InputError, match="damaged"):
                file.frames("r1")


@fault(
    "input",
    "a bit changes in a model",
    code=3,
    says="m.safetensors: is damaged: its checksum does not match",
    left="the model, which is not used",
)
def test_flip_in_a_model(world: World) -> Seen:
    Path("m.safetensors").write_bytes(shipped_path().read_bytes())
    flipped(Path("m.safetensors"), 3_000_000)
    return world.amr("info", "m.safetensors")


@fault(
    "input",
    "a bit changes in a feature file, and another file is made of it: an index, a merge, an answer over all",
    code=3,
    says="part.h5: recording 'recording0' is damaged: its checksum does not match",
    left="nothing that has the changed bit under a checksum of its own",
)
def test_flip_is_not_passed_on(world: World) -> Seen:
    assert world.extract("audio", "-q", "-o", "part.h5").code == 0
    flipped(Path("part.h5"), frames_at(Path("part.h5")))
    seen = world.amr("extract", "--merge", "part.h5", "-o", "f.h5")
    assert not Path("f.h5").exists()
    path = write_features(Path("toy.h5"), [40, 0, 300, 7])
    flipped(path, frames_at(path))
    space = JointSpace(ToyEncoder())
    with FeatureFile(path) as file:
        with pytest.raises(InputError, match="recording 'r0' is damaged"):
            build_index(file, space)
        assert find_index(file, space) is None
        with pytest.raises(InputError, match="recording 'r0' is damaged"):
            products_of_rows(file, space, np.ones(space.probe(file.dimension).shape[1], dtype=np.float32))
        with pytest.raises(InputError, match="recording 'r0' is damaged"):
            file.part(0, 0, 40)
        file.part(0, 0, 39)
    return seen


def test_sums_of_blocks_are_those_of_recordings() -> None:
    start = np.array([0, 3, 3, 10, 11], dtype=np.int64)
    frames = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float16)
    for cuts in ([0, 11], [0, 1, 2, 3, 7, 11], [0, 10, 11]):
        seen = RowSums(start, 8)
        for first, stop in sorted(pairwise(cuts), reverse=True):
            seen.add(first, frames[first:stop])
        assert seen.rows.tolist() == [3, 0, 7, 1]
        assert seen.sums.tolist() == [sum_of_frames(frames[a:b]) for a, b in pairwise(start)]


def test_shipped_model_has_a_checksum_and_older_models_are_read(tmp_path: Path) -> None:
    assert len(read_header(shipped_path())["__metadata__"]["crc32"]) == 8
    old = tmp_path / "old.safetensors"
    old.write_bytes(shipped_path().read_bytes().replace(b'"crc32":"', b'"crc99":"', 1))
    new, read = read_checkpoint(shipped_path()), read_checkpoint(old)
    assert all(torch.equal(new.weights[name], weight) for name, weight in read.weights.items())


@pytest.mark.parametrize("pieces", [[5], [1, 1, 3], [2, 0, 3]])
@pytest.mark.parametrize("dimension", [1, 3, 8])
def test_sum_does_not_depend_on_the_pieces(tmp_path: Path, pieces: list[int], dimension: int) -> None:
    from dataclasses import replace

    text = replace(identity(), dimension=dimension).to_json()
    frames = np.random.default_rng(0).normal(size=(5, dimension)).astype(np.float32)
    create_feature_file(tmp_path / "f.h5", identity_json=text, store="float16")
    writer = FeatureWriter(tmp_path / "f.h5", identity_json=text)
    with writer.recording("a") as recording:
        for part in np.split(frames, np.cumsum(pieces)[:-1]):
            recording.append(part)
        recording.finish(1.0)
    writer.close()
    with FeatureFile(tmp_path / "f.h5") as file:
        assert int(file.columns.values("audio/xor64", "u")[0]) == sum_of_frames(frames.astype(np.float16))
        assert file.frames("a").shape == (5, dimension)
    assert describe(tmp_path / "f.h5").problems == ()


def test_file_of_an_earlier_version_is_added_to(tmp_path: Path) -> None:
    import h5py

    path = write_features(tmp_path / "f.h5", [4])
    with h5py.File(path, "r+") as file:
        del file["audio/xor64"], file["audio/crc32"], file["text/crc32"], file.attrs["crc32"]
    write_features(path, [5], first=1)
    with FeatureFile(path) as file:
        assert np.array_equal(file.frames("r1"), wandering(5, 1))
    assert describe(path).problems == ()
