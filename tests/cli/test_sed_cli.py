"""``amr score --task sed`` from files to figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oracles.sed import frame_micro

from amr.cli.main import run
from amr.errors import ExitCode
from amr.retrieval.prior import PRIORS

Sed = Callable[..., tuple[int, str, str]]

TRUTH = [
    {"qid": 0, "query": "A car passes.", "duration": 10, "vid": "v", "relevant_windows": [[1.0, 3.5]]},
    {"qid": 1, "query": "People walk.", "duration": 10, "vid": "v", "relevant_windows": [[6, 7], [0.1, 0.9]]},
    {"qid": 2, "query": "A car passes.", "duration": 4.2, "vid": "w", "relevant_windows": [[0, 4.2]]},
]
ANSWERS = [
    {"qid": 0, "query": "A car passes.", "vid": "v", "pred_relevant_windows": [[0, 2, 0.9], [8, 9, 0.4]]},
    {"qid": 1, "query": "People walk.", "vid": "v", "pred_relevant_windows": [[6, 7, 0.5]]},
    {"qid": 2, "query": "A car passes.", "vid": "w", "pred_relevant_windows": [[1, 2, 0.6]]},
]


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def sed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Sed:
    """Run ``amr score --task sed`` beside the two files above: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.jsonl", ANSWERS)
    write(tmp_path / "gt.jsonl", TRUTH)

    def score(*arguments: str) -> tuple[int, str, str]:
        code = run(["score", "--task", "sed", *(arguments or ("p.jsonl", "gt.jsonl"))])
        return (code, *capfd.readouterr())

    return score


def test_the_published_figures(sed: Sed) -> None:
    code, out, err = sed()
    assert (code, err) == (ExitCode.COMPLETE, "")
    report = json.loads(out)
    # Found at 0.5: frames 0, 1, 2 of the car in v, 1 and 2 in w; 0.5 itself is not above the threshold.
    assert report["frame_micro"] == {"P": 80.0, "R": 40.0, "F1": 53.33}
    expected = [round(100 * share, 2) for share in frame_micro(ANSWERS, TRUTH, 0.5)]
    assert list(report["frame_micro"].values()) == expected
    assert list(report["classes"]) == ["A car passes.", "People walk."]
    assert report["classes"]["People walk."]["F1"] == 0.0
    assert (report["frames"], report["active_frames"]) == (2 * (10 + 5), 10)
    assert (report["pairs"], report["pairs_without_prediction"]) == (4, 1)
    assert report["best_on_these_files"]["F1"] >= max(point["F1"] for point in report["sweep"])
    assert len(report["ground_truth"]["sha256"]) == 64


def test_a_threshold_of_ones_own(sed: Sed) -> None:
    report = json.loads(sed("p.jsonl", "gt.jsonl", "--threshold", "0.39")[1])
    assert report["threshold"] == 0.39
    expected = [round(100 * share, 2) for share in frame_micro(ANSWERS, TRUTH, 0.39)]
    assert list(report["frame_micro"].values()) == expected


def test_the_threshold_is_tuned_on_other_files(sed: Sed, tmp_path: Path) -> None:
    write(tmp_path / "dev.jsonl", TRUTH[:2])
    write(tmp_path / "devp.jsonl", ANSWERS[:2])
    code, out, err = sed("p.jsonl", "gt.jsonl", "--tune-on", "devp.jsonl", "dev.jsonl")
    assert (code, err) == (ExitCode.COMPLETE, "")
    report = json.loads(out)
    assert 0.4 < report["threshold"] < 0.5
    assert report["tuned_on"]["threshold"] == report["threshold"]
    assert report["tuned_on"]["ground_truth"]["file"] == "dev.jsonl"
    expected = [round(100 * share, 2) for share in frame_micro(ANSWERS, TRUTH, report["threshold"])]
    assert list(report["frame_micro"].values()) == expected


def test_tuning_on_the_test_is_told(sed: Sed) -> None:
    code, out, err = sed("p.jsonl", "gt.jsonl", "--tune-on", "p.jsonl", "gt.jsonl")
    assert code == ExitCode.COMPLETE
    assert "the result is not a test" in err
    assert json.loads(out)["frame_micro"] == {
        key: json.loads(out)["best_on_these_files"][key] for key in ("P", "R", "F1")
    }


def test_labels_instead_of_prompts(sed: Sed, tmp_path: Path) -> None:
    (tmp_path / "labels.tsv").write_text("car\tA car passes.\npeople_walking\tPeople walk.\n")
    report = json.loads(sed("p.jsonl", "gt.jsonl", "--labels", "labels.tsv")[1])
    assert list(report["classes"]) == ["car", "people_walking"]
    assert report["classes"]["car"]["prompt"] == "A car passes."
    (tmp_path / "labels.tsv").write_text("car\tA car passes.\n")
    code, _, err = sed("p.jsonl", "gt.jsonl", "--labels", "labels.tsv")
    assert code == ExitCode.BAD_INPUT
    assert "no label for the class 'People walk.'" in err


def test_a_table(sed: Sed) -> None:
    lines = sed("p.jsonl", "gt.jsonl", "--format", "table")[1].splitlines()
    assert lines[2:5] == ["threshold 0.5 (given)", lines[3], "micro          80.00   40.00  53.33"]
    assert lines[3].split() == ["frames", "of", "1", "s", "P", "R", "F1"]


def test_a_false_alarm_on_a_class_that_a_recording_has_not_counts(sed: Sed, tmp_path: Path) -> None:
    extra = {"qid": 9, "query": "People walk.", "vid": "w", "pred_relevant_windows": [[0, 4, 0.9]]}
    write(tmp_path / "p.jsonl", [*ANSWERS, extra])
    report = json.loads(sed()[1])
    assert report["frame_micro"]["P"] == 40.0
    assert report["pairs_without_prediction"] == 0


def test_a_recording_without_predictions_is_told(sed: Sed, tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", ANSWERS[:2])
    code, out, err = sed()
    assert code == ExitCode.COMPLETE
    assert "1 recording without a prediction ('w' first)" in err
    assert json.loads(out)["frame_micro"]["R"] == 20.0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"query": "A cat purrs."}, "query 'A cat purrs.' is no class of the reference"),
        ({"vid": "x"}, "vid 'x' is no recording of the reference"),
        ({"pred_relevant_windows": [[1, 2]]}, "a window has no score"),
    ],
)
def test_predictions_that_cannot_be_judged(
    sed: Sed, tmp_path: Path, answer: dict[str, Any], words: str
) -> None:
    write(tmp_path / "p.jsonl", [*ANSWERS, {**ANSWERS[0], **answer}])
    code, out, err = sed()
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert f"p.jsonl:4: {words}" in err
    if "a window" not in words:
        code, out, err = sed("p.jsonl", "gt.jsonl", "--partial")
        assert code == ExitCode.COMPLETE
        assert "left out" in err
        assert json.loads(out)["frame_micro"]["F1"] == 53.33


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ({"duration": None}, "frames need a 'duration'"),
        ({"duration": 0}, "frames need a 'duration'"),
        ({"duration": 11}, "vid 'v' lasts 10 s in an earlier line"),
    ],
)
def test_recordings_of_no_known_length(sed: Sed, tmp_path: Path, truth: dict[str, Any], words: str) -> None:
    write(tmp_path / "gt.jsonl", [TRUTH[0], {**TRUTH[1], **truth}])
    code, out, err = sed()
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert f"gt.jsonl:2: {words}" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["p.jsonl", "gt.jsonl", "--official"], "--official: --task sed does not take this option"),
        (["p.jsonl", "p.jsonl", "gt.jsonl", "--compare"], "--compare: --task sed does not take this option"),
        (["p.jsonl", "p.jsonl", "gt.jsonl"], "2 prediction files"),
        (["p.jsonl", "gt.jsonl", "--threshold", "0.1", "--tune-on", "a", "b"], "--threshold"),
        (["-", "gt.jsonl", "--tune-on", "-", "b"], "standard input"),
    ],
)
def test_options_that_do_not_go_together(sed: Sed, arguments: list[str], words: str) -> None:
    code, out, err = sed(*arguments)
    assert (code, out) == (ExitCode.USAGE, "")
    assert words in err


@pytest.mark.parametrize("name", PRIORS)
def test_tut_2017_with_a_blind_answer(sed: Sed, shared: Path, tmp_path: Path, name: str) -> None:
    source = shared / "data" / "annotations" / "tut2017_test_release.jsonl"
    truths = [json.loads(line) for line in source.read_text().splitlines()]
    answers = [
        {
            **{key: record[key] for key in ("qid", "query", "vid", "duration")},
            "pred_relevant_windows": [list(moment) for moment in PRIORS[name](record["duration"])],
        }
        for record in truths
    ]
    write(tmp_path / "p.jsonl", answers)
    code, out, err = sed("p.jsonl", str(source), "--threshold", "0.15")
    assert (code, err) == (ExitCode.COMPLETE, "")
    report = json.loads(out)
    assert (len(report["classes"]), report["ground_truth"]["recordings"]) == (6, 32)
    expected = [round(100 * share, 2) for share in frame_micro(answers, truths, 0.15)]
    assert list(report["frame_micro"].values()) == pytest.approx(expected, abs=0.0051)
