"""What a training says on the way, and what it gave."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amr.tasks.callbacks import Progress
from amr.tasks.html import html_table

SHOWN_METRICS = ("R1@0.5", "R1@0.7", "mAP", "AUC")


@dataclass(frozen=True)
class TrainProgress(Progress):
    """How far training has come; ``done`` and ``total`` count the epochs of all runs.

    Args:
        model: file of the run under way.
        epochs: of this run.
        record: of the epoch that has just ended, as its log has it; inside an epoch ``event`` is ``step``.
    """

    model: Path = Path()
    epochs: int = 0
    record: Mapping[str, Any] = field(default_factory=dict)


OnTrainProgress = Callable[[TrainProgress], None]


@dataclass(frozen=True)
class TrainedModel:
    """What a run gave.

    Args:
        path: the model file.
        seed: of its draws.
        epoch: passes that the kept weights have had.
        epochs: passes that were made.
        metrics: figures of their validation in per cent; empty without one.
    """

    path: Path
    seed: int
    epoch: int
    epochs: int
    metrics: Mapping[str, float]

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "model": str(self.path),
            "seed": self.seed,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "metrics": dict(self.metrics),
        }


@dataclass(frozen=True)
class TrainReport:
    """The models of a training, one a seed."""

    models: tuple[TrainedModel, ...]

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each figure over the runs."""
        return {name: round(statistics.mean(values), 2) for name, values in self._figures().items()}

    @property
    def sd(self) -> dict[str, float]:
        """Standard deviation of the sample, over one less than the runs; there must be two."""
        return {name: round(statistics.stdev(values), 2) for name, values in self._figures().items()}

    def _figures(self) -> dict[str, list[float]]:
        return {name: [each.metrics[name] for each in self.models] for name in self.models[0].metrics}

    def record(self) -> dict[str, Any]:
        """As a JSON object: the model, or of several mean and sd."""
        if len(self.models) == 1:
            return self.models[0].record()
        return {"runs": len(self.models), "mean": self.mean, "sd": self.sd}

    def table(self) -> list[tuple[str, ...]]:
        """The usual figures as rows of text under a head; of several models mean and sd come last."""
        names = [name for name in SHOWN_METRICS if name in self.models[0].metrics]
        rows = [(str(each.path), str(each.epoch), each.metrics) for each in self.models]
        if len(rows) > 1:
            rows += [("mean", "", self.mean), ("sd", "", self.sd)]
        cells = [(title, epoch, *(f"{of[name]:.2f}" for name in names)) for title, epoch, of in rows]
        return [("model", "epoch", *names), *cells]

    def _repr_html_(self) -> str:
        head, *rows = self.table()
        return html_table(head, rows)
