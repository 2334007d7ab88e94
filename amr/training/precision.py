"""In which numbers a run makes its products, where that is left to it.

bfloat16 pays where the processor multiplies matrices of it in hardware, and where the matrices are large
enough that converting to it and back is little beside the products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import torch

from amr.distributed import Processes
from amr.models.train_settings import Precision
from amr.training.plan import TrainingPlan, flat

LEAST_HIDDEN_DIM = 192
"""Narrower networks gain nothing from bfloat16 (``docs/measurements/0010-training.md``)."""
PROCESSOR_FACTS = Path("/proc/cpuinfo")


def settled(plan: TrainingPlan, device: torch.device, processes: Processes) -> TrainingPlan:
    """The plan with ``auto`` replaced by what it comes to here; the same in all processes.

    Args:
        plan: of the run.
        device: where this process computes.
        processes: that share the batches; bfloat16 must be fast for every one of them.
    """
    if plan.training.precision != "auto":
        return plan
    lacks = plan.network.hidden_dim < LEAST_HIDDEN_DIM or not has_fast_bfloat16(device)
    precision: Precision = "float32" if processes.any(lacks) else "bfloat16"
    return with_precision(plan, precision)


def gone_on_with(plan: TrainingPlan, left: Mapping[str, Any]) -> TrainingPlan:
    """The plan of a run that goes on: ``auto`` is what it began with, on whatever processor that was.

    Args:
        plan: as asked for now.
        left: the fields of the plan in the run's state.
    """
    began_with = flat(left).get("training.precision")
    if plan.training.precision != "auto" or began_with not in get_args(Precision):
        return plan
    return with_precision(plan, cast(Precision, began_with))


def with_precision(plan: TrainingPlan, precision: Precision) -> TrainingPlan:
    return replace(plan, training=replace(plan.training, precision=precision))


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 are made in hardware on ``device``, not emulated."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and has_amx()


def has_amx() -> bool:
    """Whether this processor has AMX, tiles that it multiplies as matrices.

    All processors with AMX take bfloat16. AVX-512's bfloat16 does not count: its products are slower than
    those of float32 (92 against 124 GFLOP/s a thread, where AMX makes 940). Newer versions of torch tell it,
    under a private name; for older ones Linux does.
    """
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)
    if ask is not None:
        return bool(ask())
    return PROCESSOR_FACTS.exists() and "amx_bf16" in PROCESSOR_FACTS.read_text(encoding="utf-8").split()
