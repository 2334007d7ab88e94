"""Plots, pages and ``amr score`` judge alike: the same file, the same IoU of each query, the same R1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from oracles.official import Record
from oracles.strategies import evaluations

from amr.cli.main import run
from amr.errors import ExitCode
from amr.formats.annotations import read_annotations
from amr.formats.notices import Notices
from amr.formats.predictions import read_predictions
from amr.report.page import case_data
from amr.report.records import match_cases
from amr.report.results import judge, judge_by_length

LENGTHS = "0-5,5-10,10-30,30-"


def write_files(folder: Path, answers: list[Record], truths: list[Record]) -> None:
    """Both files, with the recording and sentence that a qid stands for."""

    def full(record: Record) -> Record:
        number = int(record["qid"][1:])
        return {"query": f"sound {number}", "vid": f"r{number // 2}", "duration": 60.0, **record}

    for name, records in (("preds.jsonl", answers), ("truth.jsonl", truths)):
        (folder / name).write_text("".join(json.dumps(full(record)) + "\n" for record in records))


def scored(folder: Path) -> tuple[dict[str, Any], list[Record]] | None:
    """``amr score``: the report and how each query went; None where no query can be judged."""
    names = [str(folder / name) for name in ("preds.jsonl", "truth.jsonl", "report.json", "each.jsonl")]
    options = ["-o", names[2], "--per-query", names[3], "--bootstrap", "0", "--lengths", LENGTHS]
    code = run(["score", *names[:2], *options, "--force", "--quiet"])
    if code == ExitCode.BAD_INPUT:
        return None
    assert code == ExitCode.COMPLETE
    lines = Path(names[3]).read_text().splitlines()
    return json.loads(Path(names[2]).read_text()), [json.loads(line) for line in lines]


def hold_together(folder: Path) -> None:
    """What the three say of ``preds.jsonl`` and ``truth.jsonl`` in a folder."""
    predictions = read_predictions(folder / "preds.jsonl")
    annotations = read_annotations(folder / "truth.jsonl")
    drawn = judge("preds", predictions, annotations, Notices())
    by_length = judge_by_length([("preds", predictions)], annotations, Notices())
    cases = match_cases(predictions, annotations, Notices())
    shown = {case.qid: case_data(case, 0, 60.0)["iou"] for case in cases}
    found = scored(folder)
    if found is None:
        assert len(drawn.top_iou) == 0
        assert set(shown.values()) == {None}
        return
    report, queries = found
    assert np.round(drawn.top_iou, 6).tolist() == [query["iou"]["1"] for query in queries]
    assert list(drawn.recordings) == [query["vid"] for query in queries]
    scores = [query["top_score"] for query in queries]
    assert [score if np.isfinite(score) else None for score in drawn.top_score.tolist()] == scores
    for iou, recall in report["full"]["MR-R1"].items():
        assert 100 * np.mean(drawn.top_iou >= float(iou)) == pytest.approx(recall, abs=0.0051)
    parts = {part["range"]: part for part in report["breakdown"]["moment_length_s"]}
    for low, high, [system] in by_length:
        name = f">{low:g}" if np.isinf(high) else f"{low:g}-{high:g}"
        assert (name in parts) == bool(len(system.top_iou))
        if name in parts:
            hits = 100 * np.mean(system.top_iou >= 0.7)
            assert hits == pytest.approx(parts[name]["figures"]["R1@0.7"], abs=0.0051)
    judged = {query["qid"] for query in queries}
    assert len(cases) == len(shown)
    assert all(iou is None for qid, iou in shown.items() if qid not in judged)
    for query in queries:
        assert shown[query["qid"]] == (round(query["iou"]["1"], 4) if query["top_window"] else None)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(evaluations(strange=True))
def test_random_files(tmp_path: Path, files: tuple[list[Record], list[Record]]) -> None:
    """Unsorted windows, equal scores, repeated qids, windows that cannot be, empty answers."""
    write_files(tmp_path, *files)
    hold_together(tmp_path)


def test_windows_in_the_order_of_the_file_are_not_a_ranking(tmp_path: Path) -> None:
    answers = [
        {"qid": f"q{number}", "pred_relevant_windows": [[0, 4, 0.1], [10, 14, 0.9]]} for number in range(12)
    ]
    truths = [{"qid": f"q{number}", "relevant_windows": [[0, 4]]} for number in range(12)]
    write_files(tmp_path, answers, truths)
    hold_together(tmp_path)
    predictions, annotations = (
        read_predictions(tmp_path / "preds.jsonl"),
        read_annotations(tmp_path / "truth.jsonl"),
    )
    assert judge("preds", predictions, annotations, Notices()).top_iou.tolist() == [0.0] * 12
    cases = match_cases(predictions, annotations, Notices())
    assert [(case.predicted[0].start_s, case.top_iou) for case in cases] == [(10, 0.0)] * 12


def test_a_query_that_is_not_answered_is_a_miss_in_a_figure(tmp_path: Path) -> None:
    answers = [{"qid": "q0", "pred_relevant_windows": [[0, 4, 0.1]]}]
    truths = [{"qid": qid, "relevant_windows": [[0, 4]]} for qid in ("q0", "q1")]
    write_files(tmp_path, answers, truths)
    assert scored(tmp_path) is None  # amr score wants --partial
    predictions = read_predictions(tmp_path / "preds.jsonl")
    annotations = read_annotations(tmp_path / "truth.jsonl")
    assert judge("preds", predictions, annotations, Notices()).top_iou.tolist() == [1.0, 0.0]
    write_files(tmp_path, [*answers, {"qid": "q1", "pred_relevant_windows": []}], truths)
    hold_together(tmp_path)
