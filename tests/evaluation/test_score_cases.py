"""Small files with one oddity each: what is official, what is honest, and what is said about it.

``data/score_cases.jsonl``: a case a line; ``official`` and ``honest`` are ``[R1@0.5, R1@0.7, mAP]``, worked
out by hand, or words of the error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from amr.cli.main import run
from amr.errors import ExitCode

DATA = Path(__file__).parents[1] / "data" / "score_cases.jsonl"
CASES = [json.loads(line) for line in DATA.read_text().splitlines()]
KEYS = ("MR-full-R1@0.5", "MR-full-R1@0.7", "MR-full-mAP")

each_case = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_files(case: dict[str, Any]) -> None:
    write_jsonl("preds.jsonl", case["predictions"])
    write_jsonl("gt.jsonl", case["ground_truth"])


def write_jsonl(name: str, records: Iterable[object]) -> None:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))


def quoted(metrics: dict[str, Any]) -> list[float]:
    return [metrics["brief"][key] for key in KEYS]


@each_case
def test_official(case: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    write_files(case)
    code = run(["score", "preds.jsonl", "gt.jsonl", "--official"])
    out, err = capfd.readouterr()
    if isinstance(case["official"], str):
        assert code == ExitCode.BAD_INPUT
        assert out == ""
        assert err.startswith("amr score: error: ")
        assert case["official"] in err.splitlines()[0]
    else:
        assert (code, err) == (ExitCode.COMPLETE, "")
        assert quoted(json.loads(out)) == case["official"]


@each_case
def test_honest(case: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    write_files(case)
    code = run(["score", "preds.jsonl", "gt.jsonl"])
    out, err = capfd.readouterr()
    if isinstance(case["honest"], str):
        assert code == ExitCode.BAD_INPUT
        assert out == ""
        assert case["honest"] in err.splitlines()[0]
        return
    report = json.loads(out)
    assert code == ExitCode.COMPLETE
    assert quoted(report) == case["honest"]
    assert [note["kind"] for note in report["notes"]] == case["notes"]
    warnings = err.splitlines()
    assert len(warnings) == (len(case["notes"]) + 1 if case["notes"] else 0)
    for note, warning in zip(report["notes"], warnings, strict=False):
        assert warning == f"amr score: warning: {note['first']}: {note['what']}: {note['treatment']}" or (
            note["count"] > 1 and f"({note['count']} times, this is the first)" in warning
        )


@each_case
def test_the_official_figures_stand_beside(case: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    write_files(case)
    if run(["score", "preds.jsonl", "gt.jsonl"]) != ExitCode.COMPLETE:
        return
    out, err = capfd.readouterr()
    report = json.loads(out)
    beside = report["official"]
    if not case["notes"]:
        # Saliency that nobody asked to judge is no oddity of the moments.
        assert beside == {"equal": True}
        return
    last = err.splitlines()[-1]
    if isinstance(case["official"], str):
        assert beside["error"].startswith(case["official"])
        assert "the official evaluator stops with " + case["official"] in last
    elif beside["equal"]:
        assert case["official"] == case["honest"]
        assert "figures are the same" in last
    else:
        assert quoted(beside) == case["official"]
        assert f"mAP {case['official'][2]:.2f}; here: " in last


def test_official_map_would_leave_out_what_has_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    write_files(next(case for case in CASES if case["name"] == "no_answer_to_one_query"))
    run(["score", "preds.jsonl", "gt.jsonl"])
    out, err = capfd.readouterr()
    assert json.loads(out)["official"]["mAP"] == 100.0
    assert "its mAP alone would be 100.00" in err
