"""One step: chunks and threads change nothing but speed; nothing moves on a loss that is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_world import World, query, record, tiny_plan

from amr.distributed import Processes
from amr.models import products
from amr.models.build import total_loss
from amr.models.detr.network import DetrNetwork
from amr.models.threads import ThreadPool
from amr.training.batches import draw_batch, gather_chunk
from amr.training.dataset import Dataset
from amr.training.plan import TrainingPlan
from amr.training.step import ChunkJob, Stepper


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    world = World(tmp_path)
    return world.dataset(world.fill("train", 12, seed=0))


def stepper(plan: TrainingPlan, pool: ThreadPool) -> Stepper:
    torch.manual_seed(0)
    return Stepper(DetrNetwork(plan.network), plan, pool, Processes())


def train(
    plan: TrainingPlan, dataset: Dataset, steps: int = 3, threads: int = 1, learning_rate: float = 1e-2
) -> Stepper:
    with ThreadPool(threads) as pool:
        made = stepper(plan, pool)
        for step in range(steps):
            batch = draw_batch(dataset, np.arange(len(dataset)), plan.training, step, window_frames=300)
            made.step(dataset, batch, learning_rate=learning_rate, step=step)
    return made


def still(preset: str = "am-detr", **changes: Any) -> TrainingPlan:
    """A plan without dropout."""
    return tiny_plan(preset, network={"dropout": 0.0, "input_dropout": 0.0}, **changes)


def test_threads_change_not_a_bit(dataset: Dataset) -> None:
    plan = tiny_plan(chunk_frames=60)
    alone, together = train(plan, dataset), train(plan, dataset, threads=3)
    assert torch.equal(alone.flat.values, together.flat.values)
    assert torch.equal(alone.sums, together.sums)


@pytest.mark.skipif(not products.has_onednn(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("preset", ["am-detr", "lcs-detr"])
def test_products_by_onednn_give_the_same_step(
    dataset: Dataset, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"hidden_dim": 64, "feedforward_dim": 128}
    plan = tiny_plan(preset, network=sizes, chunk_frames=120, precision="float32")
    made, calls = [], []
    for takes_onednn, threads in ((False, 1), (True, 1), (True, 3)):
        monkeypatch.setattr(products, "mkl_holds_back", lambda takes=takes_onednn: takes)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            made.append(train(plan, dataset, steps=2, threads=threads, learning_rate=1e-4))
        calls.append(sum(event.key == "mkldnn::_linear_pointwise" for event in profiler.key_averages()))
    torchs, alone, together = made
    assert calls[:2] == [0, 1]
    assert torch.equal(alone.flat.values, together.flat.values)
    assert torch.allclose(alone.sums, torchs.sums, rtol=1e-5)
    assert (alone._gradient - torchs._gradient).abs().max() < 1e-4 * torchs._gradient.abs().max()


def test_dropout_differs_by_step_and_chunk_and_follows_the_seed(dataset: Dataset) -> None:
    one, same = train(tiny_plan(), dataset), train(tiny_plan(), dataset)
    assert torch.equal(one.flat.values, same.flat.values)
    assert not torch.equal(one.flat.values, train(still(), dataset).flat.values)


@pytest.mark.parametrize("preset", ["am-detr", "lcs-detr", "lcs-detr-code"])
def test_chunks_add_up_to_the_batch(dataset: Dataset, preset: str) -> None:
    precision = {"precision": "float32"}
    whole = train(still(preset, chunk_frames=10_000, **precision), dataset, steps=1)
    parts = train(still(preset, chunk_frames=60, **precision), dataset, steps=1)
    scale = whole._gradient.abs().max()
    assert (whole._gradient - parts._gradient).abs().max() < 1e-5 * scale
    assert torch.allclose(whole.sums, parts.sums, rtol=1e-5)


def test_the_gradient_is_that_of_the_loss_alone(dataset: Dataset) -> None:
    plan = still(gradient_clip=0.0)
    made = train(plan, dataset, steps=1)
    torch.manual_seed(0)
    network = DetrNetwork(plan.network).train()
    batch = draw_batch(dataset, np.arange(len(dataset)), plan.training, 0, window_frames=300)
    everything = slice(0, len(batch))
    chunk = gather_chunk(dataset, batch, everything, plan.training, torch.device("cpu"), max_tokens=32)
    outputs = network(chunk.inputs, negatives=True, negative_index=chunk.negative_index)
    losses = total_loss(outputs, chunk.targets, chunk.inputs.frame_mask(), plan.loss)
    losses["total"].backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])  # type: ignore[union-attr]
    assert (made._gradient - expected).abs().max() < 1e-5 * expected.abs().max()
    assert made.sums[0].item() == pytest.approx(12 * losses["total"].item(), rel=1e-5)


def test_a_step_is_that_of_torchs_adamw_with_clipping(dataset: Dataset) -> None:
    plan = still(gradient_clip=0.1, weight_decay=0.1)
    torch.manual_seed(0)
    network = DetrNetwork(plan.network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.1)
    with ThreadPool(1) as pool:
        made = stepper(plan, pool)
        for step in range(3):
            batch = draw_batch(dataset, np.arange(len(dataset)), plan.training, step, window_frames=300)
            job = ChunkJob(dataset, batch, slice(0, len(batch)), 0)
            optimiser.zero_grad()
            weights = dict(zip(made.flat.names, network.parameters(), strict=True))
            gradients = torch.autograd.grad(made.chunk_losses(job)["total"], made.flat.parameters)
            for parameter, gradient in zip(weights.values(), gradients, strict=True):
                parameter.grad = gradient.clone()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
            made.step(dataset, batch, learning_rate=1e-2, step=step)
            optimiser.step()
    expected = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    assert (made.flat.values - expected).abs().max() < 1e-5


def test_nothing_moves_once_a_loss_is_not_finite(dataset: Dataset) -> None:
    plan = tiny_plan(ema_decay=0.9)
    with ThreadPool(1) as pool:
        made = stepper(plan, pool)
        for step in range(5):
            batch = draw_batch(dataset, np.arange(len(dataset)), plan.training, step, window_frames=300)
            if step == 2:
                before, gamma = made.state(), dataset.frames.values[0, 0].item()
                dataset.frames.values[0, 0] = torch.nan
            if step == 3:
                dataset.frames.values[0, 0] = gamma
            made.step(dataset, batch, learning_rate=1e-2, step=step)
            assert made.broken_at() == (None if step < 2 else 2)
    after = made.state()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), name


def test_the_average_follows_its_definition(dataset: Dataset) -> None:
    plan = still(ema_decay=0.3)
    with ThreadPool(1) as pool:
        made = stepper(plan, pool)
        expected = made.flat.values.clone()
        for step in range(4):
            batch = draw_batch(dataset, np.arange(len(dataset)), plan.training, step, window_frames=300)
            made.step(dataset, batch, learning_rate=1e-2, step=step)
            decay = min(0.3, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * made.flat.values
    assert torch.allclose(made.kept_values, expected, atol=1e-6)
    assert not torch.allclose(made.kept_values, made.flat.values, atol=1e-4)


def test_bfloat16_gives_nearly_the_float32_loss(dataset: Dataset) -> None:
    full = train(still(), dataset, steps=1).take_means(12)
    half = train(still(precision="bfloat16"), dataset, steps=1).take_means(12)
    assert half["total"] == pytest.approx(full["total"], rel=0.02)
    assert half["total"] != full["total"]


def test_a_state_holds_all_that_the_next_step_needs(dataset: Dataset) -> None:
    plan = tiny_plan(ema_decay=0.9)
    whole = train(plan, dataset, steps=4)
    first = train(plan, dataset, steps=2)
    with ThreadPool(1) as pool:
        second = stepper(plan, pool)
        second.load_state(first.state())
        for step in (2, 3):
            batch = draw_batch(dataset, np.arange(len(dataset)), plan.training, step, window_frames=300)
            second.step(dataset, batch, learning_rate=1e-2, step=step)
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, second.state()[name]), name


@pytest.mark.parametrize(
    "windows", [[[0, 12]], [], [[n, n + 1] for n in range(0, 12, 2)], [[3, 4], [11, 99]]]
)
def test_odd_moments_train(tmp_path: Path, windows: list[list[float]]) -> None:
    world = World(tmp_path)
    world.add("a", np.ones((12, 8), dtype=np.float32))
    dataset = world.dataset(world.write("train", [record(1, query(0), "a", 12, windows)]))
    for preset in ("am-detr", "lcs-detr"):
        made = train(tiny_plan(preset), dataset, steps=2)
        assert made.broken_at() is None
        assert all(np.isfinite(value) for value in made.take_means(2).values())


class StillOptimiser:
    """Stands for AdamW on tensors without values, where torch has no fused one."""

    def __init__(self, parameters: Any, **_: Any) -> None:
        self.param_groups = [{"params": parameters, "lr": 0.0}]
        self.found_inf = torch.zeros(())

    def step(self) -> None:
        """Make no step."""


@pytest.mark.parametrize("preset", ["am-detr", "lcs-detr", "lcs-detr-code"])
def test_a_step_asks_the_device_for_nothing(
    dataset: Dataset, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On tensors without values, which raise where a value is asked for; they take a GPU's way through."""
    monkeypatch.setattr("amr.training.dataset.sent", lambda tensor, device: tensor.to(device))
    monkeypatch.setattr(torch.optim, "AdamW", StillOptimiser)
    plan = tiny_plan(preset, ema_decay=0.9, precision="float32", span_jitter=0.1, absent_share=0.2)
    with ThreadPool(1) as pool:
        made = Stepper(DetrNetwork(plan.network).to("meta"), plan, pool, Processes())
        batch = draw_batch(dataset, np.arange(len(dataset)), plan.training, 0, window_frames=300)
        made.step(dataset, batch, learning_rate=0.1, step=0)
        with pytest.raises(RuntimeError, match="meta"):
            made.broken_at()


def test_lanes_hand_results_back_in_order_and_errors_out() -> None:
    with ThreadPool(3) as pool:
        assert list(pool.map(lambda n: n * n, range(20))) == [n * n for n in range(20)]
        with pytest.raises(ZeroDivisionError):
            list(pool.map(lambda n: 1 // n, [1, 0, 1]))
        assert torch.get_num_threads() == 1
