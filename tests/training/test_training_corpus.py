"""Loading: what lies in memory is what the files hold, and what is broken is named."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from training_world import DIM, World, query, record

from amr.errors import InputError
from amr.formats.features.open import open_features
from amr.formats.features.read import FeatureFile
from amr.formats.notices import Notices
from amr.training.dataset import PackedVectors
from amr.training.loading import LoadOptions, allocate

CPU = torch.device("cpu")


def noise(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, DIM)).astype(np.float32)


def test_gathering_equals_slicing() -> None:
    start = np.array([0, 4, 5, 12])
    packed = PackedVectors(torch.randn(12, 3), start)
    sequences, first, count = np.array([2, 0, 1, 2]), np.array([1, 0, 0, 3]), np.array([6, 4, 1, 2])
    values, mask = packed.gather(sequences, first, count, CPU)
    assert values.shape == (4, 6, 3)
    assert mask is not None
    for row, (index, begin, length) in enumerate(zip(sequences, first, count, strict=True)):
        expected = packed.values[start[index] + begin : start[index] + begin + length]
        assert torch.equal(values[row, :length], expected)
        assert (values[row, length:] == 0).all()
        assert mask[row].tolist() == [place < length for place in range(6)]
    assert packed.gather(np.array([0, 2]), np.array([0, 2]), np.array([4, 4]), CPU)[1] is None


def test_a_corpus_holds_what_the_file_holds(tmp_path: Path) -> None:
    world = World(tmp_path, store="float16")
    dataset = world.dataset(world.fill("train", 6, seed=0))
    assert dataset.frames.values.dtype == torch.float16
    with open_features(world.features) as reader:
        for item, annotation in enumerate(dataset.annotations):
            recording = int(dataset.recording[item])
            start = dataset.frames.start[recording : recording + 2]
            stored = dataset.frames.values[start[0] : start[1]].float().numpy()
            assert np.array_equal(stored, reader.frames(annotation.vid))
            text = int(dataset.wordings[item][0])
            tokens = dataset.tokens.values[
                dataset.tokens.start[text] : dataset.tokens.start[text + 1]
            ].float()
            assert np.array_equal(tokens.numpy(), reader.text(annotation.query).tokens)
            assert dataset.windows_of(item).tolist() == annotation.windows


@pytest.mark.parametrize(("stored", "annotated"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_recordings_are_found_in_either_unicode_form(tmp_path: Path, stored: str, annotated: str) -> None:
    world = World(tmp_path)
    world.add(unicodedata.normalize(stored, "Vögel"), noise(9))
    vid = unicodedata.normalize(annotated, "Vögel")
    dataset = world.dataset(world.write("train", [record(1, query(0), vid, 9, [[1, 2]])]))
    assert dataset.recordings == [unicodedata.normalize(stored, "Vögel")]


def test_features_beyond_the_budget_are_mapped_and_the_same(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.fill("train", 5, seed=0)
    held, mapped = world.dataset(source), world.dataset(source, LoadOptions(memory_bytes=0))
    assert torch.equal(held.frames.values, mapped.frames.values)
    assert held.sha256 == mapped.sha256
    assert isinstance(allocate((3, 2), np.float32, 0), np.memmap)
    assert not isinstance(allocate((3, 2), np.float32, 24), np.memmap)


def test_recordings_without_features_are_listed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("here", noise(9))
    records = [record(1, query(0), "here", 9, [[1, 2]]), record(2, query(0), "gone", 9, [[1, 2]])]
    source = world.write("train", records)
    with pytest.raises(InputError, match=r"train.jsonl:2: 1 recording without features in .*: 'gone'"):
        world.dataset(source)
    told: list[InputError] = []
    dataset = world.dataset(source, LoadOptions(memory_bytes=1 << 30, on_broken=told.append))
    assert [annotation.vid for annotation in dataset.annotations] == ["here"]
    assert len(told) == 1


def test_queries_without_text_features_are_listed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("here", noise(9))
    source = world.write("train", [record(1, "never stored", "here", 9, [[1, 2]])])
    with pytest.raises(InputError, match=r"1 queries have no text features in .*: 'never stored'"):
        world.dataset(source)


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "not finite, first in frame 4"), (np.inf, "not finite")]
)
def test_a_value_that_is_not_finite_is_refused_with_its_recording(
    tmp_path: Path, value: float, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.add("sound", noise(9))
    world.add("broken", noise(9))
    read = FeatureFile.__iter__

    def damaged(self: FeatureFile):  # type: ignore[no-untyped-def]
        for each in read(self):
            frames = each.frames.copy()
            frames[4, 1] = value if each.id == "broken" else frames[4, 1]
            yield each._replace(frames=frames)

    monkeypatch.setattr(FeatureFile, "__iter__", damaged)
    records = [record(n, query(0), vid, 9, [[1, 2]]) for n, vid in enumerate(("sound", "broken"))]
    source = world.write("train", records)
    with pytest.raises(InputError, match=f"recording 'broken' has values that are {what}"):
        world.dataset(source)
    dataset = world.dataset(source, LoadOptions(memory_bytes=1 << 30, on_broken=lambda error: None))
    assert [annotation.vid for annotation in dataset.annotations] == ["sound"]


def test_windows_are_cut_at_the_end_dropped_behind_it_and_never_doubled(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", noise(10))
    records = [
        record(1, query(0), "a", 11, [[8, 4800], [2, 3], [2, 3], [-1, 1]]),
        record(2, query(1), "a", 10, [[10, 12]]),
        record(3, query(2), "a", 10, []),
    ]
    notices = Notices()
    dataset = world.dataset(world.write("train", records), notices=notices)
    assert dataset.windows_of(0).tolist() == [[8, 10], [2, 3], [0, 1]]
    assert [annotation.qid for annotation in dataset.annotations] == [1, 3]
    assert dataset.num_windows.tolist() == [3, 0]
    told = "\n".join(notices.lines())
    assert "train.jsonl:1: window past the end of its recording, cut off there" in told
    assert "train.jsonl:2: annotation without a window inside its recording, left out" in told


def test_features_a_frame_shorter_than_the_duration_are_no_error(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", noise(9))
    notices = Notices()
    dataset = world.dataset(world.write("train", [record(1, query(0), "a", 10, [[4, 10]])]), notices=notices)
    assert dataset.windows_of(0).tolist() == [[4, 9]]
    assert not any("differ" in line for line in notices.lines())


def test_paraphrases_with_features_are_wordings(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", noise(9))
    world.add_text("a first sound", noise(3))
    extra = {"paraphrases": ["a first sound", "never stored", query(0)]}
    dataset = world.dataset(world.write("train", [record(1, query(0), "a", 9, [[1, 2]], **extra)]))
    assert [len(wordings) for wordings in dataset.wordings] == [2]


def test_paraphrases_that_are_no_list_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", noise(9))
    source = world.write("train", [record(1, query(0), "a", 9, [[1, 2]], paraphrases="x")])
    with pytest.raises(InputError, match="'paraphrases' is not a list of texts"):
        world.dataset(source)


def test_meaning_is_the_label_or_else_the_query(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", noise(9))
    world.add_text("Sound  number 1.", noise(2))
    records = [
        record(1, query(0), "a", 9, [[1, 2]], label="dog"),
        record(2, query(2), "a", 9, [[1, 2]], label="dog"),
        record(3, query(1), "a", 9, [[1, 2]]),
        record(4, "Sound  number 1.", "a", 9, [[1, 2]]),
    ]
    dataset = world.dataset(world.write("train", records))
    assert dataset.meaning.tolist() == [0, 0, 1, 1]
    assert dataset.is_annotated(np.array([0, 0]), np.array([1, 0])).all()


def test_an_npz_tree_trains_by_qid(tmp_path: Path) -> None:
    from amr.formats.annotations import read_annotations
    from amr.training.loading import load_dataset

    (tmp_path / "tree").mkdir()
    np.savez(tmp_path / "tree" / "v.1.npz", features=noise(9))
    for qid in (1, 2):
        np.savez(tmp_path / "tree" / f"qid{qid}.npz", last_hidden_state=noise(3, qid))
    lines = [record(qid, "the same words", "v.1", 9, [[1, 2]]) for qid in (1, 2)]
    (tmp_path / "gt.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with open_features(tmp_path / "tree") as reader:
        dataset = load_dataset(
            read_annotations(tmp_path / "gt.jsonl"), reader, LoadOptions(memory_bytes=1 << 30), Notices()
        )
    assert dataset.encoder is None
    assert [wordings.tolist() for wordings in dataset.wordings] == [[0], [1]]
    assert dataset.meaning.tolist() == [0, 0]
