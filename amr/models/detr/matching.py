"""Which query answers which target: exact assignment of a whole batch, on the device, without asking the
host.

The assignment that minimises the sum of costs (AM-DETR paper, eq. 9) is found by shortest augmenting paths:
targets are added one at a time, and each takes the cheapest path of exchanges that frees a query for it
(Jonker and Volgenant 1987; scipy's ``linear_sum_assignment`` does the same for one matrix). Here every item
of the batch takes each step at once, for a number of steps that depends on shapes alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from amr.models.loss_config import PUBLISHED_FOCAL, FocalWeights, MatchingCost
from amr.models.spans import generalised_iou

# Stands for costs that are not numbers, so that even then every target gets a query of its own.
HUGE_COST = 1e12


class Assignment(NamedTuple):
    """Pairs of queries and targets.

    Args:
        query: ``(batch, targets)`` int64, the query that answers each target.
        valid: ``(batch, targets)`` bool, false for padding and for targets that no query was left for.
    """

    query: Tensor
    valid: Tensor


def match(
    spans: Tensor,
    score_logits: Tensor,
    targets: Tensor,
    target_mask: Tensor,
    cost: MatchingCost,
    focal: FocalWeights = PUBLISHED_FOCAL,
) -> Assignment:
    """The cheapest assignment for each item; gives no gradient.

    Args:
        spans: ``(batch, queries, 2)``, predicted (centre, width).
        score_logits: ``(batch, queries)``.
        targets: ``(batch, targets, 2)``, padded at will.
        target_mask: ``(batch, targets)`` bool, true where a target is real.
        cost: its weights.
        focal: of the loss, where the cost is its change.

    Returns:
        A matching; with more targets than queries, every query is used and the dearest targets go without, as
        scipy does with a matrix that is not square.
    """
    with torch.no_grad():
        return assign(pair_costs(spans, score_logits, targets, cost, focal), target_mask)


def pair_costs(
    spans: Tensor,
    score_logits: Tensor,
    targets: Tensor,
    cost: MatchingCost,
    focal: FocalWeights = PUBLISHED_FOCAL,
) -> Tensor:
    """``(batch, targets, queries)``, each item's targets against its own queries only."""
    target, span = targets.float().unsqueeze(2), spans.float().unsqueeze(1)
    l1 = (span - target).abs().sum(-1)
    total = cost.l1 * l1 - cost.giou * generalised_iou(span, target)
    return total + cost.score * class_costs(score_logits.float(), cost, focal).unsqueeze(1)


def class_costs(score_logits: Tensor, cost: MatchingCost, focal: FocalWeights = PUBLISHED_FOCAL) -> Tensor:
    """What it costs to call each query foreground, ``(batch, queries)``."""
    probability = score_logits.sigmoid()
    if cost.class_cost == "probability":
        return -probability
    alpha, gamma = focal
    as_foreground = -alpha * (1 - probability) ** gamma * torch.nn.functional.logsigmoid(score_logits)
    as_background = -(1 - alpha) * probability**gamma * torch.nn.functional.logsigmoid(-score_logits)
    return as_foreground - as_background


def assign(cost: Tensor, target_mask: Tensor) -> Assignment:
    """Minimum-cost assignment for a batch of cost matrices.

    Args:
        cost: ``(batch, targets, queries)``.
        target_mask: ``(batch, targets)`` bool.

    Returns:
        A matching of ``min(queries, real targets)`` pairs an item, of the least total cost.
    """
    num_targets, num_queries = cost.shape[1:]
    exact = cost.double().nan_to_num(nan=HUGE_COST, posinf=HUGE_COST, neginf=-HUGE_COST)
    if num_targets == 0:
        return Assignment(target_mask.long(), target_mask)
    query = augmenting_paths(exact, target_mask)
    if num_targets <= num_queries:
        return Assignment(query, target_mask)
    # Items with more targets than queries: let the queries choose among the targets instead.
    offered = exact.masked_fill(~target_mask.unsqueeze(-1), torch.inf).transpose(1, 2)
    every_query = torch.ones(cost.shape[0], num_queries, dtype=torch.bool, device=cost.device)
    target_of_query = augmenting_paths(offered, every_query)
    numbers = torch.arange(num_queries, device=cost.device).expand_as(target_of_query)
    chosen = torch.full_like(query, -1).scatter(1, target_of_query, numbers)
    crowded = target_mask.sum(1, keepdim=True) > num_queries
    valid = target_mask & (~crowded | (chosen >= 0))
    return Assignment(torch.where(crowded, chosen, query).clamp(0, num_queries - 1), valid)


def augmenting_paths(cost: Tensor, row_mask: Tensor) -> Tensor:
    """A column for every row, no column twice, of the least total cost.

    Args:
        cost: ``(batch, rows, columns)`` float64; a column may be barred by an infinite cost.
        row_mask: ``(batch, rows)`` bool; rows that are false are left out.

    Returns:
        ``(batch, rows)`` int64; arbitrary for rows that are left out, and for items with fewer open columns
        than rows.
    """
    batch, num_rows, num_columns = cost.shape
    state = _State(
        row_price=cost.new_zeros(batch, num_rows),
        column_price=cost.new_zeros(batch, num_columns),
        row_of=torch.full((batch, num_columns), num_rows, dtype=torch.int64, device=cost.device),
        column_of=torch.zeros(batch, num_rows, dtype=torch.int64, device=cost.device),
    )
    for row in range(num_rows):
        _add_row(cost, row, row_mask[:, row], min(row + 1, num_columns), state)
    return state.column_of


class _State(NamedTuple):
    """Prices under which every matched pair is tight, and the matching so far; changed in place.

    ``row_of (batch, columns)`` holds ``num_rows`` for a free column.
    """

    row_price: Tensor
    column_price: Tensor
    row_of: Tensor
    column_of: Tensor


def _add_row(cost: Tensor, row: int, wanted: Tensor, steps: int, state: _State) -> None:
    """Give ``row`` a column, by exchanges along the shortest path to a free one (Dijkstra on reduced costs).

    A path visits at most the columns taken so far and one free one: ``steps``. Items that have arrived, and
    items that do not want the row, stand still.
    """
    batch, num_rows, num_columns = cost.shape
    distance = cost.new_full((batch, num_columns), torch.inf)
    via = torch.full_like(state.row_of, row)
    visited = torch.zeros_like(distance, dtype=torch.bool)
    reached = cost.new_zeros(batch, 1)
    at = torch.full((batch, 1), row, dtype=torch.int64, device=cost.device)
    moving = wanted.unsqueeze(1)
    sink = torch.zeros_like(at)
    for _ in range(steps):
        edge = cost.gather(1, at.unsqueeze(-1).expand(-1, 1, num_columns)).squeeze(1)
        through = reached + edge - state.row_price.gather(1, at) - state.column_price
        shorter = (through < distance) & ~visited & moving
        distance = torch.where(shorter, through, distance)
        via = torch.where(shorter, at, via)
        nearest, column = distance.masked_fill(visited, torch.inf).min(1, keepdim=True)
        reached = torch.where(moving, nearest, reached)
        sink = torch.where(moving, column, sink)
        visited = visited.scatter(1, column, moving | visited.gather(1, column))
        owner = state.row_of.gather(1, column)
        moving = moving & (owner < num_rows)
        at = torch.where(moving, owner, at)
    _update_prices(row, wanted, visited, reached, distance, state)
    _exchange(row, wanted.unsqueeze(1), sink, via, steps, state)


def _update_prices(
    row: int, wanted: Tensor, visited: Tensor, reached: Tensor, distance: Tensor, state: _State
) -> None:
    """Keep every reduced cost at or above zero and every matched pair tight."""
    slack = torch.where(visited, reached - distance, 0.0)
    state.column_price.sub_(slack)
    owners = torch.nn.functional.pad(state.row_price, (0, 1)).scatter_add(1, state.row_of, slack)
    state.row_price.copy_(owners[:, :-1])
    state.row_price[:, row] += torch.where(wanted, reached.squeeze(1), 0.0)


def _exchange(row: int, wanted: Tensor, sink: Tensor, via: Tensor, steps: int, state: _State) -> None:
    """Walk the path back from its free column; each row on it takes the column that it was reached by."""
    column, moving = sink, wanted
    for _ in range(steps):
        taker = via.gather(1, column)
        freed = state.column_of.gather(1, taker)
        state.row_of.scatter_(1, column, torch.where(moving, taker, state.row_of.gather(1, column)))
        state.column_of.scatter_(1, taker, torch.where(moving, column, freed))
        moving = moving & (taker != row)
        column = torch.where(moving, freed, column)
