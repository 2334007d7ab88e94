"""What ``amr train`` shows: a table at a terminal, one line a validation elsewhere, the spread at the end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from amr.cli.tables import columns
from amr.cli.train_display import EpochDisplay
from amr.tasks.train_report import TrainedModel, TrainProgress, TrainReport

METRICS = {"R1@0.5": 50.0, "R1@0.7": 25.5, "mAP": 30.25, "mIoU": 40.0}


def feed(display: EpochDisplay, *records: dict[str, Any], model: str = "m") -> None:
    for record in records:
        display(TrainProgress("epoch", model=Path(model), epochs=3, record=record))


def epoch(number: int, **more: Any) -> dict[str, Any]:
    return {"event": "epoch", "epoch": number, "loss": {"total": 2.5}, "samples_per_s": 12.3, **more}


def test_a_table_and_a_live_line_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with EpochDisplay(quiet=False) as display:
        steps = [{"event": "step", "epoch": 1, "batch": batch, "batches": 4} for batch in (2, 4)]
        feed(display, *steps, epoch(1, metrics=METRICS, best=True), epoch(2))
    told = capsys.readouterr()
    assert told.out == ""
    live, *rows = told.err.replace("\r\x1b[K", "\n").strip().split("\n")
    assert live == "epoch 1/3  batch 2/4"
    shown = [row.split() for row in rows if row and "batch" not in row]
    assert shown[0] == ["epoch", "loss", "R1@0.5", "R1@0.7", "mAP", "AUC", "samples/s", "best"]
    assert shown[1] == ["1", "2.5000", "50.00", "25.50", "30.25", "12", "*"]
    assert shown[2] == ["2", "2.5000", "12"]
    widths = {len(row) for row in rows if row.split() in (shown[0], shown[1])}
    assert len(widths) == 1


def test_one_line_a_validation_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    step = {"event": "step", "epoch": 1, "batch": 2, "batches": 4}
    feed(EpochDisplay(quiet=False), step, epoch(1), epoch(2, metrics=METRICS, best=True))
    figures = "loss 2.5000, R1@0.5 50.00, R1@0.7 25.50, mAP 30.25 (best so far); 12 samples/s"
    assert capsys.readouterr().err == f"amr train: m: epoch 2: {figures}\n"


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    feed(EpochDisplay(quiet=True), epoch(2, metrics=METRICS))
    assert capsys.readouterr().err == ""


def test_every_run_has_a_head_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    display = EpochDisplay(quiet=False)
    for model in ("m-1", "m-2"):
        feed(display, epoch(1, metrics=METRICS), epoch(2), model=model)
    assert capsys.readouterr().err.count("samples/s") == 2


def report(*values: float) -> TrainReport:
    models = [TrainedModel(Path(f"m-{n}"), n, n, 9, {"mAP": mAP}) for n, mAP in enumerate(values, start=1)]
    return TrainReport(tuple(models))


def test_the_spread_is_that_of_a_sample() -> None:
    found = report(1.0, 2.0, 6.0)
    assert found.record() == {"runs": 3, "mean": {"mAP": 3.0}, "sd": {"mAP": 2.65}}


def test_the_final_table_ends_with_mean_and_sd() -> None:
    assert [line.split() for line in columns(report(1.0, 2.0).table())] == [
        ["model", "epoch", "mAP"],
        ["m-1", "1", "1.00"],
        ["m-2", "2", "2.00"],
        ["mean", "1.50"],
        ["sd", "0.71"],
    ]
