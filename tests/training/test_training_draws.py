"""Draws belong to items; orders hold every item once; learning rates follow their schedules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.models.train_settings import TrainSettings
from amr.training.draws import key_of, uniform, whole
from amr.training.order import chunks, epoch_batches, share
from amr.training.schedule import learning_rate

QUICK = settings(max_examples=50)


def test_a_draw_depends_on_its_item_alone() -> None:
    items = np.arange(1000)
    order = np.random.default_rng(0).permutation(1000)
    drawn = uniform(key_of(1, 2, "x"), items, 5)
    assert np.array_equal(uniform(key_of(1, 2, "x"), items[order], 5), drawn[order])
    assert np.array_equal(uniform(key_of(1, 2, "x"), items, 3), drawn[:, :3])


def test_keys_part_seeds_epochs_and_purposes() -> None:
    keys = {key_of(seed, epoch, word) for seed in range(5) for epoch in range(5) for word in "abc"}
    assert len(keys) == 75


def test_draws_are_uniform_and_uncorrelated() -> None:
    drawn = uniform(key_of(0, 0, "x"), np.arange(20_000), 4).astype(np.float64)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = np.histogram(drawn, bins=20, range=(0, 1))[0]
    assert np.abs(counts / counts.mean() - 1).max() < 0.06  # 4,000 a bin: 3.8 standard deviations
    neighbours = np.corrcoef(np.concatenate([drawn, np.roll(drawn, 1, axis=0)], axis=1).T)
    assert np.abs(neighbours - np.eye(8)).max() < 0.03


def test_whole_numbers_stay_below_their_bounds() -> None:
    below = np.tile(np.arange(5), 400)
    drawn = whole(key_of(0, 0, "x"), np.arange(2000), below)
    assert (drawn[below == 0] == 0).all()
    assert (drawn[below > 0] < below[below > 0]).all()
    assert set(drawn[below == 4].tolist()) == {0, 1, 2, 3}


@QUICK
@given(st.lists(st.integers(1, 40), min_size=1, max_size=200), st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_holds_every_item_once(lengths: list[int], batch_size: int, epoch: int) -> None:
    batches = epoch_batches(np.array(lengths), batch_size=batch_size, seed=1, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)


def test_batches_differ_by_epoch_and_seed_and_hold_like_lengths() -> None:
    lengths = np.random.default_rng(0).integers(10, 300, 2000)

    def batches(seed: int, epoch: int) -> list[list[int]]:
        found = epoch_batches(lengths, batch_size=16, seed=seed, epoch=epoch)
        return [batch.tolist() for batch in found]

    assert batches(1, 0) == batches(1, 0)
    assert batches(1, 0) != batches(1, 1)
    assert batches(1, 0) != batches(2, 0)
    padded = sum(lengths[batch].max() * len(batch) for batch in batches(1, 0))
    assert padded < 1.05 * lengths.sum()


@QUICK
@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 400), st.integers(1, 5))
def test_chunks_cover_a_batch_and_keep_to_their_size(lengths: list[int], frames: int, processes: int) -> None:
    parts = chunks(np.array(lengths), frames=frames, processes=processes)
    covered = [place for part in parts for place in range(part.start, part.stop)]
    assert covered == list(range(len(lengths)))
    assert len(parts) >= min(processes, len(lengths)) or len(lengths) % processes
    for part in parts:
        size = part.stop - part.start
        assert size == 1 or size * max(lengths[part]) <= frames
    shares = [share(len(parts), rank, processes) for rank in range(processes)]
    assert [place for each in shares for place in each] == list(range(len(parts)))


def test_constant_rate_with_a_warm_up() -> None:
    chosen = TrainSettings(learning_rate=0.1, warmup_steps=4)
    rates = [learning_rate(chosen, step, 10) for step in range(6)]
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def test_cosine_ends_at_its_final_rate() -> None:
    chosen = TrainSettings(learning_rate=1.0, schedule="cosine", final_learning_rate=0.2, epochs=3)
    rates = [learning_rate(chosen, step, 7) for step in range(21)]
    assert rates[0] == 1.0
    assert rates[20] == pytest.approx(0.2)
    assert rates[10] == pytest.approx(0.6)
    assert rates[5] == pytest.approx(0.2 + 0.4 * (1 + math.cos(math.pi * 5 / 20)))


def test_steps_fall_every_so_many_epochs() -> None:
    chosen = TrainSettings(learning_rate=1.0, schedule="step", step_epochs=2, step_factor=0.5)
    rates = [learning_rate(chosen, step, 3) for step in (0, 5, 6, 11, 12)]
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.25]
