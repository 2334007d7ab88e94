"""The joint-space index beside a feature file: near the frames, and never another file's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from archive_world import AXES, ToyEncoder, write_features
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from amr.errors import InputError
from amr.formats.features.read import FeatureFile
from amr.retrieval.archive import index as joint_index
from amr.retrieval.archive import index_file as frame_index
from amr.retrieval.archive.index import LEFT_OUT, axes_that_count, build_index, find_index
from amr.retrieval.archive.index_file import BLOCK_ROWS, MANIFEST, index_folder, read_manifest, segment_path
from amr.retrieval.archive.spaces import JointSpace

SEGMENT = 2 * BLOCK_ROWS


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several segments without many frames."""
    monkeypatch.setattr(frame_index, "SEGMENT_ROWS", SEGMENT)
    monkeypatch.setattr(joint_index, "SEGMENT_ROWS", SEGMENT)


@pytest.fixture
def feats(tmp_path: Path) -> Path:
    """Two segments and a short third one; recordings lie across their borders."""
    return write_features(tmp_path / "feats.h5", [5000, 3, 7000, 1, 5500])


def written(feats: Path) -> list[int]:
    """When each segment was written."""
    return [path.stat().st_mtime_ns for path in sorted(index_folder(feats).glob("*.segment"))]


def exact(features: FeatureFile, encoder: ToyEncoder, vector: np.ndarray) -> np.ndarray:
    return encoder.joint_audio(features.rows(0, features.total_frames).astype(np.float32)) @ vector


def test_the_index_is_as_near_as_its_steps_and_the_axes_left_out_allow(feats: Path) -> None:
    encoder = ToyEncoder()
    with FeatureFile(feats) as features:
        index = build_index(features, JointSpace(encoder))
        assert index.num_segments == 3
        for seed in range(5):
            vector = np.random.default_rng(seed).normal(size=AXES).astype(np.float32) ** 3
            reach = np.abs(vector) * 8  # tanh times 4
            off = np.abs(index.similarity(vector) - exact(features, encoder, vector))
            assert off.max() <= (0.5 / 255 + LEFT_OUT) * reach.sum() + 1e-4
            assert off.max() > 0


@given(arrays(np.float32, 9, elements=st.floats(-8, 8, width=32)))
@settings(max_examples=50)
def test_axes_left_out_weigh_little_and_are_the_least(vector: np.ndarray) -> None:
    spread = np.linspace(0.5, 2, 9, dtype=np.float32)
    kept = axes_that_count(vector, spread)
    reach = np.abs(vector.astype(np.float64)) * spread
    left = np.delete(reach, kept)
    assert left.sum() <= LEFT_OUT * reach.sum() + 1e-9
    assert list(kept) == sorted(set(kept.tolist()))
    if len(left) and len(kept):
        assert left.max() <= reach[kept].min()


def test_a_constant_axis_is_exact(tmp_path: Path) -> None:
    class Flat(ToyEncoder):
        def joint_audio(self, frames: np.ndarray) -> np.ndarray:
            joint = super().joint_audio(frames)
            joint[:, 0] = 2.5
            return joint

    with FeatureFile(write_features(tmp_path / "a.h5", [40])) as features:
        vector = np.eye(AXES, dtype=np.float32)[0]
        assert np.array_equal(
            build_index(features, JointSpace(Flat())).similarity(vector), np.full(40, 2.5, np.float32)
        )


def test_it_is_found_again_and_costs_no_second_making(feats: Path) -> None:
    with FeatureFile(feats) as features:
        assert find_index(features, JointSpace(ToyEncoder())) is None
        made = build_index(features, JointSpace(ToyEncoder()))
        before = written(feats)
        found = find_index(features, JointSpace(ToyEncoder()))
        build_index(features, JointSpace(ToyEncoder()))
    assert found is not None
    assert found.manifest == made.manifest
    assert np.array_equal(found.spread, made.spread)
    assert written(feats) == before


def test_an_unchanged_file_is_not_read_again(feats: Path) -> None:
    with FeatureFile(feats) as features:
        made = build_index(features, JointSpace(ToyEncoder()))
        with mock.patch.object(FeatureFile, "rows", side_effect=AssertionError("read")):
            assert build_index(features, JointSpace(ToyEncoder())).manifest == made.manifest


def test_added_recordings_cost_the_last_segments_only(feats: Path) -> None:
    encoder = ToyEncoder()
    with FeatureFile(feats) as features:
        build_index(features, JointSpace(encoder))
    before = written(feats)
    write_features(feats, [9000], first=5)
    with FeatureFile(feats) as features:
        assert find_index(features, JointSpace(encoder)) is None
        index = build_index(features, JointSpace(encoder))
        after = written(feats)
        assert after[:2] == before[:2]
        assert after[2] != before[2]
        assert len(after) == 4
        vector = np.ones(AXES, dtype=np.float32)
        assert np.abs(index.similarity(vector) - exact(features, encoder, vector)).max() < 1


def test_another_file_under_the_same_name_is_noticed(feats: Path) -> None:
    with FeatureFile(feats) as features:
        build_index(features, JointSpace(ToyEncoder()))
    before = written(feats)
    feats.unlink()
    write_features(feats, [5000, 3, 7000, 2, 5499])  # as many frames, the last ones others
    with FeatureFile(feats) as features:
        assert find_index(features, JointSpace(ToyEncoder())) is None
        build_index(features, JointSpace(ToyEncoder()))
        assert find_index(features, JointSpace(ToyEncoder())) is not None
    after = written(feats)
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[2] != before[2]


def test_a_copy_with_another_time_is_compared_and_kept(feats: Path) -> None:
    with FeatureFile(feats) as features:
        build_index(features, JointSpace(ToyEncoder()))
        before = written(feats)
        os.utime(feats, ns=(1, 1))
        assert find_index(features, JointSpace(ToyEncoder())) is None
        build_index(features, JointSpace(ToyEncoder()))
        assert find_index(features, JointSpace(ToyEncoder())) is not None
    assert written(feats) == before


def test_another_joint_space_of_the_same_frames_is_another_index(feats: Path) -> None:
    with FeatureFile(feats) as features:
        build_index(features, JointSpace(ToyEncoder()))
        assert find_index(features, JointSpace(ToyEncoder(twist=1))) is None
        before = written(feats)
        build_index(features, JointSpace(ToyEncoder(twist=1)))
        assert find_index(features, JointSpace(ToyEncoder(twist=1))) is not None
    assert not set(before) & set(written(feats))


class StopError(Exception):
    """Ends a making in the middle."""


def stop_after(count: int) -> Callable[[int, int], None]:
    def stop(done: int, total: int) -> None:
        if done == count:
            raise StopError

    return stop


def test_an_interrupted_making_is_no_index_and_is_gone_on_with(feats: Path) -> None:
    with FeatureFile(feats) as features:
        with pytest.raises(StopError):
            build_index(features, JointSpace(ToyEncoder()), stop_after(2))
        before = written(feats)
        assert len(before) == 2
        assert find_index(features, JointSpace(ToyEncoder())) is None
        build_index(features, JointSpace(ToyEncoder()))
        assert written(feats)[:2] == before
        assert find_index(features, JointSpace(ToyEncoder())) is not None
    assert not list(index_folder(feats).glob(".*"))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_interrupted_making_for_another_joint_space_is_not_taken_for_the_old_one(
    feats: Path, count: int
) -> None:
    with FeatureFile(feats) as features:
        build_index(features, JointSpace(ToyEncoder()))
        with pytest.raises(StopError):
            build_index(features, JointSpace(ToyEncoder(twist=1)), stop_after(count))
        assert find_index(features, JointSpace(ToyEncoder())) is None
        assert find_index(features, JointSpace(ToyEncoder(twist=1))) is None
        before = written(feats)
        build_index(features, JointSpace(ToyEncoder()))
        assert not set(before) & set(written(feats))
        assert find_index(features, JointSpace(ToyEncoder())) is not None


def damages() -> dict[str, bytes | None]:
    good = {"amr_format": "frame index", "schema": 1, "encoder": "x", "source_bytes": 1, "source_mtime_ns": 1}
    return {
        "gone": None,
        "empty": b"",
        "no JSON": b"\0\xff",
        "deep": b"[" * 200_000,
        "a list": b"[]",
        "newer": json.dumps({**good, "schema": 2}).encode(),
        "rows that are none": json.dumps(
            {**good, "probe": [[0.0]], "segments": [{"rows": 2**60, "sha256": "a"}]}
        ).encode(),
        "ragged": json.dumps({**good, "probe": [[0.0], [0.0, 1.0]], "segments": []}).encode(),
        "no probe": json.dumps({**good, "probe": [], "segments": []}).encode(),
    }


@pytest.mark.parametrize("damage", sorted(damages()))
def test_a_damaged_manifest_is_as_good_as_none(feats: Path, damage: str) -> None:
    data = damages()[damage]
    with FeatureFile(feats) as features:
        build_index(features, JointSpace(ToyEncoder()))
        path = index_folder(feats) / MANIFEST
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        assert find_index(features, JointSpace(ToyEncoder())) is None
        build_index(features, JointSpace(ToyEncoder()))
        assert find_index(features, JointSpace(ToyEncoder())) is not None


def test_a_manifest_too_large_to_be_one_is_not_read(feats: Path) -> None:
    folder = index_folder(feats)
    folder.mkdir()
    with open(folder / MANIFEST, "wb") as file:
        file.truncate(2**33)
    with pytest.raises(InputError, match="larger than"):
        read_manifest(folder)


@pytest.mark.parametrize("damage", ["gone", "cut", "longer", "head", "table"])
def test_a_damaged_segment_is_noticed_and_made_again(feats: Path, damage: str) -> None:
    with FeatureFile(feats) as features:
        build_index(features, JointSpace(ToyEncoder()))
        path = segment_path(index_folder(feats), 1)
        data = path.read_bytes()
        nan = np.float32(np.nan).tobytes()
        changed = {
            "cut": data[:-1],
            "longer": data + b"x",
            "head": data.replace(b'"axes": ', b'"axes": 1', 1),
            "table": data[:4096] + nan + data[4100:],
        }
        path.unlink() if damage == "gone" else path.write_bytes(changed[damage])
        assert find_index(features, JointSpace(ToyEncoder())) is None
        build_index(features, JointSpace(ToyEncoder()))
        index = find_index(features, JointSpace(ToyEncoder()))
    assert index is not None
    assert path.read_bytes() == data


def test_frames_that_are_no_numbers_and_empty_files_are_refused(tmp_path: Path) -> None:
    class Broken(ToyEncoder):
        def joint_audio(self, frames: np.ndarray) -> np.ndarray:
            return super().joint_audio(frames) * np.float32(np.nan if len(frames) > 4 else 1)

    with FeatureFile(write_features(tmp_path / "a.h5", [40])) as features:
        with pytest.raises(InputError, match="not finite"):
            build_index(features, JointSpace(Broken()))
        assert find_index(features, JointSpace(Broken())) is None
    with (
        FeatureFile(write_features(tmp_path / "b.h5", [])) as features,
        pytest.raises(InputError, match="no frame"),
    ):
        build_index(features, JointSpace(ToyEncoder()))
