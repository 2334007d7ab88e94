"""What ``amr train`` shows on stderr: a table that grows and a line that moves, or one line a validation."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from amr.cli.messages import say
from amr.cli.tables import clock, columns
from amr.tasks.train_report import SHOWN_METRICS, TrainProgress

CLEAR_LINE = "\r\x1b[K"


class EpochDisplay:
    """An ``on_progress`` for training.

    At a terminal a table with a row an epoch and a live line below it; elsewhere one line a validation.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._live = not quiet and sys.stderr.isatty()
        self._model: Path | None = None
        self._began_s = 0.0
        self._first_epoch: float | None = None
        self._has_header = False

    def __enter__(self) -> EpochDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear_line()

    def __call__(self, progress: TrainProgress) -> None:
        if self.quiet:
            return
        if progress.model != self._model:
            self._model, self._has_header, self._first_epoch = progress.model, False, None
        if progress.record["event"] != "step":
            self._end_epoch(progress.model, progress.record)
        elif self._live:
            self._show_step(progress)

    def _end_epoch(self, model: Path, record: Mapping[str, Any]) -> None:
        if not self._live:
            if "metrics" in record:
                say(f"amr train: {model.name}: {sentence(record)}")
            return
        cells = row(record)
        head, line = columns([tuple(cells), tuple(cells.values())], frozenset(range(len(cells))))
        self._clear_line()
        if not self._has_header:
            self._has_header = True
            say(head)
        say(line)

    def _show_step(self, progress: TrainProgress) -> None:
        record, epochs, now_s = progress.record, progress.epochs, time.monotonic()
        epoch = record["epoch"] - 1 + record["batch"] / record["batches"]
        line = f"epoch {record['epoch']}/{epochs}  batch {record['batch']}/{record['batches']}"
        if self._first_epoch is None:
            self._began_s, self._first_epoch = now_s, epoch
        done = epoch - self._first_epoch
        if done > 0:
            line += f"  {clock((now_s - self._began_s) / done * (epochs - epoch))} left"
        sys.stderr.write(CLEAR_LINE + line)
        sys.stderr.flush()

    def _clear_line(self) -> None:
        if self._live:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()


def row(record: Mapping[str, Any]) -> dict[str, str]:
    """The cells of an epoch by the columns' names; fixed widths, since rows come one by one."""
    metrics = record.get("metrics", {})
    cells = {"epoch": str(record["epoch"]), "   loss": f"{record['loss']['total']:.4f}"}
    cells |= {f"{name:>7}": f"{metrics[name]:.2f}" if name in metrics else "" for name in SHOWN_METRICS[:3]}
    cells[f"{'AUC':>7}"] = f"{metrics['AUC']:.2f}" if "AUC" in metrics else ""
    cells[" samples/s"] = f"{record['samples_per_s']:.0f}"
    cells["best"] = "*" if record.get("best") else ""
    return cells


def sentence(record: Mapping[str, Any]) -> str:
    """An epoch in one line."""
    figures = ", ".join(
        f"{name} {record['metrics'][name]:.2f}" for name in SHOWN_METRICS if name in record["metrics"]
    )
    best = " (best so far)" if record.get("best") else ""
    speed = f"{record['samples_per_s']:.0f} samples/s"
    return f"epoch {record['epoch']}: loss {record['loss']['total']:.4f}, {figures}{best}; {speed}"
