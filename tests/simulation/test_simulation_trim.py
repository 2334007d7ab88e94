"""Trimming against an obvious loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import Float32Array
from amr.simulation.settings import PEAK_TRIM, POWER_TRIM, TrimRule
from amr.simulation.trim import sounding_blocks, trim_bounds

RATE_HZ = 50


def slow_bounds(samples: Float32Array, rule: TrimRule) -> tuple[int, int]:
    """Blocks one after the other, as one would by hand."""
    block = round(rule.block_s * RATE_HZ)
    blocks = [(i, samples[i : i + block].astype(float)) for i in range(0, len(samples), block)]
    if not rule.keep_rest:
        blocks = [(i, part) for i, part in blocks if len(part) == block]
    if not blocks:
        return 0, 0
    threshold = np.mean(samples.astype(float) ** 2) / 10 ** (rule.below_db / 10)
    loud = [(i, i + len(part)) for i, part in blocks if np.mean(part**2) > threshold]
    if not loud:
        loud = [(blocks[0][0], blocks[-1][0] + len(blocks[-1][1]))]
    return loud[0][0], loud[-1][1]


LEVELS = st.lists(st.sampled_from([0.0, 1e-4, 0.03, 0.2, 1.0]), min_size=1, max_size=12)


@settings(max_examples=100)
@given(levels=LEVELS, rest=st.integers(0, 49), keep_rest=st.booleans(), below=st.sampled_from([5.0, 20.0]))
def test_bounds_are_those_of_the_loop(levels: list[float], rest: int, keep_rest: bool, below: float) -> None:
    rng = np.random.default_rng(len(levels))
    samples = np.concatenate([level * rng.standard_normal(20) for level in levels] + [np.ones(rest) * 0.1])
    samples = samples.astype(np.float32)
    rule = TrimRule(below_db=below, block_s=1.0, keep_rest=keep_rest)
    assert trim_bounds(samples, RATE_HZ, rule) == slow_bounds(samples, rule)


@settings(max_examples=30)
@given(seconds=st.floats(0.1, 5.0), seed=st.integers(0, 99))
def test_the_generators_rule_keeps_whole_seconds(seconds: float, seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ)).astype(np.float32)
    first, last = trim_bounds(samples, RATE_HZ, PEAK_TRIM)
    assert (last - first) % RATE_HZ == 0
    assert last - first == len(samples) // RATE_HZ * RATE_HZ


def test_quiet_ends_go_and_quiet_middles_stay() -> None:
    quiet, loud = np.full(RATE_HZ, 1e-4, np.float32), np.full(RATE_HZ, 0.5, np.float32)
    samples = np.concatenate([quiet, quiet, loud, quiet, loud, quiet])
    for rule in (PEAK_TRIM, POWER_TRIM):
        assert trim_bounds(samples, RATE_HZ, rule) == (2 * RATE_HZ, 5 * RATE_HZ)
    sounding = sounding_blocks(samples[2 * RATE_HZ : 5 * RATE_HZ], RATE_HZ)
    assert sounding.tolist() == [True] * 50 + [False] * 50 + [True] * 50


def test_silence_is_kept_whole_and_a_fraction_is_nothing() -> None:
    assert trim_bounds(np.zeros(3 * RATE_HZ, np.float32), RATE_HZ, PEAK_TRIM) == (0, 3 * RATE_HZ)
    assert trim_bounds(np.ones(RATE_HZ - 1, np.float32), RATE_HZ, PEAK_TRIM) == (0, 0)
