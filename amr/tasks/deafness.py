"""A warning where a network in training answers alike whatever is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr.tasks.callbacks import log
from amr.training.advice import least_steps
from amr.training.exchange import Exchange
from amr.training.plan import TrainingPlan


@dataclass
class DeafnessWatch:
    """Passes a run's records on; warns once where the network has had its steps and is still deaf.

    Args:
        model: file of the run.
        plan: of the run.
        on_record: what the records go on to.
    """

    model: Path
    plan: TrainingPlan
    on_record: Callable[[Mapping[str, Any]], None]
    has_warned: bool = False

    def __call__(self, record: Mapping[str, Any]) -> None:
        self.on_record(record)
        if "exchange" not in record or self.has_warned:
            return
        exchange = Exchange(record["exchange"]["own_text_mAP"], record["exchange"]["other_text_mAP"])
        is_last = record["epoch"] == self.plan.training.epochs
        if exchange.is_deaf and (is_last or record["step"] >= least_steps(self.plan)):
            self.has_warned = True
            log.warning(
                f"{self.model.name}: after {record['step']:,} steps it makes no difference what is asked: "
                f"mAP {exchange.own:.1f} with the right texts, {exchange.other:.1f} with others"
            )
