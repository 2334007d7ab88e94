"""The measures of sed_scores_eval: ours agree with the library called directly; without it a clear error."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from amr.cli.main import run
from amr.errors import ExitCode, MissingError, install_command
from amr.metrics.sed_frames import Key, Window
from amr.metrics.sed_library import floor_below, library_measures, true_events, usable

IS_HERE = importlib.util.find_spec("sed_scores_eval") is not None
pytestmark = pytest.mark.filterwarnings("ignore")  # the library's own sources warn while they are compiled
needs_library = pytest.mark.skipif(not IS_HERE, reason="sed_scores_eval is not installed (extra sed)")

DURATIONS_S = {"v": 10.0, "w": 6.0}
CLASSES = ["car", "people"]
TRUTH: dict[Key, list[Window]] = {
    ("v", "car"): [[1.0, 4.0], [6.0, 8.0]],
    ("v", "people"): [[2.0, 9.0]],
    ("w", "car"): [[0.0, 3.0]],
}
ANSWERS: dict[Key, list[Window]] = {
    ("v", "car"): [[1.1, 4.0, 0.9], [6.5, 9.5, 0.5], [6.1, 8.0, 0.3]],
    ("v", "people"): [[2.0, 8.0, 0.7], [9.5, 10.0, 0.2]],
    ("w", "car"): [[0.0, 2.9, 0.8]],
    ("w", "people"): [[1.0, 5.0, 0.6]],
}


def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sed_scores_eval", None)
    with pytest.raises(MissingError, match="sed_scores_eval"):
        library_measures(DURATIONS_S, CLASSES, TRUTH, ANSWERS, 0.5)
    code = run(["score", "--task", "sed", "--events", "nowhere.jsonl", "nowhere.jsonl"])
    assert code == ExitCode.MISSING
    assert install_command("sed") in capfd.readouterr().err


def test_events_are_inside_their_recording() -> None:
    truth: dict[Key, list[Window]] = {("v", "car"): [[8.0, 12.0], [-1.0, 2.0], [5.0, 5.0], [11.0, 12.0]]}
    assert true_events("v", CLASSES, truth, 10.0) == [(0.0, 2.0, "car"), (8.0, 10.0, "car")]
    windows = [[8.0, 12.0, 0.5], [3.0, 2.0, 0.9], [1.0, 2.0, float("nan")]]
    assert usable(windows, 10.0) == [(8.0, 10.0, 0.5)]


def test_the_floor_lies_below_everything() -> None:
    assert floor_below({("v", "car"): [[0, 1, -3.0], [0, 1, float("nan")]]}, 0.5) == -4.0
    assert floor_below({}, -7.0) == -8.0


@needs_library
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.65])
def test_measures_are_those_of_the_library_called_directly(threshold: float) -> None:
    from sed_scores_eval import collar_based, intersection_based, segment_based
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    step_s = 0.1  # all times above are multiples of it: a plain grid is the same curve
    scores = {}
    for vid, duration_s in DURATIONS_S.items():
        count = round(duration_s / step_s)
        grid = np.zeros((count, len(CLASSES)))
        for column, name in enumerate(CLASSES):
            for start_s, end_s, score in ANSWERS.get((vid, name), []):
                part = grid[round(start_s / step_s) : round(end_s / step_s), column]
                np.maximum(part, score, out=part)
        times = np.round(np.arange(count + 1) * step_s, 6)
        scores[vid] = create_score_dataframe(grid, timestamps=times, event_classes=CLASSES)
    events = {
        vid: [
            (start, end, name) for (owner, name), rows in TRUTH.items() if owner == vid for start, end in rows
        ]
        for vid in DURATIONS_S
    }
    found = library_measures(DURATIONS_S, CLASSES, TRUTH, ANSWERS, threshold)
    collar = collar_based.fscore(
        scores, events, threshold=threshold, onset_collar=0.2, offset_collar=0.2, offset_collar_rate=0.2
    )
    segment = segment_based.fscore(scores, events, DURATIONS_S, threshold=threshold, segment_length=1.0)
    shared = intersection_based.fscore(
        scores, events, threshold=threshold, dtc_threshold=0.5, gtc_threshold=0.5
    )
    for name, direct in (("event", collar), ("segment", segment), ("intersection", shared)):
        assert found[name]["F1"] == pytest.approx(direct[0]["micro_average"])
        assert found[name]["F1_macro"] == pytest.approx(direct[0]["macro_average"])
        assert found[name]["P"] == pytest.approx(direct[1]["micro_average"])
        assert found[name]["R"] == pytest.approx(direct[2]["micro_average"])
    first = intersection_based.psds(
        scores,
        events,
        DURATIONS_S,
        dtc_threshold=0.7,
        gtc_threshold=0.7,
        cttc_threshold=None,
        alpha_ct=0.0,
        alpha_st=1.0,
        max_efpr=100.0,
    )[0]
    assert found["PSDS1"] == pytest.approx(first)


@needs_library
def test_the_command_line_gives_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    truths = [
        {"qid": i, "vid": vid, "query": name, "duration": DURATIONS_S[vid], "relevant_windows": rows}
        for i, ((vid, name), rows) in enumerate(TRUTH.items())
    ]
    answers = [
        {"qid": i, "vid": vid, "query": name, "pred_relevant_windows": rows}
        for i, ((vid, name), rows) in enumerate(ANSWERS.items())
    ]
    for file, records in (("p.jsonl", answers), ("gt.jsonl", truths)):
        (tmp_path / file).write_text("".join(json.dumps(record) + "\n" for record in records))
    files = [str(tmp_path / "p.jsonl"), str(tmp_path / "gt.jsonl")]
    assert run(["score", "--task", "sed", "--events", *files]) == ExitCode.COMPLETE
    report = json.loads(capfd.readouterr().out)
    direct = library_measures(DURATIONS_S, CLASSES, TRUTH, ANSWERS, 0.5)
    assert report["library"]["event"]["F1"] == pytest.approx(100 * direct["event"]["F1"], abs=0.005)
    assert report["library"]["PSDS2"] == pytest.approx(100 * direct["PSDS2"], abs=0.005)
    assert run(["score", "--task", "sed", "--events", *files, "--format", "table"]) == ExitCode.COMPLETE
    assert "PSDS1" in capfd.readouterr().out
