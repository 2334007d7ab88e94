"""What is measured of the training data before the first step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from training_world import DIM, SOUNDS, World, query, record, tiny_plan

from amr.models.build import build_network
from amr.models.frames.network import FrameNetwork, compressed
from amr.models.frames.prototypes import Prototypes, even
from amr.training import measure as measuring
from amr.training.dataset import Dataset
from amr.training.measure import blocks, measure, prototypes_of, rows_of, sample, sentences_of


def network(capacity: int = 50, axes: int = DIM) -> FrameNetwork:
    torch.manual_seed(0)
    switches = {"prototypes": capacity, "prototype_axes": axes, "similarity_channels": 0}
    found = build_network(tiny_plan("best", network=switches).network)
    assert isinstance(found, FrameNetwork)
    return found


def measured(dataset: Dataset, axes: int = DIM) -> Prototypes:
    found = network(axes=axes)
    measure(found, dataset)
    assert found.prototypes is not None
    return found.prototypes


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    world = World(tmp_path)
    return world.dataset(world.fill("train", 30, seed=1))


def test_frames_are_white_along_their_axes(dataset: Dataset) -> None:
    white = measured(dataset, axes=5).whitening(even(compressed(dataset.frames.values)))
    assert white.shape == (len(dataset.frames.values), 5)
    assert white.mean(0).abs().max() < 1e-2
    assert white.var(0).max() < 1.1


def test_a_prototype_is_the_mean_direction_in_the_moments(dataset: Dataset) -> None:
    known = measured(dataset)
    found = prototypes_of(known, dataset)
    assert sorted(found) == list(range(SOUNDS))
    for meaning, direction in found.items():
        means = []
        for item in np.flatnonzero(dataset.meaning == meaning):
            frames = dataset.frames.values[torch.from_numpy(rows_of(dataset, int(item)))]
            means.append(known.directions(compressed(frames)).mean(0))
        expected = functional.normalize(torch.stack(means).mean(0), dim=0)
        assert torch.allclose(direction, expected, atol=1e-5)


def test_blocks_change_no_prototype(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    known = measured(dataset)
    whole = prototypes_of(known, dataset)
    monkeypatch.setattr(measuring, "BLOCK_FRAMES", 7)
    for meaning, direction in prototypes_of(known, dataset).items():
        assert torch.allclose(direction, whole[meaning], atol=1e-5)


@pytest.mark.parametrize("sizes", [[3, 3, 3], [20, 1, 1], [1], []])
def test_blocks_hold_every_item_once(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "BLOCK_FRAMES", 6)
    found = blocks(sizes)
    assert [place for first, stop in found for place in range(first, stop)] == list(range(len(sizes)))
    assert all(sum(sizes[first:stop]) <= 6 or stop == first + 1 for first, stop in found)


def test_frames_of_overlapping_moments_count_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", np.ones((20, DIM), dtype=np.float32))
    rows = [[2.0, 6.0], [4.0, 8.0]]
    dataset = world.dataset(world.write("train", [record(0, query(0), "a", 20.0, rows)]))
    assert rows_of(dataset, 0).tolist() == [2, 3, 4, 5, 6, 7]


def test_sentences_are_taken_evenly_where_there_are_too_many(dataset: Dataset) -> None:
    texts, meaning = sentences_of(dataset, set(range(SOUNDS)), capacity=100)
    assert sorted(texts.tolist()) == sorted({int(each[0]) for each in dataset.wordings})
    assert meaning.tolist() == sorted(meaning.tolist())
    few, _ = sentences_of(dataset, set(range(SOUNDS)), capacity=2)
    assert set(few.tolist()) == {texts[0], texts[-1]}
    assert sentences_of(dataset, set(), capacity=2)[0].tolist() == []


def test_the_network_knows_what_it_was_trained_on(dataset: Dataset) -> None:
    known = measured(dataset)
    for item in range(len(dataset)):
        text = int(dataset.wordings[item][0])
        tokens = dataset.tokens.values[dataset.tokens.start[text] : dataset.tokens.start[text + 1]]
        meant = known.meaning(tokens[None], None)[0]
        first = int(dataset.frames.start[dataset.recording[item]])
        frames = dataset.frames.values[first : first + int(dataset.num_frames[item])]
        cosine = functional.cosine_similarity(known.directions(compressed(frames)), meant)
        inside = np.isin(np.arange(first, first + len(frames)), rows_of(dataset, item))
        assert cosine[inside].mean() > cosine[~inside].mean() + 0.5


def test_without_a_moment_there_is_nothing_to_know(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", np.random.default_rng(0).normal(size=(20, DIM)).astype(np.float32))
    dataset = world.dataset(world.write("train", [record(0, query(0), "a", 20.0, [])]))
    known = measured(dataset)
    assert known.left_out is None
    assert not known.duals.any()


def test_a_sample_is_even_and_whole_where_it_can_be() -> None:
    frames = torch.arange(10.0)[:, None]
    assert torch.equal(sample(frames), frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "MEASURED_FRAMES", 4)
        assert sample(frames)[:, 0].tolist() == [0.0, 3.0, 6.0, 9.0]


def test_other_networks_are_left_alone(dataset: Dataset) -> None:
    plain = build_network(tiny_plan("best", network={"prototype_axes": 0, "prototypes": 0}).network)
    assert isinstance(plain, FrameNetwork)
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    measure(plain, dataset)
    assert all(torch.equal(value, before[name]) for name, value in plain.state_dict().items())
