"""Exact assignment of a batch: equal to scipy's cost everywhere, and it never waits for the host."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from amr.arrays import BoolArray, Float64Array
from amr.models.detr.matching import Assignment, assign, class_costs, match, pair_costs
from amr.models.loss_config import MatchingCost
from amr.models.spans import generalised_iou

Mask = BoolArray


def require_scipys_cost(cost: Float64Array, mask: Mask) -> None:
    """The matching is one to one, complete, on real targets, and as cheap as scipy's."""
    matching = assign(torch.from_numpy(cost), torch.from_numpy(mask))
    query, valid = matching.query.numpy(), matching.valid.numpy()
    for row in range(len(cost)):
        real = np.flatnonzero(mask[row])
        chosen = np.flatnonzero(valid[row])
        assert len(chosen) == min(len(real), cost.shape[2])
        assert set(chosen) <= set(real)
        assert len(set(query[row, chosen])) == len(chosen)
        optimum = cost[row, real][linear_sum_assignment(cost[row, real])].sum()
        found = cost[row, chosen, query[row, chosen]].sum()
        assert found == pytest.approx(optimum, rel=1e-9, abs=1e-9)


def adversarial(rng: np.random.Generator, batch: int, targets: int, queries: int) -> Iterator[Float64Array]:
    """Costs on which greedy, unstable or careless methods go wrong."""
    shape = (batch, targets, queries)
    noise = rng.normal(size=shape)
    yield noise
    yield rng.integers(0, 3, size=shape).astype(np.float64)
    yield np.zeros(shape)
    yield np.float32(noise).astype(np.float64) * 10.0 ** rng.integers(-6, 7)
    products = np.outer(np.arange(1, targets + 1), np.arange(1, queries + 1))
    yield products * rng.choice([-1.0, 1.0], size=(batch, 1, 1)) + rng.integers(0, 2, size=shape)
    yield np.repeat(noise[:, :1], targets, axis=1) + 100.0 * (rng.random(shape) < 0.1)


@pytest.mark.parametrize("seed", range(4))
def test_cost_equals_scipys_on_random_and_adversarial_instances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(6):
        targets, queries = int(rng.integers(1, 14)), int(rng.choice([1, 2, 5, 10, 10, 10, 30]))
        for cost in adversarial(rng, 40, targets, queries):
            require_scipys_cost(cost, rng.random((40, targets)) < rng.random())


@settings(max_examples=60)
@given(
    values=st.lists(st.integers(-2, 2), min_size=12, max_size=12),
    mask=st.lists(st.booleans(), min_size=4, max_size=4),
    wide=st.booleans(),
)
def test_small_whole_numbers_with_ties(values: list[int], mask: list[bool], wide: bool) -> None:
    cost = np.array(values, dtype=np.float64).reshape(1, 4, 3)
    if wide:
        cost, mask = np.ascontiguousarray(cost.transpose(0, 2, 1)), mask[:3]
    require_scipys_cost(cost, np.array([mask]))


def test_items_with_more_and_fewer_targets_than_queries_in_one_batch() -> None:
    rng = np.random.default_rng(3)
    cost = rng.normal(size=(50, 32, 10))
    require_scipys_cost(cost, np.arange(32)[None, :] < np.arange(50)[:, None] % 33)


def test_no_targets_at_all_is_an_empty_matching() -> None:
    matching = assign(torch.zeros(3, 0, 10), torch.zeros(3, 0, dtype=torch.bool))
    assert matching.query.shape == (3, 0)
    none_real = assign(torch.zeros(3, 2, 10), torch.zeros(3, 2, dtype=torch.bool))
    assert not none_real.valid.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_costs_that_are_no_numbers_still_give_each_target_its_own_query(value: float) -> None:
    cost = torch.randn(4, 3, 5)
    cost[1:] = value
    matching = assign(cost, torch.ones(4, 3, dtype=torch.bool))
    assert all(len(set(row)) == 3 and min(row) >= 0 and max(row) < 5 for row in matching.query.tolist())


def test_an_items_matching_does_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(0)
    cost = torch.from_numpy(rng.integers(0, 4, size=(20, 6, 10)).astype(np.float64))
    mask = torch.from_numpy(rng.random((20, 6)) < 0.7)
    together = assign(cost, mask)
    for row in range(20):
        alone = assign(cost[row : row + 1], mask[row : row + 1])
        assert torch.equal(alone.query[0][mask[row]], together.query[row][mask[row]])


@pytest.mark.parametrize("targets", [1, 5, 10, 14])
def test_matching_never_asks_the_device_for_a_value(targets: int) -> None:
    # A meta tensor has no values: reading one, as .item(), bool() and .cpu() do, raises.
    with torch.device("meta"):
        matching = match(
            torch.rand(7, 10, 2),
            torch.randn(7, 10),
            torch.rand(7, targets, 2),
            torch.ones(7, targets, dtype=torch.bool),
            MatchingCost(),
        )
        assert matching.query.device.type == "meta"
        assert matching.query.shape == (7, targets)


def test_matching_traces_into_one_graph() -> None:
    """A branch on a value would break the trace; the graph then gives the same answer on other values."""
    from torch.fx.experimental.proxy_tensor import make_fx

    def matched(cost: torch.Tensor, mask: torch.Tensor) -> Assignment:
        return assign(cost, mask)

    mask = torch.ones(5, 3, dtype=torch.bool)
    graph = make_fx(matched)(torch.zeros(5, 3, 6), mask)
    cost = torch.randn(5, 3, 6)
    assert torch.equal(graph(cost, mask).query, assign(cost, mask).query)


def test_pair_costs_are_ten_l1_less_giou_less_four_probabilities() -> None:
    spans, targets = torch.rand(2, 4, 2), torch.rand(2, 3, 2)
    logits = torch.randn(2, 4)
    costs = pair_costs(spans, logits, targets, MatchingCost())
    for b in range(2):
        for t in range(3):
            for q in range(4):
                l1 = float((spans[b, q] - targets[b, t]).abs().sum())
                giou = float(generalised_iou(spans[b, q], targets[b, t]))
                expected = 10 * l1 - giou - 4 * float(logits[b, q].sigmoid())
                assert float(costs[b, t, q]) == pytest.approx(expected, abs=1e-5)


def test_focal_class_cost_falls_with_the_score_as_the_focal_loss_does() -> None:
    logits = torch.linspace(-5, 5, 11).unsqueeze(0)
    cost = class_costs(logits, MatchingCost(class_cost="focal"))[0]
    assert bool((cost[1:] < cost[:-1]).all())
    p = torch.sigmoid(torch.tensor(0.7))
    expected = -0.25 * (1 - p) ** 2 * p.log() + 0.75 * p**2 * (1 - p).log()
    one = class_costs(torch.tensor([[0.7]]), MatchingCost(class_cost="focal"))
    assert float(one) == pytest.approx(float(expected), abs=1e-6)
