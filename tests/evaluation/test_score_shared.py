"""Published files and the official program's own answers, where the neighbouring data is here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import SHARED

from amr.cli.main import run
from amr.errors import ExitCode
from amr.formats.scoring import read_answers, read_truth
from amr.metrics.evaluators import EvaluationInput, official_map_alone
from amr.metrics.matching import match_qids
from amr.metrics.records import Answers, Truths

CASES = SHARED / "data" / "score-cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/data/score-cases is not here")

STOPS = {
    "all_queries_dropped": "TypeError",
    "empty_pred_list": "IndexError",
    "empty_pred_AP_only": "IndexError",
    "missing_qid": "qids do not match",
    "extra_qid": "qids do not match",
    "no_scores": "IndexError",
    "pred_saliency_without_gt_saliency": "KeyError",
    "int_vs_str_qid": "AssertionError",
}
"""Where the official program crashes, and how the error line tells it."""


def official_text(name: str, capfd: pytest.CaptureFixture[str], *options: str) -> str:
    files = [str(CASES / f"{name}_preds.jsonl"), str(CASES / f"{name}_gt.jsonl")]
    assert run(["score", *files, "--official", *options]) == ExitCode.COMPLETE
    return capfd.readouterr().out


def test_castella_byte_for_byte(capfd: pytest.CaptureFixture[str]) -> None:
    assert official_text("castella_val", capfd) == (CASES / "castella_val_expected.json").read_text()


def test_qvhighlights_byte_for_byte(capfd: pytest.CaptureFixture[str]) -> None:
    text = official_text("qvhighlights_val", capfd, "--qvhighlights")
    assert text == (CASES / "qvhighlights_val_expected.json").read_text()


def test_lighthouse_on_qvhighlights_has_no_ranges(capfd: pytest.CaptureFixture[str]) -> None:
    found = json.loads(official_text("qvhighlights_val", capfd))
    published = json.loads((CASES / "qvhighlights_val_expected.json").read_text())
    assert list(found) == ["brief", "HL-min-Fair", "HL-min-Good", "HL-min-VeryGood", "full"]
    assert all(found[name] == published[name] for name in list(found)[1:])


@pytest.mark.parametrize(("name", "option"), [("castella_val", []), ("qvhighlights_val", ["--qvhighlights"])])
def test_honest_figures_of_published_files_are_the_official_ones(
    name: str, option: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    files = [str(CASES / f"{name}_preds.jsonl"), str(CASES / f"{name}_gt.jsonl")]
    assert run(["score", *files, *option]) == ExitCode.COMPLETE
    report = json.loads(capfd.readouterr().out)
    published = json.loads((CASES / f"{name}_expected.json").read_text())
    assert published["brief"].items() <= report["brief"].items()
    assert report["official"] == {"equal": True}


def edge_cases() -> dict[str, Any]:
    path = CASES / "d_edge_cases.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


@pytest.mark.parametrize("name", edge_cases())
def test_edge_cases(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    case = edge_cases()[name]
    monkeypatch.chdir(tmp_path)
    for file, records in (("p.jsonl", case["submission"]), ("g.jsonl", case["ground_truth"])):
        Path(file).write_text("\n".join(json.dumps(record) for record in records))
    code = run(["score", "p.jsonl", "g.jsonl", "--official"])
    out, err = capfd.readouterr()
    if name in STOPS:
        assert code == ExitCode.BAD_INPUT
        assert STOPS[name] in err.splitlines()[0]
        assert len(err.splitlines()) <= 2
    else:
        assert (code, err) == (ExitCode.COMPLETE, "")
        assert out == json.dumps(case["official"], indent=4)


def test_edge_case_of_map_alone(tmp_path: Path) -> None:
    case = edge_cases()["empty_pred_AP_only"]
    for file, records in (("p.jsonl", case["submission"]), ("g.jsonl", case["ground_truth"])):
        (tmp_path / file).write_text("\n".join(json.dumps(record) for record in records))
    answers, truth = read_answers(tmp_path / "p.jsonl"), read_truth(tmp_path / "g.jsonl")
    matching = match_qids(answers.columns.qids, truth.columns.qids)
    found = official_map_alone(
        EvaluationInput(
            Answers(matching.answer_query, answers.columns.windows, answers.has_scores),
            Truths(matching.truth_query, truth.columns.windows, truth.duration_s),
            matching.shared,
            curves=[],
            labels=[],
        )
    )
    assert found == case["official"]["MR-mAP only"]
