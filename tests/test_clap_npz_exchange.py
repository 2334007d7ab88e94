"""Published trees of ``.npz`` into a feature file and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amr.errors import InputError
from amr.formats.annotations import Annotation
from amr.formats.features import open_features
from amr.formats.features_write import FeatureWriter, create_feature_file
from amr.formats.notices import Notices
from amr.formats.npz import NpzTree
from amr.formats.npz_exchange import export_tree, import_tree, plain_name, unknown_identity, write_npz


def annotation(qid: int | str, query: str, vid: str, duration_s: float | None) -> Annotation:
    return Annotation(qid, query, vid, duration_s, [[0.0, 1.0]], where=f"gt.jsonl:{qid}")


ANNOTATIONS = [
    annotation("00000", "a dog", "Venice_4.0_64.0", 60),
    annotation("00001", "a cat", "-0awng26xQ8", 12),
    annotation("00002", "a dog", "-0awng26xQ8", 12),
]


def tokens_of(query: str) -> np.ndarray:
    rng = np.random.default_rng(len(query) + ord(query[-1]))
    return rng.standard_normal((len(query), 6)).astype(np.float32)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "features" / "castella"
    (root / "clap").mkdir(parents=True)
    (root / "clap_text").mkdir()
    for vid, count in (("Venice_4.0_64.0", 60), ("-0awng26xQ8", 11)):
        np.savez(root / "clap" / f"{vid}.npz", features=np.full((count, 8), count, np.float32))
    for item in ANNOTATIONS:
        np.savez(root / "clap_text" / f"qid{item.qid}.npz", last_hidden_state=tokens_of(item.query))
    return root


def imported(tree: Path, target: Path, annotations: list[Annotation]) -> list[str]:
    source, notices = NpzTree(tree), Notices()
    identity = unknown_identity(source, [item.qid for item in annotations])
    create_feature_file(target, identity_json=identity, store="float32")
    writer = FeatureWriter(target, identity_json=identity)
    import_tree(source, writer, annotations, notices)
    writer.close()
    return notices.lines()


def test_a_tree_goes_in_whole(tree: Path, tmp_path: Path) -> None:
    told = imported(tree, tmp_path / "a.h5", ANNOTATIONS)
    assert told == ["-0awng26xQ8: frames and duration differ: 11 frames of 1 s, 12 s"]
    with open_features(tmp_path / "a.h5") as features:
        assert sorted(features.ids) == ["-0awng26xQ8", "Venice_4.0_64.0"]
        assert (features.dimension, features.hop_s, features.window_s) == (8, 1.0, 1.0)
        assert features.duration_s("-0awng26xQ8") == 12
        np.testing.assert_array_equal(features.frames("-0awng26xQ8"), np.full((11, 8), 11))
        assert list(features.queries) == ["a dog", "a cat"]  # each text once
        np.testing.assert_array_equal(features.text("a cat").tokens, tokens_of("a cat"))


def test_without_annotations_durations_are_the_frames_and_told(tree: Path, tmp_path: Path) -> None:
    [told] = imported(tree, tmp_path / "a.h5", [])
    assert "no annotation tells the duration, the frames do (2 times" in told
    with open_features(tmp_path / "a.h5") as features:
        assert features.duration_s("-0awng26xQ8") == 11
        assert list(features.queries) == []


def test_missing_and_contradicting_vectors_are_told(tree: Path, tmp_path: Path) -> None:
    (tree / "clap_text" / "qid00001.npz").unlink()
    np.savez(tree / "clap_text" / "qid00002.npz", last_hidden_state=np.ones((2, 6), np.float32))
    told = imported(tree, tmp_path / "a.h5", ANNOTATIONS)
    assert "gt.jsonl:00001: no vectors of qid '00001' in the tree" in told
    assert "gt.jsonl:00002: the same words have other vectors elsewhere, the first are kept" in told


def test_in_and_out_is_the_same_tree(tree: Path, tmp_path: Path) -> None:
    imported(tree, tmp_path / "a.h5", ANNOTATIONS)
    notices = Notices()
    with open_features(tmp_path / "a.h5") as features:
        export_tree(features, tmp_path / "out", ANNOTATIONS, notices)
    assert notices.lines() == []
    files = [path.relative_to(tree) for path in sorted(tree.rglob("*.npz"))]
    assert [p.relative_to(tmp_path / "out") for p in sorted((tmp_path / "out").rglob("*.npz"))] == files
    for name in files:
        with np.load(tree / name) as before, np.load(tmp_path / "out" / name) as after:
            assert before.files == after.files
            for key in before.files:
                np.testing.assert_array_equal(before[key], after[key])


def test_an_existing_tree_is_left_alone(tree: Path, tmp_path: Path) -> None:
    imported(tree, tmp_path / "a.h5", ANNOTATIONS)
    with open_features(tmp_path / "a.h5") as features:
        with pytest.raises(InputError, match="exists already"):
            export_tree(features, tree, ANNOTATIONS, Notices())
        export_tree(features, tree, ANNOTATIONS, Notices(), force=True)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\0b"])
def test_names_cannot_leave_the_folder(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a file"):
        plain_name(name, "x.h5")


def test_the_same_arrays_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_npz(tmp_path / name, {"features": np.ones((3, 2), np.float32)}, force=False)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
