"""The floor of ``train_speed.py``: the operations of a step at the rate of the machine's products."""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

PROBE_SHAPE = (1024, 256, 1024)
PROBE_REPEATS = 40


def floor_ratios(
    rounds: list[dict[str, float]], samples: int, facts: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """How far above the floor ours is, in wall time on all threads and in processor time."""
    gflop = facts["gflop_a_sample"] * samples

    def times(clock: str, rate: str, threads: int) -> float:
        return round(statistics.median(each[clock] * each[rate] * threads / gflop for each in rounds), 2)

    def rate(name: str) -> float:
        return round(statistics.median(each[name] for each in rounds), 1)

    return {
        "gflop_a_sample": round(facts["gflop_a_sample"], 3),
        "gflop_per_s_a_thread": rate("gflop_per_s"),
        "gflop_per_s_a_thread_own_precision": rate("gflop_per_s_own"),
        "gflop_per_s_a_thread_our_products": rate("gflop_per_s_ours"),
        "times_the_floor_wall": times("wall_s", "gflop_per_s", options.threads),
        "times_the_floor_processor": times("processor_s", "gflop_per_s", 1),
        "times_the_floor_of_our_products_wall": times("wall_s", "gflop_per_s_ours", options.threads),
        "times_the_floor_of_our_products_processor": times("processor_s", "gflop_per_s_ours", 1),
    }


def count_operations(work: Callable[[], object]) -> float:
    """Floating-point operations of the products in ``work``."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from amr.models.products import has_onednn

    ours = {torch.ops.mkldnn._linear_pointwise: product_operations} if has_onednn() else {}
    with FlopCounterMode(display=False, custom_mapping=ours) as counter:
        work()
    return float(counter.get_total_flops())


def product_operations(left: Sequence[int], right: Sequence[int], *_: object, **__: object) -> int:
    """Operations of oneDNN's product of these shapes, which torch's counter does not know."""
    return 2 * math.prod(left) * right[0]


def matrix_rate(device: str, dtype_name: str, *, ours: bool = False) -> float:
    """1e9 floating-point operations a second of this thread (of its own processor time), or of the GPU.

    Args:
        device: that multiplies.
        dtype_name: of both factors.
        ours: by ``amr.models.products``, not by torch's own product.
    """
    import torch

    from amr.models.products import product

    rows, inner, cols = PROBE_SHAPE
    kind = {"device": device, "dtype": getattr(torch, dtype_name)}
    left, right = torch.ones(rows, inner, **kind), torch.ones(inner, cols, **kind)
    multiply = partial(product, left, right.t().contiguous()) if ours else partial(torch.matmul, left, right)
    operations = 2 * rows * inner * cols * PROBE_REPEATS / 1e9
    multiply()
    if device == "cpu":
        began = time.thread_time()
        for _ in range(PROBE_REPEATS):
            multiply()
        return operations / (time.thread_time() - began)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(PROBE_REPEATS):
        multiply()
    torch.cuda.synchronize()
    return operations / (time.perf_counter() - began)
