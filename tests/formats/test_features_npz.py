"""Trees of ``.npz`` files, as Lighthouse and DCASE publish them, behind the same interface."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from amr.arrays import AnyArray, Float32Array
from amr.encoders.stored import require_same_encoder, stored_identity
from amr.errors import InputError
from amr.formats.features.npz import NpzTree
from amr.formats.features.open import open_features
from amr.moments import FrameGrid

FRAMES = {"Venice_4.0_64.0": 60, "--0w1YA1Hm4": 298, "qid_as_a_name": 3}


def frames_of(vid: str) -> Float32Array:
    return np.random.default_rng(len(vid)).standard_normal((FRAMES[vid], 768)).astype(np.float32)


def tokens_of(qid: str) -> Float32Array:
    return np.random.default_rng(int(qid)).standard_normal((4 + int(qid) % 3, 768)).astype(np.float32)


def write_tree(root: Path, audio: str = "clap", text: str = "clap_text") -> Path:
    for folder in (root / audio, root / text):
        folder.mkdir(parents=True, exist_ok=True)
    for vid in FRAMES:
        np.savez(root / audio / f"{vid}.npz", features=frames_of(vid))
    for qid in ("00000", "7"):
        np.savez_compressed(root / text / f"qid{qid}.npz", last_hidden_state=tokens_of(qid))
    return root


@pytest.mark.parametrize(("audio", "text"), [("clap", "clap_text"), (".", ".")])
def test_a_published_tree(tmp_path: Path, audio: str, text: str) -> None:
    with open_features(write_tree(tmp_path, audio, text)) as reader:
        assert sorted(reader.ids) == sorted(FRAMES)
        assert reader.identity_json is None
        assert stored_identity(reader) is None
        assert (reader.window_s, reader.hop_s, reader.dimension) == (1.0, 1.0, 768)
        for vid, count in FRAMES.items():
            assert np.array_equal(reader.frames(vid), frames_of(vid))
            assert reader.duration_s(vid) == count
            assert reader.grid(vid) == FrameGrid(1.0, 1.0, count)
        assert [recording.id for recording in reader] == list(reader.ids)
        assert np.array_equal(reader.text("whatever", qid="00000").tokens, tokens_of("00000"))
        assert np.array_equal(reader.text("whatever", qid=7).tokens, tokens_of("7"))
        assert np.allclose(reader.text("whatever", qid=7).pooled, tokens_of("7").mean(axis=0))
        assert not reader.has_text("whatever", qid="0")  # 0 and 00000 are different ids in this field
        packed = reader.packed()
        assert packed.frames.shape == (sum(FRAMES.values()), 768)
        assert packed.start[-1] == sum(FRAMES.values())
        for unknown in (lambda: reader.frames("nobody"), lambda: reader.source("nobody")):
            with pytest.raises(InputError, match="no features of recording 'nobody'"):
                unknown()
        with pytest.raises(InputError, match=r"no text features of the query 'a dog \(qid 5\)'"):
            reader.text("a dog", qid=5)


def test_an_unknown_encoder_fits_by_its_dimension_only(tmp_path: Path) -> None:
    from feature_fakes import identity

    tree = NpzTree(write_tree(tmp_path))
    require_same_encoder(tree, identity(dimension=768))
    with pytest.raises(InputError, match=r"an unknown encoder of 768 dimensions, this needs .*fake"):
        require_same_encoder(tree, identity(dimension=512))


def test_trees_and_files_do_not_mix_unseen(tmp_path: Path) -> None:
    from feature_fakes import identity

    from amr.formats.features.output import open_feature_output

    tree, path = write_tree(tmp_path / "tree"), tmp_path / "f.h5"
    with open_feature_output(path, identity_json=identity().to_json(), store="float16"):
        pass
    with pytest.raises(InputError, match="unknown encoder of 768 dimensions"):
        open_features(path, tree)
    with pytest.raises(InputError, match=r"is in .* as well"):
        open_features(tree, tree)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    write_tree(tmp_path / "train")
    write_tree(tmp_path / "test")
    with pytest.raises(InputError, match="as well"):
        NpzTree(tmp_path)


def test_a_folder_without_features(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.npz file"):
        NpzTree(tmp_path)


def npz(array: AnyArray, key: str = "features") -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{key: array})
    return buffer.getvalue()


def with_header(shape: str) -> bytes:
    """An archive whose array's header claims a shape that its bytes do not have."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "features.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(400)
        )
    return buffer.getvalue()


def pickled() -> bytes:
    return npz(np.array([["a", None]], dtype=object))


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a complete .npz"),
    "text": (lambda: b"not a zip" * 20, "not a complete .npz"),
    "cut": (lambda: npz(np.ones((60, 768), np.float32))[:-300], "not a complete .npz"),
    "another key": (
        lambda: npz(np.ones((3, 4), np.float32), "feats"),
        "key 'features' is missing; keys found: feats",
    ),
    "one axis": (lambda: npz(np.ones(5, np.float32)), "expected two axes of floats"),
    "integers": (lambda: npz(np.ones((3, 4), np.int64)), "expected two axes of floats"),
    "pickled objects": (pickled, "expected two axes of floats"),
    "NaN": (lambda: npz(np.full((3, 768), np.nan, np.float32)), "undefined values"),
    "a claim of 2^60 rows": (lambda: with_header(f"({2**60}, 768)"), "more than the file holds"),
    "a claim below zero": (lambda: with_header("(-5, 768)"), "cannot be read|expected"),
    "a header that is code": (lambda: with_header("__import__('os').getpid()"), "cannot be read"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, kind: str) -> None:
    make, message = BROKEN[kind]
    write_tree(tmp_path)
    (tmp_path / "clap" / "broken.npz").write_bytes(make())
    with NpzTree(tmp_path) as tree, pytest.raises(InputError, match=message) as caught:
        tree.frames("broken")
    assert caught.value.where.endswith("broken.npz")


def test_all_of_one_dimension(tmp_path: Path) -> None:
    write_tree(tmp_path)
    np.savez(tmp_path / "clap" / "other.npz", features=np.ones((3, 512), np.float32))
    with NpzTree(tmp_path) as tree, pytest.raises(InputError, match="512 dimensions, the others have 768"):
        tree.frames("other")


def test_fortran_order_and_float16(tmp_path: Path) -> None:
    frames = np.arange(12, dtype=np.float16).reshape(4, 3)
    np.savez(tmp_path / "x.npz", features=np.asfortranarray(frames))
    assert np.array_equal(NpzTree(tmp_path).frames("x"), frames)
