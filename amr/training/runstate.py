"""The state of an interrupted run: one safetensors file, tensors and, in its header, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from amr.errors import InputError
from amr.formats.streams import open_side_output
from amr.formats.untrusted.checksum import CHECKSUM_KEY, UNSET, require_checksum
from amr.formats.untrusted.tensor_header import read_header
from amr.models.checkpoint import finished_file
from amr.models.model_file import one_line

FORMAT = "training state"
SCHEMA = "1"


@dataclass(frozen=True)
class RunProgress:
    """How far a run has come.

    Args:
        epoch: the epoch that is next or under way, from 0.
        batch: its next batch.
        step: steps that were made.
        best: the best validation figure so far; None before the first.
        best_epoch: passes that the kept weights have had.
        best_metrics: all figures of that validation.
        stale: validations since.
        log_bytes: length of the log at this point.
        done: the run has ended; there is nothing to resume.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float | None = None
    best_epoch: int = 0
    best_metrics: Mapping[str, float] | None = None
    stale: int = 0
    log_bytes: int = 0
    done: bool = False


@dataclass(frozen=True)
class RunState:
    """All that a run needs to go on as if nothing had happened.

    Args:
        progress: where it is.
        plan: its configuration, as :meth:`amr.training.plan.Plan.to_fields` gives it.
        data: sha256 of what it trains on, by name.
        tensors: of :meth:`amr.training.step.Stepper.state`.
    """

    progress: RunProgress
    plan: Mapping[str, Any]
    data: Mapping[str, str]
    tensors: Mapping[str, Tensor]


def write_state(path: Path, state: RunState) -> None:
    """Write ``state``; what stood under the name before stays whole until the new file is complete."""
    from safetensors.torch import save

    header = {
        "amr_format": FORMAT,
        "schema": SCHEMA,
        CHECKSUM_KEY: UNSET,
        "progress": json.dumps(asdict(state.progress), sort_keys=True),
        "plan": json.dumps(dict(state.plan), sort_keys=True),
        "data": json.dumps(dict(state.data), sort_keys=True),
    }
    with open_side_output(path) as file:
        file.write(finished_file(save(dict(state.tensors), metadata=header)))


def read_state(path: Path) -> RunState:
    """Read what :func:`write_state` wrote.

    Raises:
        InputError: it is no such file, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    said = read_header(path).get("__metadata__")
    if not isinstance(said, dict) or said.get("amr_format") != FORMAT or said.get("schema") != SCHEMA:
        raise InputError("is not the state of a training run of this version", where=path)
    data = path.read_bytes()
    require_checksum(data, said, path)
    try:
        return RunState(
            progress=RunProgress(**json.loads(said["progress"])),
            plan=json.loads(said["plan"]),
            data=json.loads(said["data"]),
            tensors=load(data),
        )
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"damaged: {one_line(error)}", where=path) from error
