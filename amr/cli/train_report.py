"""What ``amr train`` says: a table that grows, a line that moves, and the figures at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from amr.cli.messages import say
from amr.cli.tables import clock, columns

SHOWN_METRICS = ("R1@0.5", "R1@0.7", "mAP", "AUC")
CLEAR_LINE = "\r\x1b[K"


class Reporter:
    """Told of each epoch and of progress inside it; writes on stderr.

    At a terminal a table with a row an epoch and a live line below it; elsewhere one line a validation.

    Args:
        name: what is trained, for the lines.
        epochs: passes to come.
        quiet: say nothing.
    """

    def __init__(self, name: str, epochs: int, *, quiet: bool) -> None:
        self.name = name
        self.epochs = epochs
        self.quiet = quiet
        self._live = not quiet and sys.stderr.isatty()
        self._has_header = False
        self._began = time.monotonic()
        self._first_epoch: float | None = None

    def __call__(self, record: Mapping[str, Any]) -> None:
        if self.quiet:
            return
        if record["event"] == "step":
            self._step(record)
        elif self._live:
            self._row(record)
        elif "metrics" in record:
            say(f"amr train: {self.name}: {sentence(record)}")

    def _step(self, record: Mapping[str, Any]) -> None:
        if not self._live:
            return
        part = record["epoch"] - 1 + record["batch"] / record["batches"]
        if self._first_epoch is None:
            self._first_epoch = part
            self._began = time.monotonic()
        done = part - self._first_epoch
        left = "" if done <= 0 else clock((time.monotonic() - self._began) / done * (self.epochs - part))
        line = f"epoch {record['epoch']}/{self.epochs}  batch {record['batch']}/{record['batches']}"
        sys.stderr.write(f"{CLEAR_LINE}{line}  {left} left" if left else f"{CLEAR_LINE}{line}")
        sys.stderr.flush()

    def _row(self, record: Mapping[str, Any]) -> None:
        cells = row(record)
        lines = columns([tuple(cells), tuple(cells.values())], frozenset(range(len(cells))))
        sys.stderr.write(CLEAR_LINE)
        if not self._has_header:
            self._has_header = True
            say(lines[0])
        say(lines[1])

    def end(self) -> None:
        """Leave no half line behind."""
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


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Models and their figures in columns; with several, mean and sd below."""
    names = [name for name in SHOWN_METRICS if name in rows[0]["metrics"]]
    cells = [("model", "epoch", *names)]
    for each in rows:
        cells.append((each["model"], str(each["epoch"]), *(f"{each['metrics'][n]:.2f}" for n in names)))
    if len(rows) > 1:
        for title, figures in spread([each["metrics"] for each in rows]).items():
            cells.append((title, "", *(f"{figures[name]:.2f}" for name in names)))
    return columns(cells, frozenset(range(1, len(cells[0]))))


def spread(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """``mean`` and ``sd`` of each figure over runs; sd is the sample's, divided by one less than the runs."""
    import statistics

    figures = {name: [each[name] for each in metrics] for name in metrics[0]}
    return {
        "mean": {name: round(statistics.mean(values), 2) for name, values in figures.items()},
        "sd": {name: round(statistics.stdev(values), 2) for name, values in figures.items()},
    }
