"""The yardstick of the shipped model: held-out questions that are fair, figures that say what they mean."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = Path(__file__).parents[2] / "examples"
OPEN_CLIPS = EXAMPLES.parent / "../shared/data/audio/open/foreground.csv"


def load(name: str) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.insert(0, str(EXAMPLES))  # as where it is run as a script
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(EXAMPLES))
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def judge() -> Iterator[ModuleType]:
    yield from load("judge_default")


@pytest.fixture(scope="module")
def judge_page() -> Iterator[ModuleType]:
    yield from load("judge_page")


@pytest.fixture(scope="module")
def absence() -> Iterator[ModuleType]:
    yield from load("heldout_absent")


@pytest.fixture(scope="module")
def heldout() -> Iterator[ModuleType]:
    yield from load("heldout_annotations")


def answers(judge: ModuleType, rows: list[tuple[float, bool, bool]]) -> Any:
    score, right, present = zip(*rows, strict=True)
    return judge.TopAnswers(np.array(score), np.array(right), np.array(present))


def test_thresholds_by_hand(judge: ModuleType) -> None:
    top = answers(
        judge,
        [
            (0.9, True, True),
            (0.6, False, True),
            (0.2, True, True),
            (0.0, False, True),
            (0.6, False, False),
            (0.1, False, False),
        ],
    )
    low, middle, high = judge.threshold_table(top, (0.2, 0.6, 0.95))
    assert low == {
        "min_score": 0.2,
        "precision": 50.0,
        "recall": 50.0,
        "F1": 50.0,
        "answered": 75.0,
        "false_alarms": 50.0,
    }
    assert (middle["precision"], middle["recall"], middle["false_alarms"]) == (33.33, 25.0, 50.0)
    assert (high["precision"], high["recall"], high["F1"], high["false_alarms"]) == (None, 0.0, 0.0, 0.0)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans(), st.booleans()), min_size=1),
    st.sampled_from((0.05, 0.3, 0.5, 0.9)),
)
def test_thresholds_are_what_counting_says(
    judge: ModuleType, drawn: list[tuple[float, bool, bool]], least: float
) -> None:
    rows = [(score, right and present, present) for score, right, present in drawn]
    rows += [(0.5, True, True), (0.5, False, False)]
    [row] = judge.threshold_table(answers(judge, rows), (least,))
    shown = [each for each in rows if each[0] >= least]
    present = [each for each in rows if each[2]]
    right = sum(each[1] for each in shown)
    assert row["recall"] == pytest.approx(100 * right / len(present), abs=0.01)
    assert row["answered"] == pytest.approx(100 * sum(e[2] for e in shown) / len(present), abs=0.01)
    alarms = sum(not each[2] for each in shown)
    assert row["false_alarms"] == pytest.approx(100 * alarms / (len(rows) - len(present)), abs=0.01)
    assert row["precision"] == (pytest.approx(100 * right / len(shown), abs=0.01) if shown else None)


def test_absent_queries_count_as_misses(judge: ModuleType) -> None:
    present = [(0.8, True, True)] * 8 + [(0.8, False, True)] * 2
    alone = judge.telling_apart(answers(judge, [*present, (0.0, False, False)]))
    assert alone["calibration"]["ece"] == 0.0
    assert alone["AUC"] == 100.0
    confident = judge.telling_apart(answers(judge, present + [(0.8, False, False)] * 10))
    assert confident["calibration"]["ece"] == 40.0
    assert confident["AUC"] == 50.0
    assert (confident["present"], confident["absent"]) == (10, 10)


def test_scores_that_are_no_probabilities_have_no_calibration(
    judge: ModuleType, judge_page: ModuleType
) -> None:
    told = judge.telling_apart(answers(judge, [(1.5, True, True), (0.1, False, False)]))
    assert told["calibration"] is None
    assert "| score |" not in "".join(judge_page.score_tables("set", "model", told))


def test_top_answers_of_both_kinds(judge: ModuleType) -> None:
    judged = [{"top_score": 0.7, "iou": {"1": 0.5}}, {"top_score": None, "iou": {"1": 0.0}}]
    absent: list[dict[str, Any]] = [
        {"pred_relevant_windows": []},
        {"pred_relevant_windows": [[0, 1, 0.3], [2, 3, 0.4]]},
    ]
    top = judge.top_answers(judged, absent)
    assert top.score.tolist() == [0.7, 0.0, 0.0, 0.4]
    assert top.right.tolist() == [True, False, False, False]
    assert top.present.tolist() == [True, True, False, False]


def made_set(folder: Path) -> None:
    """Twelve queries of two labels, and as many absent ones."""
    lines: dict[str, list[dict[str, Any]]] = {"scenes": [], "absent": []}
    for index in range(24):
        name = "absent" if index >= 12 else "scenes"
        lines[name].append(
            {
                "qid": f"{name}_{index}",
                "query": "a dog barks",
                "duration": 60.0,
                "vid": f"r{index}",
                "relevant_windows": [] if name == "absent" else [[10.0, 20.0]],
                "label": "dog_bark",
                "seen": index % 2 == 0,
            }
        )
    for name, records in lines.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))


def test_a_page_from_score_itself(judge: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the predicting is made up: one model is right and sure, the other never right."""
    made_set(tmp_path)
    run = judge.amr

    def amr(tool: str, *rest: Any) -> None:
        if tool == "score":
            run(tool, *rest)
            return
        model, source = rest[1], rest[3]
        with open(rest[rest.index("-o") + 1], "w") as out:
            for record in judge.read_lines(source):
                good = model == "good" and record["relevant_windows"]
                window = [10.0, 20.0, 0.9] if good else [30.0, 40.0, 0.1]
                out.write(json.dumps({**record, "pred_relevant_windows": [window]}) + "\n")

    monkeypatch.setattr(judge, "amr", amr)
    bench = judge.Bench(tmp_path, tmp_path / "work", ("bad", "good"))
    held = bench.judge(judge.HeldOut("scenes", "scenes", "absent"))
    assert list(held["parts"]) == list(held["absent"]) == ["all", "seen", "unseen"]
    assert held["parts"]["seen"]["queries"] == 6
    assert held["parts"]["all"]["models"]["good"]["brief"]["MR-full-R1@0.7"] == 100.0
    assert held["parts"]["all"]["against_first"]["good"]["R1@0.7"]["difference"] == 100.0
    assert held["absent"]["unseen"]["good"]["AUC"] == 100.0
    assert held["absent"]["all"]["bad"]["AUC"] == 50.0
    page = judge.page({"models": ["bad", "good"], "sets": {"scenes": held}})
    assert "| scenes | all | 12 | 12 | `good` | 100.00 |" in page
    assert "| 0.50 | 100.00 | 100.00 | 100.00 | 100.00 | 0.00 |" in page


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(20, 40))
def test_absent_questions_are_absent_and_balanced(absence: ModuleType, seed: int, recordings: int) -> None:
    draw = np.random.default_rng(seed)
    labels = [f"label{index}" for index in range(12)]
    heard, present = {}, []
    for index in range(recordings):
        own = draw.choice(labels, size=1 + index % 3, replace=False).tolist()
        heard[f"r{index}"] = set(own)
        asked = {"vid": f"r{index}", "duration": 60.0, "relevant_windows": [[1.0, 2.0 + index]]}
        present += [{**asked, "label": label, "query": label} for label in own]
    slots = absence.absent_slots(present, heard)
    assert Counter(slots) == Counter(record["vid"] for record in present)
    places = absence.absent_places([record["label"] for record in present], slots, heard)
    absent = absence.absent_records(present, slots, places)
    assert Counter(record["query"] for record in absent) == Counter(record["query"] for record in present)
    lengths = Counter((each["query"], absence.sounding_s(each)) for each in present)
    assert Counter((record["query"], record["sounding_s"]) for record in absent) == lengths
    assert not any(record["label"] in heard[record["vid"]] for record in absent)
    assert max(Counter((record["vid"], record["label"]) for record in absent).values()) == 1
    assert len({record["qid"] for record in absent}) == len(absent)


def test_a_recording_that_holds_nearly_everything_is_asked_less(absence: ModuleType) -> None:
    present = [{"vid": "full", "label": label} for label in "abc"] + [{"vid": "bare", "label": "d"}]
    slots = absence.absent_slots(present, {"full": set("abc"), "bare": {"d"}})
    assert Counter(slots) == {"full": 1, "bare": 3}


def test_every_label_that_a_recording_lacks_is_asked_of_it(absence: ModuleType) -> None:
    present = [{"vid": vid, "label": "dog", "duration": 60.0} for vid in ("one", "two")]
    heard = {"one": {"dog", "wolf"}, "two": {"dog"}}
    wordings = {"dog": ["a dog"], "wolf": ["a wolf howls"], "rain": ["rain", "it rains"]}
    records = absence.all_absent(present, heard, wordings)
    assert {(r["vid"], r["label"]) for r in records} == {("one", "rain"), ("two", "rain"), ("two", "wolf")}
    assert all(r["query"] in wordings[r["label"]] and r["relevant_windows"] == [] for r in records)
    assert len({r["qid"] for r in records}) == len(records)


def test_what_is_related_is_heard_too(heldout: ModuleType) -> None:
    related = heldout.related_labels()
    assert "rain_heavy" in related["rain"]
    assert "piano" in related["music"]
    assert "piano" not in related["trumpet"]
    assert all(label in related[other] for label, others in related.items() for other in others)
    scene = {
        "vid": "r",
        "foregrounds": [{"label": "rain", "query": None}],
        "background": {"path": "background/test/farm.ogg"},
    }
    heard = heldout.heard_labels([scene], {"farm.ogg": {"cow_moo"}}, related)["r"]
    assert {"rain", "rain_heavy", "cow_moo", "bull"} <= heard
    assert "piano" not in heard


def test_paraphrases_take_turns(heldout: ModuleType) -> None:
    wordings = heldout.read_wordings()
    present = [{"qid": n, "label": "dog_bark", "query": "a dog barks"} for n in range(3)]
    first, second, third = (record["query"] for record in heldout.paraphrased(present, wordings))
    assert first == third != second
    assert {first, second} == set(wordings["dog_bark"])


def test_paraphrases_are_no_captions(heldout: ModuleType) -> None:
    if not OPEN_CLIPS.exists():
        pytest.skip("the captioned clips are not beside the repository")
    with open(OPEN_CLIPS, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    captions = {caption.strip().lower() for row in rows for caption in row["captions"].split("|")}
    wordings = heldout.read_wordings()
    spoken = [query.lower() for queries in wordings.values() for query in queries]
    assert len(set(spoken)) == len(spoken)
    assert not captions & set(spoken)
    assert {row["label"] for row in rows} >= set(wordings)


def test_lines_say_how_many_clips_train(heldout: ModuleType) -> None:
    trained, related = Counter({"dog_bark": 32, "anvil": 1}), {"wolf": {"dog_bark"}}
    asked = {"relevant_windows": [[1.0, 1.5], [3.0, 4.0]]}
    marks = [
        heldout.marked({**asked, "label": label}, trained, related)
        for label in ("dog_bark", "anvil", "wolf", "tap")
    ]
    assert {mark["sounding_s"] for mark in marks} == {1.5}
    absent = {"relevant_windows": [], "sounding_s": 0.7, "label": "anvil"}
    assert heldout.marked(absent, trained, related)["sounding_s"] == 0.7
    assert [mark["clips"] for mark in marks] == [32, 1, 0, 0]
    assert [mark["seen"] for mark in marks] == [True, True, False, False]
    assert [mark.get("kin") for mark in marks] == [None, None, True, False]
