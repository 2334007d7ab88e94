"""Validation says what prediction and scoring would say of the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_world import IDENTITY, World, query, record, tiny_plan

from amr.distributed import Processes
from amr.models.checkpoint import Checkpoint
from amr.models.detr.network import DetrNetwork
from amr.models.threads import ThreadPool
from amr.moments import FrameGrid
from amr.retrieval.trained.model import MomentModel
from amr.retrieval.trained.requests import ModelRequest
from amr.training.dataset import Dataset
from amr.training.plan import TrainingPlan
from amr.training.step import Stepper
from amr.training.validate import answer, area_under_curve, evaluate, figures


def made(plan: TrainingPlan, pool: ThreadPool) -> Stepper:
    torch.manual_seed(3)
    network = DetrNetwork(plan.network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Stepper(network, plan, pool, Processes())


def predicted(stepper: Stepper, dataset: Dataset) -> list[np.ndarray]:
    """The answers of the model that these weights would make."""
    weights = stepper.flat.named(stepper.kept_values)
    model = MomentModel(Checkpoint(stepper.plan.network, IDENTITY, weights=weights))
    asks = []
    for item in range(len(dataset)):
        recording, text = int(dataset.recording[item]), int(dataset.wordings[item][0])
        rows = slice(*dataset.frames.start[recording : recording + 2])
        tokens = slice(*dataset.tokens.start[text : text + 2])
        frames = dataset.frames.values[rows].float().numpy()
        asks.append(
            ModelRequest(
                "a",
                frames,
                FrameGrid(dataset.window_s, dataset.hop_s, len(frames)),
                float(dataset.durations_s[recording]),
                dataset.tokens.values[tokens].float().numpy(),
            )
        )
    return [np.array(each.moments)[:10] for each in model.predict(asks)]


@pytest.mark.parametrize("window_frames", [300, 8])
def test_answers_are_those_of_prediction(tmp_path: Path, window_frames: int) -> None:
    world = World(tmp_path)
    dataset = world.dataset(world.fill("val", 9, seed=5))
    with ThreadPool(2) as pool:
        stepper = made(tiny_plan(network={"window_frames": window_frames}), pool)
        found = answer(stepper, dataset)
    for mine, theirs in zip(found, predicted(stepper, dataset), strict=True):
        assert mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() < 1e-4


def test_evaluating_leaves_the_weights_alone_and_uses_the_average(tmp_path: Path) -> None:
    world = World(tmp_path)
    dataset = world.dataset(world.fill("val", 9, seed=5))
    with ThreadPool(1) as pool:
        stepper = made(tiny_plan(ema_decay=0.5), pool)
        average, before = stepper.average, stepper.flat.values.clone()
        assert average is not None
        average.add_(torch.randn_like(average))
        of_average = evaluate(stepper, dataset)
        assert torch.equal(stepper.flat.values, before)
        stepper.flat.values.copy_(average)
        assert evaluate(stepper, dataset) == of_average


def test_figures_of_perfect_and_of_empty_answers(tmp_path: Path) -> None:
    world = World(tmp_path)
    dataset = world.dataset(world.fill("val", 5, seed=5))
    perfect = [np.array([[*dataset.windows_of(item)[0], 0.9]]) for item in range(5)]
    found = figures(dataset, perfect)
    assert found == dict.fromkeys(("R1@0.5", "R1@0.7", "mAP", "mAP@0.5", "mAP@0.75", "mIoU"), 100.0)
    missed = figures(dataset, [np.array([[20.0, 24.0, 0.9]]) for _ in range(5)])
    assert missed["R1@0.5"] == 0.0


def test_absent_queries_count_for_the_curve_only(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.fill("val", 2, seed=5)
    records = [
        record(1, query(0), "val0", 12, [[0, 4]]),
        record(2, query(1), "val0", 12, []),
        record(3, query(2), "val1", 12, []),
    ]
    dataset = world.dataset(world.write("val", records))
    answers = [np.array([[0.0, 4.0, score]]) for score in (0.5, 0.4, 0.6)]
    found = figures(dataset, answers)
    assert found["AUC"] == 50.0
    assert found["R1@0.7"] == 100.0


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12), st.lists(st.integers(0, 5), min_size=1, max_size=12)
)
def test_area_under_the_curve_is_the_share_of_pairs(positive: list[int], negative: list[int]) -> None:
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    found = area_under_curve(np.array(positive, dtype=float), np.array(negative, dtype=float))
    assert found == pytest.approx(100 * sum(pairs) / len(pairs), abs=0.005 + 1e-9)
