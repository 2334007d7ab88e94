"""``amr score``: intervals, comparisons, seeds, parts, and ground truths that mix datasets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Amr

from amr.cli.main import run
from amr.errors import ExitCode, UsageError
from amr.evaluation.breakdown import LENGTHS, count_name, parse_lengths, range_name

Here = Callable[..., tuple[int, str, str]]
Record = dict[str, Any]

RECORDINGS = 30


def small_set() -> list[Record]:
    """Two queries on each of 30 recordings, the second with two moments."""
    records = []
    for number in range(RECORDINGS):
        for query, windows in ((1, [[20, 24]]), (2, [[5, 25], [40, 52]])):
            vid = f"rec{number}"
            records.append(
                {"qid": f"{vid}_{query}", "query": "a dog barks", "duration": 60, "vid": vid}
                | {"relevant_windows": windows}
            )
    return records


def answers(truths: list[Record], skill: float, seed: int) -> list[Record]:
    """The truth with this probability, else the second choice; the other windows are far off."""
    generator = np.random.default_rng(seed)
    found = []
    for record in truths:
        start, end = record["relevant_windows"][0]
        right, wrong = [start, end + 0.5, 0.9], [57.0, 59.0, 0.8]
        windows = [right, wrong] if generator.random() < skill else [[*wrong[:2], 0.9], [*right[:2], 0.8]]
        found.append(
            {"qid": record["qid"], "query": record["query"], "vid": record["vid"]}
            | {"pred_relevant_windows": windows}
        )
    return found


def write(path: Path, records: list[Record]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Run ``amr score`` beside ``gt.jsonl``, ``good.jsonl`` and ``bad.jsonl``."""
    monkeypatch.chdir(tmp_path)
    truths = small_set()
    write(tmp_path / "gt.jsonl", truths)
    write(tmp_path / "good.jsonl", answers(truths, 0.8, 1))
    write(tmp_path / "bad.jsonl", answers(truths, 0.4, 2))

    def score(*arguments: str) -> tuple[int, str, str]:
        code = run(["score", *arguments])
        return (code, *capfd.readouterr())

    return score


def test_every_result_has_its_interval(here: Here) -> None:
    code, out, err = here("good.jsonl", "gt.jsonl")
    assert (code, err) == (ExitCode.COMPLETE, "")
    report = json.loads(out)
    intervals = report["intervals"]
    assert (intervals["recordings"], intervals["draws"], intervals["level"]) == (30, 1000, 0.95)
    low, high = intervals["figures"]["R1@0.7"]
    assert low < report["brief"]["MR-full-R1@0.7"] < high
    assert 10 < high - low < 40
    assert here("good.jsonl", "gt.jsonl", "--seed", "1")[1] != out
    assert here("good.jsonl", "gt.jsonl", "--seed", "0")[1] == out
    assert json.loads(here("good.jsonl", "gt.jsonl", "--bootstrap", "0")[1])["intervals"] is None


def test_what_stands_beside_the_result(here: Here) -> None:
    report = json.loads(here("good.jsonl", "gt.jsonl")[1])
    assert report["ceiling"]["mAP"] == 100.0
    assert list(report["priors"]) == ["prior:whole", "prior:middle", "prior:first", "prior:tiles"]
    assert report["near_chance"] == []
    found = report["recall_at_k"]
    assert found["0.5"]["1"] == report["brief"]["MR-full-R1@0.5"]
    assert found["0.5"]["5"] == found["0.5"]["10"] == 100.0
    calibration = report["calibration"]["top_window"]
    assert [cell["windows"] for cell in calibration["bins"]] == [60]
    assert calibration["ece"] == pytest.approx(abs(90 - found["0.5"]["1"]), abs=0.011)
    assert sum(cell["windows"] for cell in report["calibration"]["all_windows"]["bins"]) == 120


def test_a_result_near_chance_is_said_to_be_so(here: Here, tmp_path: Path) -> None:
    truths = small_set()
    blind = [
        {"qid": record["qid"], "vid": record["vid"], "pred_relevant_windows": [[15, 45, 0.9]]}
        for record in truths
    ]
    write(tmp_path / "blind.jsonl", blind)
    code, out, err = here("blind.jsonl", "gt.jsonl")
    assert code == ExitCode.COMPLETE
    assert err.startswith("amr score: warning: blind.jsonl: near chance")
    assert len(err.splitlines()) == 1
    assert {case["figure"] for case in json.loads(out)["near_chance"]} == {"R1@0.5", "R1@0.7", "mAP"}


def test_without_durations_there_are_no_blind_answers(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "gt.jsonl", [{**record, "duration": None} for record in small_set()])
    report = json.loads(here("good.jsonl", "gt.jsonl")[1])
    assert (report["priors"], report["near_chance"]) == (None, None)
    code, out, _ = here("good.jsonl", "gt.jsonl", "--format", "table")
    assert code == ExitCode.COMPLETE
    assert "ceiling" in out


def test_made_up_scores_are_not_calibrated(here: Here, tmp_path: Path) -> None:
    bare = [
        {**record, "pred_relevant_windows": [window[:2] for window in record["pred_relevant_windows"]]}
        for record in answers(small_set(), 0.8, 1)
    ]
    write(tmp_path / "bare.jsonl", bare)
    assert json.loads(here("bare.jsonl", "gt.jsonl")[1])["calibration"]["top_window"] is None
    assert "not probabilities" in here("bare.jsonl", "gt.jsonl", "--format", "table")[1]


def test_two_systems_compared(here: Here) -> None:
    code, out, err = here("bad.jsonl", "good.jsonl", "gt.jsonl", "--compare")
    assert (code, err) == (ExitCode.COMPLETE, "")
    report = json.loads(out)
    assert [system["predictions"]["file"] for system in report["systems"]] == ["bad.jsonl", "good.jsonl"]
    (comparison,) = report["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("bad.jsonl", "good.jsonl")
    assert (comparison["queries"], comparison["recordings"], comparison["draws"]) == (60, 30, 10_000)
    figure = comparison["figures"]["R1@0.7"]
    one, other = (system["brief"]["MR-full-R1@0.7"] for system in report["systems"])
    assert figure["difference"] == pytest.approx(other - one, abs=0.011)
    assert figure["interval"][0] < figure["difference"] < figure["interval"][1]
    assert figure["p"] < 0.05
    # The share of queries won less that of queries lost is the difference of a hit rate.
    net = 100 * (figure["queries_won"] - figure["queries_lost"]) / 60
    assert net == pytest.approx(figure["difference"], abs=0.011)


def test_a_system_compared_with_itself_may_differ_by_luck_alone(here: Here) -> None:
    code, out, err = here("good.jsonl", "good.jsonl", "gt.jsonl", "--compare")
    assert code == ExitCode.COMPLETE
    assert "may differ by luck alone: +0.00 points, p 1" in err
    figure = json.loads(out)["comparisons"][0]["figures"]["mAP"]
    assert (figure["difference"], figure["interval"], figure["p"]) == (0.0, None, 1.0)


def test_the_order_of_lines_does_not_matter(here: Here, tmp_path: Path) -> None:
    shuffled = answers(small_set(), 0.8, 1)
    np.random.default_rng(0).shuffle(shuffled)  # type: ignore[arg-type]
    write(tmp_path / "shuffled.jsonl", shuffled)
    straight = json.loads(here("bad.jsonl", "good.jsonl", "gt.jsonl", "--compare")[1])
    found = json.loads(here("bad.jsonl", "shuffled.jsonl", "gt.jsonl", "--compare")[1])
    assert found["comparisons"][0]["figures"] == straight["comparisons"][0]["figures"]


def test_several_comparisons_are_corrected(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "third.jsonl", answers(small_set(), 0.6, 3))
    report = json.loads(here("bad.jsonl", "good.jsonl", "third.jsonl", "gt.jsonl", "--compare")[1])
    assert [found["second"] for found in report["comparisons"]] == ["good.jsonl", "third.jsonl"]
    for found in report["comparisons"]:
        assert all(figure["p_holm"] >= figure["p"] for figure in found["figures"].values())
    table = here("bad.jsonl", "good.jsonl", "third.jsonl", "gt.jsonl", "--compare", "--format", "table")[1]
    assert "p Holm" in table
    assert "good.jsonl minus bad.jsonl: 60 queries, 30 recordings" in table


def test_partly_answered_files_are_compared_on_what_both_have(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "good.jsonl", answers(small_set(), 0.8, 1)[:40])
    write(tmp_path / "bad.jsonl", answers(small_set(), 0.4, 2)[10:])
    files = ("bad.jsonl", "good.jsonl", "gt.jsonl", "--compare")
    assert here(*files)[0] == ExitCode.BAD_INPUT
    code, out, err = here(*files, "--partial")
    assert code == ExitCode.COMPLETE
    assert json.loads(out)["comparisons"][0]["queries"] == 30
    assert "query in this file only" in err
    write(tmp_path / "good.jsonl", answers(small_set(), 0.8, 1)[:10])
    code, _, err = here(*files, "--partial")
    assert code == ExitCode.BAD_INPUT
    assert "no query is answered by all files" in err


def test_seeds_of_one_system(here: Here, tmp_path: Path) -> None:
    names = [f"seed{seed}.jsonl" for seed in range(4)]
    for seed, name in enumerate(names):
        write(tmp_path / name, answers(small_set(), 0.6, seed))
    code, out, err = here(*names, "gt.jsonl", "--seeds")
    assert (code, err) == (ExitCode.COMPLETE, "")
    report = json.loads(out)
    found = report["seeds"]
    each = [system["brief"]["MR-full-R1@0.7"] for system in report["systems"]]
    assert [run["R1@0.7"] for run in found["each"]] == each
    assert found["mean"]["R1@0.7"] == pytest.approx(np.mean(each), abs=0.011)
    assert found["standard_deviation"]["R1@0.7"] == pytest.approx(np.std(each, ddof=1), abs=0.011)
    low, high = found["interval"]["R1@0.7"]
    for key in ("interval_over_seeds", "interval_over_recordings"):
        assert low <= found[key]["R1@0.7"][0] <= found[key]["R1@0.7"][1] <= high
    assert "4 runs, 60 queries, 30 recordings" in here(*names, "gt.jsonl", "--seeds", "--format", "table")[1]


def test_parts(here: Here) -> None:
    report = json.loads(here("good.jsonl", "gt.jsonl", "--breakdown")[1])
    parts = report["breakdown"]
    assert [(part["range"], part["queries"], part["windows"]) for part in parts["moment_length_s"]] == [
        ("0-5", 30, 30),
        ("0-10", 30, 30),
        ("10-30", 30, 60),
    ]
    assert [(part["range"], part["queries"]) for part in parts["moments"]] == [("1", 30), ("2", 30)]
    assert [(part["range"], part["windows"]) for part in parts["duration_s"]] == [("30-60", 90)]
    assert parts["duration_s"][0]["figures"]["R1@0.7"] == report["brief"]["MR-full-R1@0.7"]
    assert parts["duration_s"][0]["intervals"] == report["intervals"]["figures"]
    shown = here("good.jsonl", "gt.jsonl", "--lengths", "4,20", "--format", "table")[1]
    assert "\n4-20 " in shown
    assert "breakdown" not in json.loads(here("good.jsonl", "gt.jsonl")[1])


def test_ranges_of_lengths() -> None:
    inf = float("inf")
    assert parse_lengths("5,10,30") == [(0, 5), (5, 10), (10, 30), (30, inf)]
    assert parse_lengths(LENGTHS) == [(0, 5), (0, 10), (10, 30), (30, inf)]
    assert [range_name(limits) for limits in parse_lengths(LENGTHS)] == ["0-5", "0-10", "10-30", ">30"]
    assert [count_name(limits) for limits in ((0, 1), (2, 5), (10, inf))] == ["1", "3-5", ">10"]
    for wrong in ("", "x", "10,5", "5-5", "nan", "-3"):
        with pytest.raises(UsageError, match="ranges"):
            parse_lengths(wrong)


def test_every_query_on_its_own_line(here: Here, tmp_path: Path) -> None:
    code, out, _ = here("good.jsonl", "gt.jsonl", "--per-query", "q.jsonl")
    assert code == ExitCode.COMPLETE
    lines = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert [line["qid"] for line in lines] == [record["qid"] for record in small_set()]
    brief = json.loads(out)["brief"]
    assert 100 * np.mean([line["AP"] for line in lines]) == pytest.approx(brief["MR-full-mAP"], abs=0.0051)
    assert 100 * np.mean([line["iou"]["1"] for line in lines]) == pytest.approx(
        brief["MR-full-mIoU"], abs=0.0051
    )
    assert lines[0]["moments"] == 1
    assert len(lines[0]["top_window"]) == 2
    assert here("good.jsonl", "gt.jsonl", "--per-query", "q.jsonl")[0] == ExitCode.BAD_INPUT
    code, _, _ = here("bad.jsonl", "good.jsonl", "gt.jsonl", "--compare", "--per-query", "q.jsonl", "-f")
    assert code == ExitCode.COMPLETE
    names = [json.loads(line)["predictions"] for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert names == ["bad.jsonl"] * 60 + ["good.jsonl"] * 60


def mixed() -> list[Record]:
    """The test set and a smaller one, whose qids are numbers."""
    other = [
        {**record, "qid": number, "vid": f"other{number}"} for number, record in enumerate(small_set()[:10])
    ]
    return [*small_set(), *other]


def test_a_mixture_is_scored_apart(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "gt.jsonl", mixed())
    write(tmp_path / "good.jsonl", answers(mixed(), 0.8, 1))
    code, out, err = here("good.jsonl", "gt.jsonl", "--per-query", "q.jsonl")
    assert code == ExitCode.COMPLETE
    assert "gt.jsonl: mixes datasets: qids VID_N (60), integer qids (10): scored apart" in err
    report = json.loads(out)
    assert "brief" not in report
    assert {name: each["full"]["queries"] for name, each in report["sets"].items()} == {
        "qids VID_N": 60,
        "integer qids": 10,
    }
    write(tmp_path / "gt1.jsonl", mixed()[:60])
    write(tmp_path / "good1.jsonl", answers(mixed(), 0.8, 1)[:60])
    alone = json.loads(here("good1.jsonl", "gt1.jsonl")[1])
    assert report["sets"]["qids VID_N"]["brief"] == alone["brief"]
    assert report["sets"]["qids VID_N"]["intervals"] == alone["intervals"]
    names = [json.loads(line)["set"] for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert names == ["qids VID_N"] * 60 + ["integer qids"] * 10
    table = here("good.jsonl", "gt.jsonl", "--format", "table")[1]
    assert [line for line in table.splitlines() if line.startswith("==")] == [
        "== qids VID_N",
        "== integer qids",
    ]


def test_a_mixture_that_is_partly_answered(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "gt.jsonl", mixed())
    stranger = {"qid": "zz", "pred_relevant_windows": [[0, 1, 0.5]]}
    write(tmp_path / "good.jsonl", [*answers(mixed(), 0.8, 1)[:50], stranger])
    assert here("good.jsonl", "gt.jsonl")[0] == ExitCode.BAD_INPUT
    code, out, err = here("good.jsonl", "gt.jsonl", "--partial")
    assert code == ExitCode.COMPLETE
    assert [each["full"]["queries"] for each in json.loads(out)["sets"].values()] == [50]
    assert 'good.jsonl: query in this file only: "zz": 1 left out' in err
    assert "good.jsonl: no prediction for integer qids: left out" in err
    assert "gt.jsonl: query in this file only" in err
    write(tmp_path / "bad.jsonl", answers(mixed(), 0.8, 1)[60:])
    code, _, err = here("good.jsonl", "bad.jsonl", "gt.jsonl", "--partial", "--compare")
    assert code == ExitCode.BAD_INPUT
    assert "no dataset of the ground truth is answered by all files" in err


def test_a_mixture_is_pooled_only_when_asked(here: Here, tmp_path: Path) -> None:
    write(tmp_path / "gt.jsonl", mixed())
    write(tmp_path / "good.jsonl", answers(mixed(), 0.8, 1))
    code, out, err = here("good.jsonl", "gt.jsonl", "--pool")
    assert code == ExitCode.COMPLETE
    assert "scored as one (--pool)" in err
    assert json.loads(out)["full"]["queries"] == 70
    code, official, err = here("good.jsonl", "gt.jsonl", "--official")
    assert code == ExitCode.COMPLETE
    assert "the official evaluator scores them as one" in err
    assert json.loads(official)["brief"].items() <= json.loads(out)["brief"].items()


def test_the_ground_truth_may_name_its_sets(here: Here, tmp_path: Path) -> None:
    named = [{**record, "dataset": "xy"[number % 2]} for number, record in enumerate(small_set())]
    write(tmp_path / "gt.jsonl", named)
    report = json.loads(here("good.jsonl", "gt.jsonl")[1])
    assert list(report["sets"]) == ["dataset x", "dataset y"]
    compared = json.loads(here("bad.jsonl", "good.jsonl", "gt.jsonl", "--compare")[1])
    assert compared["sets"]["dataset y"]["comparisons"][0]["queries"] == 30
    by = json.loads(here("good.jsonl", "gt.jsonl", "--by", "duration")[1])
    assert by["full"]["queries"] == 60
    code, _, err = here("good.jsonl", "gt.jsonl", "--by", "city")
    assert code == ExitCode.BAD_INPUT
    assert "gt.jsonl:1: key 'city' is missing" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["good.jsonl", "bad.jsonl", "gt.jsonl"], "2 prediction files: --compare"),
        (["good.jsonl", "gt.jsonl", "--compare"], "expected PREDICTIONS PREDICTIONS... GROUND_TRUTH"),
        (["good.jsonl", "bad.jsonl", "gt.jsonl", "--compare", "--seeds"], "--compare: "),
        (["good.jsonl", "bad.jsonl", "gt.jsonl", "--compare", "--official"], "--compare: --official prints"),
        (["good.jsonl", "gt.jsonl", "--by", "x", "--pool"], "--by: "),
        (
            ["good.jsonl", "gt.jsonl", "--threshold", "0.5"],
            "--threshold: --task retrieval does not take this option",
        ),
        (["good.jsonl", "gt.jsonl", "--lengths", "9,3"], "--lengths: '9,3' is not a list of ranges"),
        (["-", "-", "gt.jsonl", "--compare"], "standard input"),
    ],
)
def test_command_lines_that_cannot_be(here: Here, arguments: list[str], words: str) -> None:
    code, out, err = here(*arguments)
    assert (code, out) == (ExitCode.USAGE, "")
    assert words in err
    assert len(err.splitlines()) <= 2


def test_one_of_the_systems_may_come_from_a_pipe(amr: Amr, tmp_path: Path) -> None:
    truths = small_set()
    write(tmp_path / "gt.jsonl", truths)
    write(tmp_path / "good.jsonl", answers(truths, 0.8, 1))
    piped = "".join(json.dumps(record) + "\n" for record in answers(truths, 0.4, 2))
    done = amr("score", "-", "good.jsonl", "gt.jsonl", "--compare", "-o", "c.json", stdin=piped)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.COMPLETE, "", "")
    assert json.loads((tmp_path / "c.json").read_text())["comparisons"][0]["first"] == "<stdin>"


def test_published_predictions_are_not_near_chance(here: Here, shared: Path) -> None:
    cases = shared / "data" / "score-cases"
    files = [str(cases / f"castella_val_{name}.jsonl") for name in ("preds", "gt")]
    code, out, _ = here(*files, "-q")
    assert code == ExitCode.COMPLETE
    report = json.loads(out)
    assert report["near_chance"] == []
    assert report["recall_at_k"]["0.5"] == {"1": 27.56, "5": 47.73, "10": 56.53}
    assert report["ceiling"]["mAP"] == 99.03
