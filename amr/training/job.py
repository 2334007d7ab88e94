"""What a run works with and where it writes, and how it may end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amr.encoders.base import EncoderIdentity
from amr.errors import AmrError, ExitCode, InputError
from amr.models.build import Network, build_network
from amr.models.checkpoint import shape_problem
from amr.models.frame_network import FrameNetwork
from amr.training.corpus import Corpus
from amr.training.measure import measure
from amr.training.plan import Plan

Report = Callable[[Mapping[str, Any]], None]


class LossNotFiniteError(AmrError):
    """A loss or gradient became NaN or infinite."""

    exit_code = ExitCode.BAD_INPUT


class StoppedError(AmrError):
    """The run was asked to stop, and can be resumed."""

    exit_code = ExitCode.INTERRUPTED


def never() -> bool:
    """Nobody asks to stop."""
    return False


def nobody(record: Mapping[str, Any]) -> None:
    """Nobody listens to a report."""


@dataclass(frozen=True)
class Files:
    """Where a run writes. The log and the state stand beside the model.

    Args:
        model: the best weights so far; replaced as better ones come.
    """

    model: Path

    @property
    def log(self) -> Path:
        return self.model.with_name(f"{self.model.name}.log.jsonl")

    @property
    def state(self) -> Path:
        return self.model.with_name(f"{self.model.name}.state")


@dataclass(frozen=True)
class Job:
    """What a run works with.

    Args:
        plan: its configuration.
        train, validation: its data; without validation the last weights are kept.
        encoder: identity that goes into the checkpoint.
        files: where it writes.
        history: command lines, the model's that it starts from first.
        data_sha256: of what it trains on, by name.
        start: weights to start from; None for random ones.
        store: type of the numbers in the model file.
        save_every_s: seconds after which the state is written anew.
        should_stop: asked after each step whether to stop and leave a state.
        report: told of each epoch (``event: epoch``) and of progress inside it (``event: step``).
    """

    plan: Plan
    train: Corpus
    validation: Corpus | None
    encoder: EncoderIdentity
    files: Files
    history: tuple[str, ...] = ()
    data_sha256: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, Tensor] | None = None
    store: torch.dtype = torch.float32
    save_every_s: float = 60.0
    should_stop: Callable[[], bool] = never
    report: Report = nobody


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        epoch: passes that the kept weights have had.
        metrics: figures of their validation; empty without one.
        epochs: passes that were made.
    """

    epoch: int
    metrics: Mapping[str, float]
    epochs: int


def new_network(job: Job, device: torch.device) -> Network:
    """The network at its start: random from the seed, or the weights of another model.

    Raises:
        InputError: the other model's weights do not fit the configured network.
    """
    torch.manual_seed(job.plan.training.seed)
    network = build_network(job.plan.network)
    if job.start is not None:
        problem = shape_problem(network, {name: tuple(w.shape) for name, w in job.start.items()})
        if problem:
            raise InputError(f"the model to start from does not fit: {problem}", where="--init")
        network.load_state_dict(dict(job.start))
    elif isinstance(network, FrameNetwork):
        measure(network, job.train)
    return network.to(device)


def require_metric(validation: Corpus, metric: str) -> None:
    """Refuse a figure that the validation data cannot give.

    Raises:
        InputError: no query has a moment, or, for ``AUC``, none is absent.
    """
    present = validation.num_windows > 0
    if not present.any() or (metric == "AUC" and present.all()):
        lacking = "absent query (an annotation without windows)" if present.any() else "query with a moment"
        raise InputError(
            f"the validation data have no {lacking}, {metric} cannot be measured",
            where=validation.annotations[0].where,
            hint="choose another --metric, or other validation data",
        )
