"""``amr score`` as a process: streams, terminals, closed pipes, outputs, errors."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Amr
from waiting import HANG_S

from amr.cli.main import run
from amr.errors import ExitCode

Here = Callable[..., tuple[int, str, str]]

TRUTH = [
    {"qid": "a", "query": "a dog barks", "duration": 60, "vid": "-v.1_0.0", "relevant_windows": [[10, 20]]},
    {"qid": "b", "query": "it rains", "duration": 60, "vid": "w", "relevant_windows": [[30, 50], [0, 5]]},
]
ANSWERS = [
    {"qid": "a", "query": "a dog barks", "vid": "-v.1_0.0", "pred_relevant_windows": [[10, 18, 0.9]]},
    {"qid": "b", "query": "it rains", "vid": "w", "pred_relevant_windows": [[0, 9, 0.7], [30, 50, 0.4]]},
]


def jsonl(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "preds.jsonl").write_text(jsonl(ANSWERS))
    (tmp_path / "gt.jsonl").write_text(jsonl(TRUTH))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Run ``amr score`` inside this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def score(*arguments: str) -> tuple[int, str, str]:
        code = run(["score", *arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return score


def test_json_in_a_pipe(amr: Amr, tmp_path: Path) -> None:
    done = amr("score", "preds.jsonl", "gt.jsonl")
    assert (done.returncode, done.stderr) == (ExitCode.COMPLETE, "")
    report = json.loads(done.stdout)
    assert report["brief"]["MR-full-R1@0.5"] == 100.0
    assert report["brief"]["MR-full-R1@0.7"] == 50.0
    assert report["full"]["queries"] == 2
    assert report["full"]["windows"] == 3
    assert report["full"]["mIoU"] == pytest.approx(100 * (8 / 10 + 5 / 9) / 2, abs=0.005)
    truth = report["ground_truth"]
    assert truth["sha256"] == hashlib.sha256((tmp_path / "gt.jsonl").read_bytes()).hexdigest()
    assert (truth["queries"], truth["recordings"], truth["windows"]) == (2, 2, 3)
    assert report["settings"]["max_windows"] == 10
    assert report["notes"] == []
    assert report["official"] == {"equal": True}


def test_same_command_same_bytes(amr: Amr) -> None:
    assert amr("score", "preds.jsonl", "gt.jsonl").stdout == amr("score", "preds.jsonl", "gt.jsonl").stdout


def test_predictions_from_a_pipe(amr: Amr) -> None:
    done = amr("score", "-", "gt.jsonl", stdin=jsonl(ANSWERS))
    assert done.returncode == ExitCode.COMPLETE
    assert json.loads(done.stdout)["predictions"]["file"] == "<stdin>"
    assert (
        json.loads(done.stdout)["brief"]
        == json.loads(amr("score", "preds.jsonl", "gt.jsonl").stdout)["brief"]
    )


def test_ground_truth_from_a_pipe_is_hashed_as_read(amr: Amr) -> None:
    data = b"\xef\xbb\xbf" + jsonl(TRUTH).replace("\n", "\r\n\r\n").encode()
    report = json.loads(amr("score", "preds.jsonl", "-", stdin=data).stdout)
    assert report["ground_truth"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_official_text_has_no_line_end(amr: Amr) -> None:
    done = amr("score", "preds.jsonl", "gt.jsonl", "--official")
    assert done.stdout == json.dumps(json.loads(done.stdout), indent=4)
    assert list(json.loads(done.stdout)) == ["brief", "full"]


def test_format_forces_a_table(amr: Amr) -> None:
    lines = amr("score", "preds.jsonl", "gt.jsonl", "--format", "table").stdout.splitlines()
    assert lines[0].startswith("preds.jsonl against gt.jsonl (sha256 ")
    assert lines[2].split() == [
        "R1@0.5",
        "R1@0.7",
        "mAP",
        "mAP@0.5",
        "mAP@0.75",
        "mIoU",
        "queries",
        "windows",
    ]
    assert lines[3].split()[:3] == ["full", "100.00", "50.00"]
    assert [line.split()[0] for line in lines[5:8]] == ["IoU", "R1", "mAP"]
    assert max(map(len, lines[1:])) <= 80


def on_terminal(folder: Path, *arguments: str) -> tuple[str, str]:
    """What a person sees with standard output and standard error on a terminal each."""
    streams = [pty.openpty(), pty.openpty()]
    command = [sys.executable, "-m", "amr", "score", *arguments]
    child = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=streams[0][1], stderr=streams[1][1]
    )
    for _, inner in streams:
        os.close(inner)
    child.wait(timeout=HANG_S)
    return read_all(streams[0][0]), read_all(streams[1][0])


def read_all(handle: int) -> str:
    """Everything up to the end, which Linux tells as an error of the terminal."""
    data = b""
    with os.fdopen(handle, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(4096):
                data += chunk
        except OSError:
            return data.decode()
    return data.decode()


def test_a_terminal_gets_a_table(tmp_path: Path) -> None:
    shown, said = on_terminal(tmp_path, "preds.jsonl", "gt.jsonl")
    assert "R1@0.5  R1@0.7" in shown
    assert shown.endswith("\r\n")
    assert said == ""


def test_a_terminal_gets_json_when_asked(tmp_path: Path) -> None:
    shown, _ = on_terminal(tmp_path, "preds.jsonl", "gt.jsonl", "--format", "json")
    assert json.loads(shown)["brief"]["MR-full-R1@0.5"] == 100.0
    shown, _ = on_terminal(tmp_path, "preds.jsonl", "gt.jsonl", "--official")
    assert shown.endswith("}\r\n")


def test_a_terminal_never_gets_control_codes_from_files(tmp_path: Path) -> None:
    strange = [{**ANSWERS[0], "qid": "a\x1b[2J", "pred_relevant_windows": []}]
    (tmp_path / "odd\x1b[2J.jsonl").write_text(jsonl([*ANSWERS, *strange]))
    shown, said = on_terminal(tmp_path, "odd\x1b[2J.jsonl", "gt.jsonl", "--partial")
    assert "R1@0.5" in shown
    assert "query in this file only" in said
    assert "\x1b" not in shown + said


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "amr", "score", "preds.jsonl", "gt.jsonl"]
    done = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (ExitCode.READER_GONE, b"")


def test_a_keyboard_is_refused(tmp_path: Path) -> None:
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "amr", "score", "-", "gt.jsonl"]
    done = subprocess.run(
        command, cwd=tmp_path, stdin=inner, capture_output=True, check=False, timeout=HANG_S
    )
    os.close(inner)
    os.close(outer)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith(b"amr score: error: <stdin>: ")


def test_output_file(amr: Amr, tmp_path: Path) -> None:
    done = amr("score", "preds.jsonl", "gt.jsonl", "-o", "metrics.json")
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.COMPLETE, "", "")
    assert json.loads((tmp_path / "metrics.json").read_text())["brief"]["MR-full-R1@0.5"] == 100.0
    refused = amr("score", "preds.jsonl", "gt.jsonl", "-o", "metrics.json", "--official")
    assert refused.returncode == ExitCode.BAD_INPUT
    assert "--force" in refused.stderr
    assert amr("score", "preds.jsonl", "gt.jsonl", "-o", "metrics.json", "--official", "-f").returncode == 0
    assert (tmp_path / "metrics.json").read_text() == amr(
        "score", "preds.jsonl", "gt.jsonl", "--official"
    ).stdout


def test_a_failure_leaves_no_output(amr: Amr, tmp_path: Path) -> None:
    (tmp_path / "preds.jsonl").write_text(jsonl(ANSWERS)[:-30])
    assert amr("score", "preds.jsonl", "gt.jsonl", "-o", "metrics.json").returncode == ExitCode.BAD_INPUT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gt.jsonl", "preds.jsonl"]


def test_qids_that_do_not_match_are_listed(amr: Amr, tmp_path: Path) -> None:
    more = [{**TRUTH[0], "qid": number} for number in range(7)]
    (tmp_path / "gt.jsonl").write_text(jsonl([TRUTH[0], *more]))
    done = amr("score", "preds.jsonl", "gt.jsonl")
    assert done.returncode == ExitCode.BAD_INPUT
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()
    assert error == (
        'amr score: error: preds.jsonl: qids do not match: 1 only in preds.jsonl ("b"), '
        "7 only in gt.jsonl (0, 1, 2, 3, 4, …); 1 in both"
    )
    assert hint == "hint: --partial scores the 1 shared queries"


def test_partial_scores_what_is_shared(amr: Amr, tmp_path: Path) -> None:
    (tmp_path / "gt.jsonl").write_text(jsonl([TRUTH[0], {**TRUTH[1], "qid": "c"}]))
    done = amr("score", "preds.jsonl", "gt.jsonl", "--partial")
    assert done.returncode == ExitCode.COMPLETE
    report = json.loads(done.stdout)
    assert report["full"]["queries"] == 1
    assert report["brief"]["MR-full-R1@0.7"] == 100.0
    kinds = ["query_only_in_predictions", "query_only_in_ground_truth"]
    assert [note["kind"] for note in report["notes"]] == kinds
    assert report["settings"]["partial"] is True
    assert report["official"]["error"].startswith("AssertionError")
    assert len(done.stderr.splitlines()) == 3
    official = amr("score", "preds.jsonl", "gt.jsonl", "--partial", "--official")
    assert json.loads(official.stdout)["brief"]["MR-full-R1@0.7"] == 100.0


def test_partial_of_nothing_is_an_error(amr: Amr, tmp_path: Path) -> None:
    (tmp_path / "gt.jsonl").write_text(jsonl([{**TRUTH[0], "qid": "c"}]))
    done = amr("score", "preds.jsonl", "gt.jsonl", "--partial")
    assert done.returncode == ExitCode.BAD_INPUT
    assert "0 in both" in done.stderr


def test_files_in_the_wrong_order(amr: Amr) -> None:
    done = amr("score", "gt.jsonl", "preds.jsonl")
    assert done.returncode == ExitCode.BAD_INPUT
    assert "amr score PREDICTIONS GROUND_TRUTH" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-", "-"], ExitCode.USAGE, "only one of the two files"),
        (["preds.jsonl"], ExitCode.USAGE, "GROUND_TRUTH"),
        (["preds.jsonl", "gt.jsonl", "--official", "--format", "table"], ExitCode.USAGE, "--official"),
        (["nowhere.jsonl", "gt.jsonl"], ExitCode.BAD_INPUT, "nowhere.jsonl: no such file"),
        (["preds.jsonl", "."], ExitCode.BAD_INPUT, "is a folder"),
        (["preds.jsonl", "gt.jsonl", "-o", "no/where.json"], ExitCode.BAD_INPUT, "folder"),
    ],
)
def test_command_lines_that_cannot_be(here: Here, arguments: list[str], code: int, words: str) -> None:
    returned, out, err = here(*arguments)
    assert (returned, out) == (code, "")
    assert words in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"qid": "c", "pred_rel', "is not JSON"),
        ("[1, 2]", "is a list"),
        ('{"qid": "c"}', "'pred_relevant_windows' is missing"),
        ('{"qid": null, "pred_relevant_windows": []}', "'qid' is null"),
        ('{"qid": 1.5, "pred_relevant_windows": []}', "'qid' is a number"),
        ('{"qid": "c", "pred_relevant_windows": 3}', "expected a list of windows"),
        ('{"qid": "c", "pred_relevant_windows": [[1]]}', "window 1 has 1 values"),
        ('{"qid": "c", "pred_relevant_windows": [[1, "2", 3]]}', "window 1 is a string"),
        ('{"qid": "c", "pred_relevant_windows": [[1, 2, 3], [1, 2]]}', "some windows have a score"),
        ('{"qid": "c", "relevant_windows": [[1, 2]]}', "right order"),
        ("\xff", "is not UTF-8"),
    ],
)
def test_bad_lines_are_named(here: Here, tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "preds.jsonl").write_bytes((jsonl(ANSWERS) + "\n" + line).encode("latin-1"))
    code, out, err = here("preds.jsonl", "gt.jsonl")
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert err.startswith("amr score: error: preds.jsonl:4: ")
    assert words in err


def test_an_empty_file_is_named(amr: Amr) -> None:
    done = amr("score", "-", "gt.jsonl", stdin="\n")
    assert done.returncode == ExitCode.BAD_INPUT
    assert done.stderr == "amr score: error: <stdin>: holds no record\n"


def test_another_recording_under_the_same_qid_is_told(amr: Amr, tmp_path: Path) -> None:
    (tmp_path / "preds.jsonl").write_text(jsonl([{**ANSWERS[0], "vid": "other"}, ANSWERS[1]]))
    done = amr("score", "preds.jsonl", "gt.jsonl")
    assert "preds.jsonl:1: vid is another than the ground truth's for this qid" in done.stderr
    assert json.loads(done.stdout)["notes"][0]["kind"] == "vid_differs"


def test_one_qid_for_two_recordings_is_refused(amr: Amr, tmp_path: Path) -> None:
    (tmp_path / "preds.jsonl").write_text(jsonl([*ANSWERS, {**ANSWERS[0], "vid": "other"}]))
    done = amr("score", "preds.jsonl", "gt.jsonl")
    assert done.returncode == ExitCode.BAD_INPUT
    assert 'preds.jsonl:3: qid "a" has another recording or query than in line 1' in done.stderr


def test_quiet_says_nothing(amr: Amr, tmp_path: Path) -> None:
    (tmp_path / "preds.jsonl").write_text(jsonl([ANSWERS[0], {**ANSWERS[1], "pred_relevant_windows": []}]))
    loud, quiet = amr("score", "preds.jsonl", "gt.jsonl"), amr("score", "preds.jsonl", "gt.jsonl", "-q")
    assert loud.stderr.count("\n") == 2
    assert (quiet.stderr, quiet.stdout) == ("", loud.stdout)


def test_qvhighlights_adds_ranges(amr: Amr) -> None:
    done = amr("score", "preds.jsonl", "gt.jsonl", "--qvhighlights")
    report = json.loads(done.stdout)
    assert report["short"]["queries"] == 2
    assert report["middle"]["queries"] == 1
    assert report["long"] is None
    assert "MR-long-mAP" not in report["brief"]
    assert "no record has 'pred_saliency_scores'" in done.stderr
    shown = amr("score", "preds.jsonl", "gt.jsonl", "--qvhighlights", "--format", "table").stdout
    assert [line.split()[0] for line in shown.splitlines()[3:7]] == ["full", "short", "middle", "long"]


def test_qvhighlights_adds_highlights(amr: Amr, tmp_path: Path) -> None:
    labelled = {"relevant_clip_ids": [5], "saliency_scores": [[2, 3, 4]]}
    truth = [{**record, **labelled} for record in TRUTH]
    (tmp_path / "gt.jsonl").write_text(jsonl(truth))
    curve = [0.1] * 5 + [0.9] + [0.1] * 24
    answers = [{**record, "pred_saliency_scores": curve} for record in ANSWERS]
    (tmp_path / "preds.jsonl").write_text(jsonl(answers))
    report = json.loads(amr("score", "preds.jsonl", "gt.jsonl", "--qvhighlights").stdout)
    assert report["HL-min-Fair"] == {"HL-mAP": 100.0, "HL-Hit1": 100.0}
    assert report["HL-min-VeryGood"] == {"HL-mAP": 33.33, "HL-Hit1": 100.0}
    assert report["brief"]["HL-min-Good-Hit1"] == 100.0
    shown = amr("score", "preds.jsonl", "gt.jsonl", "--qvhighlights", "--format", "table").stdout
    assert "HL-min-Fair      100.00   100.00" in shown
    (tmp_path / "preds.jsonl").write_text(jsonl([answers[0], ANSWERS[1]]))
    partly = amr("score", "preds.jsonl", "gt.jsonl", "--qvhighlights")
    assert partly.returncode == ExitCode.BAD_INPUT
    assert "a prediction has no 'pred_saliency_scores'" in partly.stderr


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"relevant_clip_ids": [5]}, "'saliency_scores' is missing"),
        ({"relevant_clip_ids": [30], "saliency_scores": [[1, 2, 3]]}, "integers from 0 to 29"),
        ({"relevant_clip_ids": [1, 2], "saliency_scores": [[1, 2, 3]]}, "expected as many"),
        ({"relevant_clip_ids": [1], "saliency_scores": [[1, 2]]}, "expected 3 numbers"),
        ({"relevant_clip_ids": [1], "saliency_scores": [[1, 2, 3]], "duration": None}, "need a 'duration'"),
    ],
)
def test_bad_labels_are_named(here: Here, tmp_path: Path, labels: dict[str, Any], words: str) -> None:
    (tmp_path / "gt.jsonl").write_text(jsonl([TRUTH[0], {**TRUTH[1], **labels}]))
    code, out, err = here("preds.jsonl", "gt.jsonl", "--qvhighlights")
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert err.startswith("amr score: error: gt.jsonl:2: ")
    assert words in err


def test_scoring_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from amr.cli.main import run; assert run(sys.argv[1:]) == 0; "
        "heavy = {'torch', 'scipy', 'h5py', 'sklearn', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    command = [sys.executable, "-c", code, "score", "preds.jsonl", "gt.jsonl"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
