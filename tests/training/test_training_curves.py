"""Curves of several kinds and hops to learn from: what prediction would see, and what is drawn belongs to the
item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training_similarity import JointEncoder
from training_world import World, tiny_plan

from amr.distributed import Processes
from amr.functional import unit
from amr.models.build import build_network
from amr.models.frames.shapes import SHAPES, curve_shapes, scale_of
from amr.models.threads import ThreadPool
from amr.models.train_settings import CURVE_KINDS, TrainSettings
from amr.training.batches import draw_batch, gather_chunk
from amr.training.curve_kinds import HOPS_S, CurveDraws, CurveFeatures, bent, draw_hop
from amr.training.dataset import Dataset
from amr.training.loading import LoadOptions
from amr.training.step import Stepper
from amr.training.validate import evaluate

CPU = torch.device("cpu")
TINY = {"audio_dim": 1, "text_dim": 1, "hidden_dim": 16, "feedforward_dim": 16, "encoder_layers": 1}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    world, encoder = World(tmp_path), JointEncoder()
    options = LoadOptions(
        memory_bytes=1 << 30,
        joint_encoder=encoder,  # type: ignore[arg-type]  # as much of one as is needed
        similarity_channels=len(SHAPES),
        curve_kinds=CURVE_KINDS,
    )
    return world.dataset(world.fill("train", 12, seed=0, frames=(30, 40)), options)


def spaces_of(dataset: Dataset) -> CurveFeatures:
    assert isinstance(dataset.joint, CurveFeatures)
    return dataset.joint


def drawn_curves(dataset: Dataset, items: np.ndarray, part: slice) -> torch.Tensor:
    settings = TrainSettings(crop_share=0.5, absent_share=0.5)
    batch = draw_batch(dataset, items, settings, 3, window_frames=300)
    curves = gather_chunk(dataset, batch, part, settings, CPU, max_tokens=32).inputs.curves
    assert curves is not None
    return curves


def test_its_own_curves_are_those_of_prediction(dataset: Dataset) -> None:
    features = spaces_of(dataset)
    items = np.arange(len(dataset))
    texts = np.array([each[0] for each in dataset.wordings])
    counts = dataset.num_frames
    own = CurveDraws(np.zeros_like(items), items)
    found = features.curves(dataset.recording, texts, np.zeros_like(items), counts, None, own)
    for item in items:
        rows = slice(*features.start[dataset.recording[item] :][:2])
        joint = features.joint[rows].astype(np.float32)
        curve = joint @ features.text[texts[item]]
        wanted = curve_shapes(curve, scale_of(curve), joint)
        assert np.allclose(found[item, : counts[item]], wanted, atol=1e-5)
        assert not found[item, counts[item] :].any()


def test_kinds_are_the_spaces_that_they_are_called(dataset: Dataset) -> None:
    features = spaces_of(dataset)
    rows = slice(*features.start[:2])
    joint, frames = features.joint[rows].astype(np.float32), features.frames[rows].astype(np.float32)
    wanted = {"own": joint, "cosine": unit(joint), "root": unit(np.exp(joint / 2)), "example": unit(frames)}
    for number, kind in enumerate(features.kinds):
        space, vector = features.compared(0, 0, number, 0)
        assert np.allclose(space, wanted[kind], atol=1e-6)
        assert kind == "own" or np.isclose(np.linalg.norm(vector), 1)
    features.examples[0] = 0  # an item of which nothing is heard: its words stand for it
    assert np.allclose(features.compared(0, 0, CURVE_KINDS.index("example"), 0)[0], unit(joint), atol=1e-6)


def test_an_example_is_of_another_recording_and_means_the_same(dataset: Dataset) -> None:
    items = np.arange(len(dataset))
    for place in (0.0, 0.3, 0.99):
        other = dataset.example_of(items, np.full(len(items), place))
        assert (dataset.meaning[other] == dataset.meaning).all()
        is_alone = np.bincount(dataset.meaning)[dataset.meaning] == 1
        assert ((dataset.recording[other] != dataset.recording) | is_alone).all()
        assert 0 < is_alone.sum() < len(items)


def test_another_hop_takes_every_second_frame_or_lies_between(dataset: Dataset) -> None:
    features = spaces_of(dataset)
    twice, half = (spaces_of(dataset.at_hop(factor * dataset.hop_s)) for factor in (2, 0.5))
    whole = features.points(features.joint, 0)
    assert np.array_equal(twice.points(twice.joint, 0), whole[::2])
    fine = half.points(half.joint, 0)
    assert np.allclose(fine[::2], whole)
    assert np.allclose(fine[1::2], (whole[1:] + whole[:-1]) / 2, atol=1e-6)
    assert dataset.at_hop(2.0).num_frames.tolist() == [-(-count // 2) for count in dataset.num_frames]
    with pytest.raises(ValueError, match="only curves"):
        replace(dataset, joint=None).at_hop(1.0)


def test_what_is_drawn_belongs_to_the_item(dataset: Dataset) -> None:
    whole = drawn_curves(dataset, np.arange(12), slice(4, 6))
    alone = drawn_curves(dataset, np.arange(4, 6), slice(0, 2))
    assert torch.equal(whole, alone)
    assert not torch.equal(whole, drawn_curves(dataset, np.arange(4, 6)[::-1].copy(), slice(0, 2)))
    hops = {draw_hop(0, epoch, batch) for epoch in range(9) for batch in range(9)}
    assert hops == set(HOPS_S)


def test_bending_keeps_the_order_but_for_noise() -> None:
    curve = np.linspace(0, 1, 50).astype(np.float32) ** 3
    same, scale = bent(curve, None, 0.5)
    assert same is curve
    assert scale == scale_of(curve)
    for bend in (0.0, 1.0):
        found, _ = bent(curve, np.array([0.9, bend, 0.0, 0.5, 0.9], np.float32), 0.5)
        assert (np.diff(found) >= 0).all()
    _, longer = bent(curve, np.array([0.9, 0.5, 0.0, 0.5, 0.2], np.float32), 0.5)
    assert longer.peak > 1.5
    noisy, _ = bent(curve, np.array([0.9, 0.5, 1.0, 0.5, 0.9], np.float32), 0.5)
    assert (np.diff(noisy) < 0).any()


def test_it_learns_and_is_validated_without_a_number_of_the_frames(dataset: Dataset) -> None:
    plan = tiny_plan("curves", network=TINY, absent_share=0.0)
    assert dataset.frames.values.shape[1] == 0
    with ThreadPool(1) as pool:
        stepper = Stepper(build_network(plan.network), plan, pool, Processes())
        losses = []
        for step in range(30):
            data = dataset.at_hop(draw_hop(0, 0, step))
            batch = draw_batch(data, np.arange(12), plan.training, step, window_frames=300)
            stepper.step(data, batch, learning_rate=5e-3, step=step)
            losses.append(stepper.take_means(12)["total"])
        assert stepper.broken_at() is None
        assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
        assert set(evaluate(stepper, dataset)) >= {"R1@0.7", "mAP"}


@pytest.mark.parametrize("kinds", ["", "own like"])
def test_kinds_that_are_none_are_refused(kinds: str) -> None:
    with pytest.raises(ValueError, match="expected some of own, cosine, root, example"):
        TrainSettings(curve_kinds=kinds)
