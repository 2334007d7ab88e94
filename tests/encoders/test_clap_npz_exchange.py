"""Published trees of ``.npz`` into a feature file and back."""

from __future__ import annotations

import json
from pathlib import Path

import clap_published as published
import numpy as np
import pytest
import soundfile
from conftest import Amr

from amr.errors import InputError
from amr.formats.features.npz import NpzTree
from amr.formats.features.npz_exchange import (
    export_tree,
    import_tree,
    plain_name,
    unknown_identity,
    write_npz,
)
from amr.formats.features.open import open_features
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.notices import Notices
from amr.formats.queries import Query


def asked(qid: int | str, text: str, vid: str, duration_s: float | None) -> Query:
    return Query(text, qid, vid, duration_s, where=f"gt.jsonl:{qid}")


QUERIES = [
    asked("00000", "a dog", "Venice_4.0_64.0", 60),
    asked("00001", "a cat", "-0awng26xQ8", 12),
    asked("00002", "a dog", "-0awng26xQ8", 12),
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
    for item in QUERIES:
        np.savez(root / "clap_text" / f"qid{item.qid}.npz", last_hidden_state=tokens_of(item.text))
    return root


def imported(tree: Path, target: Path, queries: list[Query]) -> list[str]:
    source, notices = NpzTree(tree), Notices()
    identity = unknown_identity(source, [item.qid for item in queries])
    create_feature_file(target, identity_json=identity, store="float32")
    writer = FeatureWriter(target, identity_json=identity)
    import_tree(source, writer, queries, notices)
    writer.close()
    return notices.lines()


def test_a_tree_goes_in_whole(tree: Path, tmp_path: Path) -> None:
    told = imported(tree, tmp_path / "a.h5", QUERIES)
    assert told == ["-0awng26xQ8: frames and duration differ: 11 frames of 1 s, 12 s"]
    with open_features(tmp_path / "a.h5") as features:
        assert sorted(features.ids) == ["-0awng26xQ8", "Venice_4.0_64.0"]
        assert (features.dimension, features.hop_s, features.window_s) == (8, 1.0, 1.0)
        assert features.duration_s("-0awng26xQ8") == 12
        np.testing.assert_array_equal(features.frames("-0awng26xQ8"), np.full((11, 8), 11))
        assert list(features.queries) == ["a dog", "a cat"]  # each text once
        np.testing.assert_array_equal(features.text("a cat").tokens, tokens_of("a cat"))


def test_without_queries_durations_are_the_frames_and_told(tree: Path, tmp_path: Path) -> None:
    [told] = imported(tree, tmp_path / "a.h5", [])
    assert "no query gives the duration; it is taken from the frames (2 times" in told
    with open_features(tmp_path / "a.h5") as features:
        assert features.duration_s("-0awng26xQ8") == 11
        assert list(features.queries) == []


def test_missing_and_contradicting_vectors_are_told(tree: Path, tmp_path: Path) -> None:
    (tree / "clap_text" / "qid00001.npz").unlink()
    np.savez(tree / "clap_text" / "qid00002.npz", last_hidden_state=np.ones((2, 6), np.float32))
    told = imported(tree, tmp_path / "a.h5", QUERIES)
    assert "gt.jsonl:00001: no vectors of qid '00001' in the tree" in told
    assert "gt.jsonl:00002: the same words have other vectors elsewhere, the first are kept" in told


def test_in_and_out_is_the_same_tree(tree: Path, tmp_path: Path) -> None:
    imported(tree, tmp_path / "a.h5", QUERIES)
    notices = Notices()
    with open_features(tmp_path / "a.h5") as features:
        export_tree(features, tmp_path / "out", QUERIES, notices)
    assert notices.lines() == []
    files = [path.relative_to(tree) for path in sorted(tree.rglob("*.npz"))]
    assert [p.relative_to(tmp_path / "out") for p in sorted((tmp_path / "out").rglob("*.npz"))] == files
    for name in files:
        with np.load(tree / name) as before, np.load(tmp_path / "out" / name) as after:
            assert before.files == after.files
            for key in before.files:
                np.testing.assert_array_equal(before[key], after[key])


def test_an_existing_tree_is_left_alone(tree: Path, tmp_path: Path) -> None:
    imported(tree, tmp_path / "a.h5", QUERIES)
    with open_features(tmp_path / "a.h5") as features:
        with pytest.raises(InputError, match="exists already"):
            export_tree(features, tree, QUERIES, Notices())
        export_tree(features, tree, QUERIES, Notices(), force=True)


@pytest.mark.parametrize("name", ["", ".", "..", "a\\b", "a\0b"])
def test_names_that_no_file_can_have_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a file"):
        plain_name(name, "x.h5")


@pytest.mark.parametrize(("name", "file"), [("../x", "..%2Fx"), ("a/b", "a%2Fb"), ("/etc/x", "%2Fetc%2Fx")])
def test_names_cannot_leave_the_folder(name: str, file: str) -> None:
    assert plain_name(name, "x.h5") == file


def test_the_same_arrays_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_npz(tmp_path / name, {"features": np.ones((3, 2), np.float32)}, force=False, resume=False)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_tool_goes_both_ways(tree: Path, tmp_path: Path, amr: Amr) -> None:
    lines = [
        json.dumps({"qid": q.qid, "query": q.text, "vid": q.vid, "duration": q.duration_s}) for q in QUERIES
    ]
    (tmp_path / "gt.jsonl").write_text("\n".join(lines) + "\n")
    done = amr("extract", "--from-npz", tree, "--queries", "gt.jsonl", "-o", "a.h5", "--store", "float32")
    assert done.returncode == 0, done.stderr
    assert "frames and duration differ: 11 frames of 1 s, 12 s" in done.stderr
    assert done.stderr.endswith("2 recordings and 2 queries in a.h5\n")
    done = amr("extract", "a.h5", "--to-npz", "out", "--queries", "gt.jsonl")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "clap_text").glob("qid*.npz"))) == 3
    assert amr("extract", "--from-npz", tree, "--to-npz", "x").returncode == 2
    assert amr("extract", "--to-npz", "x").returncode == 2


def test_weights_are_an_option_where_the_encoder_takes_them(tmp_path: Path, amr: Amr) -> None:
    published.write_laion_pt(tmp_path / "w")
    soundfile.write(tmp_path / "a.wav", published.noise(3.0, 48_000), 48_000)
    done = amr(
        "extract",
        "a.wav",
        "--encoder",
        "clap",
        "--weights",
        "w",
        "--window",
        2,
        "-o",
        "a.h5",
        "--device",
        "cpu",
    )
    assert done.returncode == 0, done.stderr
    with open_features(tmp_path / "a.h5") as features:
        assert (features.window_s, features.num_frames("a")) == (2.0, 2)
    done = amr("extract", "a.wav", "--weights", "w", "-o", "b.h5")
    assert (done.returncode, "takes no weights" in done.stderr) == (2, True)
