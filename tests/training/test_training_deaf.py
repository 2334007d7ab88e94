"""A network learns what sentences mean: another name gets other answers; one that answers alike is told."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_world import IDENTITY, World, query, record, tiny_plan

from amr.distributed import Processes
from amr.errors import UsageError
from amr.models.build import build_network
from amr.models.threads import ThreadPool
from amr.tasks.deafness import DeafnessWatch
from amr.training.advice import (
    LEAST_STEPS,
    SMALL_DATA_BATCH,
    fitted,
    require_learnable,
    steps_a_pass,
    steps_line,
    warnings,
)
from amr.training.dataset import Dataset
from amr.training.exchange import Exchange, exchange
from amr.training.job import RunFiles, TrainingJob
from amr.training.plan import TrainingPlan
from amr.training.run import TrainingRun
from amr.training.step import Stepper

EPOCHS = 30


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Dataset, Dataset]:
    """Recordings of two sounds each, one of which is asked for."""
    world = World(tmp_path)
    train, val = (
        world.fill("train", 160, seed=0, frames=(20, 21)),
        world.fill("val", 60, seed=1, frames=(20, 21)),
    )
    return world.dataset(train), world.dataset(val)


def trained(sets: tuple[Dataset, Dataset], preset: str, folder: Path) -> Exchange:
    """What a small network of a preset answers after 150 steps, to its own texts and to others."""
    plan = tiny_plan(
        preset,
        network={"hidden_dim": 32, "input_dropout": 0.0},
        epochs=EPOCHS,
        batch_size=32,
        learning_rate=2e-3,
        gradient_clip=1.0,
        precision="float32",
        span_jitter=0.0,
        validate_epochs=EPOCHS,
    )
    records: list[dict[str, Any]] = []
    job = TrainingJob(
        plan=plan,
        train=sets[0],
        validation=sets[1],
        encoder=IDENTITY,
        files=RunFiles(folder / preset),
        on_record=lambda each: records.append(dict(each)),
    )
    with ThreadPool(1) as pool:
        TrainingRun(job, torch.device("cpu"), pool, Processes(), resume=False).finish()
    found = records[-1]["exchange"]
    return Exchange(found["own_text_mAP"], found["other_text_mAP"])


def test_lcs_detr_is_not_deaf(sets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    """Seen to fail with ``lcs-detr-eq5``, whose only losses are those of equation 5."""
    found = trained(sets, "lcs-detr", tmp_path)
    assert found.own > 2 * found.other
    assert found.own > 30


def test_moment_detr_trains(sets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    assert trained(sets, "moment-detr", tmp_path).own > 0


def test_the_exchange_asks_with_texts_that_the_recording_does_not_answer(tmp_path: Path) -> None:
    """A network that ignores texts has the same figures with both."""
    world = World(tmp_path)
    dataset = world.dataset(world.fill("val", 40, seed=3))
    plan = tiny_plan()
    torch.manual_seed(0)
    network = build_network(plan.network)
    with torch.no_grad():
        for parameter in network.text_projection.parameters():
            parameter.zero_()
    with ThreadPool(1) as pool:
        found = exchange(Stepper(network, plan, pool, Processes()), dataset)
    assert found is not None
    assert found.own == found.other
    assert found.is_deaf


def test_one_query_for_all_leaves_nothing_to_exchange(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("a", np.ones((9, 8), np.float32))
    world.add("b", np.ones((9, 8), np.float32))
    same = [record(number, query(0), vid, 9, [[1, 4]]) for number, vid in enumerate("ab")]
    dataset = world.dataset(world.write("val", same))
    plan = tiny_plan()
    with ThreadPool(1) as pool:
        assert exchange(Stepper(build_network(plan.network), plan, pool, Processes()), dataset) is None


@pytest.mark.parametrize(
    ("own", "other", "is_deaf"),
    [
        (7.0, 7.4, True),
        (2.2, 2.2, True),
        (9.0, 8.3, True),
        (12.5, 9.7, False),
        (18.2, 7.9, False),
        (0.0, 0.0, True),
    ],
)
def test_measured_networks_are_told_apart(own: float, other: float, is_deaf: bool) -> None:
    assert Exchange(own, other).is_deaf is is_deaf


def test_a_deaf_network_is_told_once_and_not_too_early(caplog: pytest.LogCaptureFixture) -> None:
    plan = tiny_plan(epochs=10_000)
    seen: list[int] = []
    watch = DeafnessWatch(Path("m"), plan, lambda each: seen.append(each["step"]))
    with caplog.at_level(logging.WARNING, "amr"):
        for step in (100, LEAST_STEPS, LEAST_STEPS + 100):
            alike = {"own_text_mAP": 8.0, "other_text_mAP": 7.9}
            watch({"event": "epoch", "epoch": 1, "step": step, "exchange": alike})
    assert seen == [100, LEAST_STEPS, LEAST_STEPS + 100]
    assert [each.message.split(":")[0] for each in caplog.records] == ["m"]
    assert "2,000 steps it makes no difference" in caplog.records[0].message


def test_a_published_batch_is_fitted_to_small_data_and_kept_for_large() -> None:
    lcs = TrainingPlan.of_preset("lcs-detr")
    assert fitted(lcs, 1191).training.batch_size == SMALL_DATA_BATCH
    assert fitted(lcs, 7428).training.batch_size == SMALL_DATA_BATCH
    assert fitted(lcs, 34_876).training.batch_size == 2000
    assert fitted(lcs, 1191).training.learning_rate == lcs.training.learning_rate
    assert fitted(TrainingPlan.of_preset("am-detr"), 10).training.batch_size == 32


def test_steps_are_counted_and_too_few_are_told() -> None:
    plan = fitted(TrainingPlan.of_preset("lcs-detr"), 1191)
    assert steps_line(plan, 1191) == (
        "lcs-detr: 1,191 annotations in batches of 32, 38 steps a pass, 7,600 in all"
    )
    assert steps_a_pass(plan.training, 33) == 2
    assert warnings(plan, 1191) == []
    (few,) = warnings(TrainingPlan.of_preset("lcs-detr"), 1191)
    assert few.startswith("200 steps are too few")
    assert "without saliency losses" in warnings(TrainingPlan.of_preset("lcs-detr-eq5"), 40_000)[0]


@pytest.mark.parametrize("losses", [{"saliency": 1.0}, {"negatives": True}])
def test_saliency_losses_on_the_gate_itself_are_refused(losses: dict[str, Any]) -> None:
    plan = TrainingPlan.of_preset("lcs-detr-eq5").with_fields({"loss": losses}, "test")
    with pytest.raises(UsageError, match="on the gate itself they teach nothing"):
        require_learnable(plan)
    for preset in ("lcs-detr", "lcs-detr-code", "lcs-detr-eq5", "best", "am-detr", "moment-detr"):
        require_learnable(TrainingPlan.of_preset(preset))
