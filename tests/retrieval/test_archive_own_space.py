"""The own space of a network with prototypes: what it hears in each frame, and where sentences lie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from archive_prototypes import AXES, WORDS, heard_alone, space_of, toy_network, toy_space
from archive_world import (
    DIMENSION,
    TEXT_DIMENSION,
    ToyEncoder,
    identity,
    text_features,
    wandering,
    write_features,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import Float32Array
from amr.formats.features.read import FeatureFile
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.models.checkpoint import Checkpoint
from amr.models.detr.network import DetrNetwork
from amr.models.presets import PRESETS, sized
from amr.retrieval.archive import index as any_index
from amr.retrieval.archive import index_file as frame_index
from amr.retrieval.archive import model_space
from amr.retrieval.archive.index import build_index, find_index
from amr.retrieval.archive.index_file import BLOCK_ROWS, MANIFEST, index_folder
from amr.retrieval.archive.model_space import ModelSpace, model_space_of
from amr.retrieval.archive.spaces import JointSpace
from amr.retrieval.trained.model import MomentModel

Floats = Float32Array
SEGMENT = 2 * BLOCK_ROWS
LENGTHS = [5000, 3, 7000, 1, 5500]
ROUNDING = 2.0 / 255  # of an axis between -1 and 1, a step


def cosines(own: ModelSpace, features: FeatureFile, meaning: Floats) -> Floats:
    frames = features.rows(0, features.total_frames).astype(np.float32)
    found: Floats = heard_alone(own, frames) @ meaning
    return found


@pytest.fixture
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_index, "SEGMENT_ROWS", SEGMENT)
    monkeypatch.setattr(any_index, "SEGMENT_ROWS", SEGMENT)


@pytest.fixture
def feats(tmp_path: Path, _short_segments: None) -> Path:
    """Two segments and a short third one; recordings lie across their borders."""
    return write_features(tmp_path / "feats.h5", LENGTHS)


def written(feats: Path, model: str = "toy") -> list[int]:
    return [path.stat().st_mtime_ns for path in sorted(index_folder(feats, model).glob("*.segment"))]


@given(ends=st.tuples(st.integers(0, 39), st.integers(0, 39)))
@settings(max_examples=30)
def test_any_stretch_is_as_its_frames_alone(ends: tuple[int, int]) -> None:
    frames = wandering(40, 1)[min(ends) : max(ends) + 1]
    values = toy_space().values(frames)
    assert np.allclose(values, heard_alone(toy_space(), frames), atol=1e-5)
    assert np.allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)


def test_the_basis_is_orthonormal_and_tells_sentences_apart_first(monkeypatch: pytest.MonkeyPatch) -> None:
    own = toy_space()
    whole = own.basis()
    assert whole.shape == (AXES, AXES)
    assert np.allclose(whole @ whole.T, np.eye(AXES), atol=1e-5)
    meanings = np.stack([own.meaning(text_features(words).tokens) for words in WORDS])
    told = np.square(meanings @ whole.T).sum(0)
    assert np.all(np.diff(told) <= 1e-5)
    monkeypatch.setattr(model_space, "AXES", 2)
    assert np.allclose(own.basis(), whole[:2], atol=1e-6)


def test_a_model_without_prototypes_has_no_space_of_its_own() -> None:
    config = sized(PRESETS["am-detr"], audio_dim=DIMENSION, text_dim=TEXT_DIMENSION).network
    assert (
        model_space_of(MomentModel(Checkpoint(config, identity(), weights=DetrNetwork(config).state_dict())))
        is None
    )
    network = toy_network()
    fitted = MomentModel(Checkpoint(network.config, identity(), weights=network.state_dict()), name="toy")
    found = model_space_of(fitted)
    assert found is not None
    assert found.model == "toy"
    assert np.allclose(found.probe(DIMENSION), toy_space().probe(DIMENSION), atol=1e-6)


def test_a_query_is_cut_as_the_network_cuts_it() -> None:
    own = toy_space()
    tokens = np.random.default_rng(0).normal(size=(50, TEXT_DIMENSION)).astype(np.float32)
    most = toy_network().config.max_tokens
    assert np.array_equal(own.meaning(tokens), own.meaning(tokens[:most]))
    assert not np.allclose(own.meaning(tokens), own.meaning(tokens[: most - 1]))


def test_the_index_gives_the_cosine(feats: Path) -> None:
    own = toy_space()
    with FeatureFile(feats) as features:
        build_index(features, own)
        index = find_index(features, own)
        assert index is not None
        assert index.num_segments == 3
        for text in ("rain", "a dog barks"):
            meaning = own.meaning(text_features(text).tokens)
            off = np.abs(index.similarity(meaning, 0.0) - cosines(own, features, meaning))
            assert 0 < off.max() < 0.5 * ROUNDING * np.abs(own.basis() @ meaning).sum() + 1e-5
    assert index_folder(feats, "toy").name == "feats.h5.toy.index"
    assert not index_folder(feats).exists()


def test_both_indexes_lie_beside_each_other(feats: Path) -> None:
    with FeatureFile(feats) as features:
        build_index(features, JointSpace(ToyEncoder()))
        build_index(features, toy_space())
        assert find_index(features, JointSpace(ToyEncoder())) is not None
        assert find_index(features, toy_space()) is not None


def test_added_recordings_cost_the_last_segments_only(feats: Path) -> None:
    own = toy_space()
    with FeatureFile(feats) as features:
        build_index(features, own)
    before = written(feats)
    write_features(feats, [9000], first=len(LENGTHS))
    with FeatureFile(feats) as features:
        assert find_index(features, own) is None
        index = build_index(features, own)
        after = written(feats)
        assert after[:2] == before[:2]
        assert after[2] != before[2]
        assert len(after) == 4
        meaning = own.meaning(text_features("rain").tokens)
        assert np.abs(index.similarity(meaning, 0.0) - cosines(own, features, meaning)).max() < ROUNDING


def test_the_same_frames_cut_into_other_recordings_keep_their_index(feats: Path) -> None:
    """What becomes of a frame depends on nothing else."""
    own = toy_space()
    with FeatureFile(feats) as features:
        build_index(features, own)
        frames = features.rows(0, features.total_frames).astype(np.float32)
    before = written(feats)
    feats.unlink()
    create_feature_file(feats, identity_json=identity().to_json(), store="float16")
    writer = FeatureWriter(feats, identity_json=identity().to_json())
    for number, part in enumerate(np.split(frames, [5000, 5003, 12003, 12010])):
        writer.add(f"r{number}", part, duration_s=0.5 * len(part) + 0.5)
    writer.close()
    with FeatureFile(feats) as features:
        index = build_index(features, own)
        meaning = own.meaning(text_features("rain").tokens)
        assert np.abs(index.similarity(meaning, 0.0) - cosines(own, features, meaning)).max() < ROUNDING
    assert written(feats) == before


def test_other_weights_are_recognised(feats: Path) -> None:
    with FeatureFile(feats) as features:
        build_index(features, toy_space())
        other = toy_space(seed=1)
        assert find_index(features, other) is None
        before = written(feats)
        build_index(features, other)
        assert find_index(features, other) is not None
        assert find_index(features, toy_space()) is None
        assert not set(before) & set(written(feats))


def test_weights_that_frames_do_not_pass_change_nothing(feats: Path) -> None:
    network = toy_network()
    with FeatureFile(feats) as features:
        build_index(features, space_of(network))
        with torch.no_grad():
            network.head.weight.add_(1.0)
            network.stem.up.weight.add_(1.0)
        assert find_index(features, space_of(network)) is not None


class StopError(Exception):
    """Ends a making in the middle."""


def test_an_interrupted_making_goes_on_on_the_axes_it_began_with(
    feats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = toy_space()

    def stop(done: int, total: int) -> None:
        raise StopError

    with FeatureFile(feats) as features:
        with pytest.raises(StopError):
            build_index(features, own, stop)
        assert torch.get_num_threads() >= 1
        assert find_index(features, own) is None
        before = written(feats)
        turned = own.basis()[::-1].copy()
        monkeypatch.setattr(ModelSpace, "basis", lambda self: turned)  # as other libraries' signs might be
        index = build_index(features, own)
        assert written(feats)[:1] == before
        meaning = own.meaning(text_features("rain").tokens)
        assert np.abs(index.similarity(meaning, 0.0) - cosines(own, features, meaning)).max() < ROUNDING


@pytest.mark.parametrize("damage", ["ragged", "NaN", "other dimensions", "no rows"])
def test_a_damaged_basis_is_as_good_as_no_index(feats: Path, damage: str) -> None:
    own = toy_space()
    with FeatureFile(feats) as features:
        build_index(features, own)
        path = index_folder(feats, "toy") / MANIFEST
        record = json.loads(path.read_bytes())
        basis = record["basis"]
        record["basis"] = {
            "ragged": [basis[0], basis[1][:-1]],
            "NaN": [[float("nan"), *basis[0][1:]], *basis[1:]],
            "other dimensions": [row[:-1] for row in basis],
            "no rows": [],
        }[damage]
        path.write_text(json.dumps(record))
        assert find_index(features, own) is None
        build_index(features, own)
        assert find_index(features, own) is not None
