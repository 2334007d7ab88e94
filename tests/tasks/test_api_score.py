"""``amr.evaluation.score`` from Python: the command line's digits, from files and from records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amr.cli.main import run
from amr.errors import ExitCode, InputError, UsageError
from amr.evaluation import Scores, compare, score
from amr.evaluation.sed import score_events
from amr.formats.annotations import read_annotations
from amr.formats.predictions import read_predictions

Record = dict[str, Any]
Printed = Callable[..., str]


def truth_records() -> list[Record]:
    """Two queries on each of 20 recordings, and the dataset of each."""
    return [
        {"qid": f"rec{number}_{query}", "query": "a dog", "duration": 60, "vid": f"rec{number}"}
        | {"relevant_windows": [[5 * query, 20], [40, 41.7]], "half": str(number % 2)}
        for number in range(20)
        for query in (1, 2)
    ]


def answer_records(seed: int) -> list[Record]:
    """Three windows each, not in the order of their scores."""
    draw = np.random.default_rng(seed)
    return [
        {"qid": record["qid"], "query": "a dog", "vid": record["vid"]}
        | {"pred_relevant_windows": [[*sorted(draw.uniform(0, 60, 2)), draw.random()] for _ in range(3)]}
        for record in truth_records()
    ]


def write(path: Path, records: list[Record]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Printed:
    """Standard output of ``amr score`` beside ``truth.jsonl``, ``a.jsonl`` and ``b.jsonl``."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "truth.jsonl", truth_records())
    write(tmp_path / "a.jsonl", answer_records(1))
    write(tmp_path / "b.jsonl", answer_records(2))

    def score_them(*arguments: str) -> str:
        assert run(["score", *arguments]) == ExitCode.COMPLETE
        return capfd.readouterr().out

    return score_them


def test_a_file_has_the_command_lines_report(printed: Printed) -> None:
    scores = score("a.jsonl", "truth.jsonl", lengths="5,30", seed=3)
    report = json.loads(printed("a.jsonl", "truth.jsonl", "--lengths", "5,30", "--seed", "3"))
    assert scores.record() == report
    assert scores["R1@0.5"] == scores.figures["R1@0.5"] == report["brief"]["MR-full-R1@0.5"]
    assert dict(scores) == scores.figures
    low, high = report["intervals"]["figures"]["mAP"]
    assert scores.intervals["mAP"] == (low, high)


def test_the_official_text(printed: Printed) -> None:
    assert score("a.jsonl", "truth.jsonl").official() == printed("a.jsonl", "truth.jsonl", "--official")


def test_every_query(printed: Printed, tmp_path: Path) -> None:
    printed("a.jsonl", "truth.jsonl", "--by", "half", "--per-query", "each.jsonl")
    lines = (tmp_path / "each.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(score("a.jsonl", "truth.jsonl", by="half").queries())


def test_records_are_scored_as_their_file(printed: Printed) -> None:
    expected = score("a.jsonl", "truth.jsonl").record()
    typed = score(read_predictions("a.jsonl"), read_annotations("truth.jsonl")).record()
    plain = score(answer_records(1), truth_records()).record()
    assert plain["predictions"]["file"] == "predictions"
    assert plain["predictions"]["sha256"] == expected["predictions"]["sha256"]
    named = ("predictions", "ground_truth", "notes")  # which name the files
    for found in (typed, plain):
        assert [found[name] for name in found if name not in named] == [
            expected[name] for name in expected if name not in named
        ]


def test_several_files(printed: Printed) -> None:
    both = ["a.jsonl", "b.jsonl"]
    systems, runs = compare(both, "truth.jsonl"), compare(both, "truth.jsonl", are_runs=True)
    assert systems.record() == json.loads(printed(*both, "truth.jsonl", "--compare"))
    assert runs.record() == json.loads(printed(*both, "truth.jsonl", "--seeds"))
    assert [each["mAP"] for each in systems.systems] == [score(name, "truth.jsonl")["mAP"] for name in both]
    with pytest.raises(KeyError, match=r"\.systems"):
        systems["mAP"]
    with pytest.raises(UsageError):
        systems.official()


def test_a_mixture_has_no_figure(printed: Printed) -> None:
    scores = score("a.jsonl", "truth.jsonl", by="half")
    assert scores.record() == json.loads(printed("a.jsonl", "truth.jsonl", "--by", "half"))
    assert (list(scores.sets), scores.figures) == (["half 0", "half 1"], {})
    assert 0 <= scores.sets["half 0"]["mIoU"] <= 100
    with pytest.raises(KeyError, match=r"\.sets"):
        scores["mAP"]


def test_remarks_are_kept_and_logged(printed: Printed, caplog: pytest.LogCaptureFixture) -> None:
    records = answer_records(1)
    records[0]["pred_relevant_windows"] = []
    with caplog.at_level("WARNING", "amr"):
        scores = score(records, truth_records(), bootstrap=0)
    assert "predictions:1: query without a predicted window" in scores.remarks[0]
    assert caplog.messages == scores.remarks
    assert all(ends is None for ends in scores.intervals.values())


def test_what_is_wrong_is_said_by_number_of_the_record(printed: Printed) -> None:
    records = answer_records(1)
    records[2]["pred_relevant_windows"] = [[0, "1"]]
    with pytest.raises(InputError, match=r"^predictions:3: .*window 1 is a string"):
        score(records, "truth.jsonl")
    with pytest.raises(UsageError, match="not a list of ranges"):
        score(records, "truth.jsonl", lengths="x")


def test_a_notebook_shows_a_table(printed: Printed) -> None:
    scores = score("a.jsonl", "truth.jsonl")
    shown = scores._repr_html_()
    assert f"<td>{scores['mAP']:.2f}<br><small>" in shown
    assert "a.jsonl</th>" in shown
    assert repr(scores).startswith(f"Scores(R1@0.5 {scores['R1@0.5']:.2f}, ")
    records = [{**record, "half": "<b>"} for record in truth_records()]
    named = compare([answer_records(1), answer_records(2)], records, bootstrap=0)
    assert "predictions 2</th>" in named._repr_html_()
    mixed: Scores = score("a.jsonl", [*truth_records()[:20], *records[20:]], by="half", bootstrap=0)
    assert "half &lt;b&gt;: a.jsonl" in mixed._repr_html_()


def test_sound_events(printed: Printed) -> None:
    scores = score_events("a.jsonl", "truth.jsonl", threshold=0.2)
    text = printed("a.jsonl", "truth.jsonl", "--task", "sed", "--threshold", "0.2")
    assert scores.record() == json.loads(text)
    assert (
        score_events(answer_records(1), truth_records(), threshold=0.2).report["frame_micro"]
        == (scores.report["frame_micro"])
    )
