"""``examples/two_sounds.py``: questions of two sounds from annotations of one each, and their figures."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "two_sounds.py"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def annotation(vid: str, label: str, *windows: list[float]) -> str:
    return json.dumps(
        {"vid": vid, "label": label, "query": f"a {label}", "duration": 60, "relevant_windows": windows}
    )


def test_questions_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        annotation("one", "dog", [0, 10], [40, 50]),
        annotation("one", "car", [8, 20]),
        annotation("one", "dog", [2, 10]),  # the same label is no second sound
        annotation("two", "bell", [5, 6]),
        annotation("two", "cough", [8, 9]),
        annotation("two", "rain", [30, 60]),
    ]
    annotations, questions = tmp_path / "annotations.jsonl", tmp_path / "two.jsonl"
    annotations.write_text("\n".join(rows) + "\n", encoding="utf-8")
    run(monkeypatch, annotations, "--write", questions)
    found = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    present = [row for row in found if row["relevant_windows"]]
    assert [(row["vid"], row["relevant_windows"]) for row in present] == [
        ("one", [[8, 10]]),
        ("one", [[8, 10]]),
        ("two", [[5, 9]]),
    ]
    assert [row["vid"] for row in found if not row["relevant_windows"]] == ["two", "two", "one"]
    in_turn = present[-1]
    assert in_turn["kind"] == "both" or in_turn["query"].startswith("a bell")

    answers = tmp_path / "answers.jsonl"
    right = {row["qid"]: [*row["relevant_windows"][0], 0.9] for row in present}
    answers.write_text(
        "".join(
            json.dumps({"qid": row["qid"], "pred_relevant_windows": [right.get(row["qid"], [0, 60, 0.1])]})
            + "\n"
            for row in found
        ),
        encoding="utf-8",
    )
    run(monkeypatch, questions, "--judge", answers)
    assert capsys.readouterr().out.splitlines()[0].split()[1:] == [
        "at",
        "once",
        "2",
        "100.0",
        "100.0",
        "100.0",
    ]
