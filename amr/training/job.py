"""What a run works with and where it writes, and how it may end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amr.encoders.base import EncoderIdentity
from amr.errors import AmrError, ExitCode, InputError, StoppedError
from amr.models.build import Network, build_network
from amr.models.checkpoint import shapes_of
from amr.models.frames.constants import SEGMENT_WEIGHTS
from amr.models.frames.network import FrameNetwork
from amr.models.model_file import shape_problem
from amr.training.dataset import Dataset
from amr.training.measure import measure
from amr.training.plan import TrainingPlan

OnRecord = Callable[[Mapping[str, Any]], None]
"""Called with a record of each epoch (``event: epoch``), and now and then inside it (``event: step``)."""


class LossNotFiniteError(AmrError):
    """A loss or gradient became NaN or infinite."""

    exit_code = ExitCode.BAD_INPUT


class RunStoppedError(StoppedError):
    """``should_stop`` said so; the run can be resumed."""

    exit_code = ExitCode.INTERRUPTED


def never() -> bool:
    """Do not stop."""
    return False


def require_going_on(should_stop: Callable[[], bool]) -> None:
    """Raises ``RunStoppedError`` where a run is to stop that has not begun: there is no state to leave."""
    if should_stop():
        raise RunStoppedError("stopped before the first step")


def ignore(record: Mapping[str, Any]) -> None:
    """For callers who do not want to know."""


@dataclass(frozen=True)
class RunFiles:
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
class TrainingJob:
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
        should_stop: asked after each chunk of a batch whether to stop and leave a state.
        on_record: called on the way.
    """

    plan: TrainingPlan
    train: Dataset
    validation: Dataset | None
    encoder: EncoderIdentity
    files: RunFiles
    history: tuple[str, ...] = ()
    data_sha256: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, Tensor] | None = None
    store: torch.dtype = torch.float32
    save_every_s: float = 60.0
    should_stop: Callable[[], bool] = never
    on_record: OnRecord = ignore


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Args:
        epoch: passes that the kept weights have had.
        metrics: figures of their validation; empty without one.
        epochs: passes that were made.
    """

    epoch: int
    metrics: Mapping[str, float]
    epochs: int


def new_network(job: TrainingJob, device: torch.device) -> Network:
    """The network at its start: random from the seed, or the weights of another model.

    Raises:
        InputError: the other model's weights do not fit the configured network.
    """
    torch.manual_seed(job.plan.training.seed)
    network = build_network(job.plan.network)
    if job.start is not None:
        start = dict(job.start)
        if isinstance(network, FrameNetwork) and network.config.segments:
            # What segments have beside proposals begins anew where the other model has none.
            own = network.state_dict()
            start = {name: own[name] for name in own if name in SEGMENT_WEIGHTS} | start
        problem = shape_problem(shapes_of(network), {name: tuple(w.shape) for name, w in start.items()})
        if problem:
            raise InputError(f"the model to start from does not fit: {problem}", where="--init")
        network.load_state_dict(start)
    is_new = job.start is None
    if isinstance(network, FrameNetwork) and (is_new or job.plan.training.measure_anew):
        measure(network, job.train, partial(require_going_on, job.should_stop), whiten=is_new)
    return network.to(device)


def require_metric(validation: Dataset, metric: str) -> None:
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
