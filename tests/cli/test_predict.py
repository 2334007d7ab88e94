"""``amr predict`` on real recordings: as a process, in pipes, at a terminal, and with wrong input."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from amr.encoders.registry import load_encoder
from amr.encoders.running.stream import encode_recording
from amr.formats.annotations import read_annotations
from amr.formats.features.output import open_feature_output

REPOSITORY = Path(__file__).parents[2]
AUDIO = REPOSITORY / "examples" / "audio"
QUERIES = REPOSITORY / "examples" / "queries.jsonl"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# Of examples/queries.jsonl.
BLEATS = [(0.0, 1.9), (4.9, 6.0), (10.0, 11.4), (15.1, 16.1), (19.0, 20.1), (24.0, 25.6)]


def overlap_s(window: list[float], start_s: float, end_s: float) -> float:
    return min(window[1], end_s) - max(window[0], start_s)


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example recordings, extracted."""
    path = tmp_path_factory.mktemp("features") / "feats.h5"
    command = [sys.executable, "-m", "amr", "extract", str(AUDIO), "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def test_a_sentence_finds_its_seconds_in_the_right_recording(amr: Run) -> None:
    done = amr("predict", "--query", "sheep bleating", AUDIO)
    assert done.returncode == 0
    assert done.stderr == ""
    found = {record["vid"]: record for record in records(done.stdout)}
    assert set(found) == {"lumberjack", "main_square", "sheepfield"}
    best = {vid: record["pred_relevant_windows"][0] for vid, record in found.items()}
    assert best["sheepfield"][2] > 0.4 > 2 * max(best["lumberjack"][2], best["main_square"][2])
    assert any(overlap_s(best["sheepfield"], *bleat) > 1 for bleat in BLEATS)
    for record in found.values():
        scores = [window[2] for window in record["pred_relevant_windows"]]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= s < e <= record["duration"] for s, e, _ in record["pred_relevant_windows"])


def test_features_and_recordings_give_the_same_answer_and_features_need_no_torch(
    amr: Run, features: Path
) -> None:
    wood = "someone chops wood"
    heard = amr("predict", "--model", "window", "--query", wood, AUDIO / "lumberjack.ogg")
    command = (
        "import sys; from amr.cli.main import run; code = run(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    stored = subprocess.run(
        [sys.executable, "-c", command, "predict", "--model", "window", "--query", wood, str(features)],
        capture_output=True,
        text=True,
        check=True,
    )
    [alone] = records(heard.stdout)
    same = next(record for record in records(stored.stdout) if record["vid"] == "lumberjack")
    assert same["pred_relevant_windows"][0][:2] == alone["pred_relevant_windows"][0][:2]
    assert same["pred_relevant_windows"][0][2] == pytest.approx(
        alone["pred_relevant_windows"][0][2], abs=0.01
    )


def test_the_default_model_answers_from_features_without_torch_and_as_it_does_from_sound(
    amr: Run, features: Path
) -> None:
    wood = "someone chops wood"
    heard = amr("predict", "--query", wood, AUDIO / "lumberjack.ogg")
    command = (
        "import sys; from amr.cli.main import run; code = run(sys.argv[1:]); "
        "heavy = {'torch', 'scipy', 'soundfile'} & set(sys.modules); assert not heavy, heavy; sys.exit(code)"
    )
    stored = subprocess.run(
        [sys.executable, "-c", command, "predict", "--query", wood, str(features)],
        capture_output=True,
        text=True,
        check=True,
    )
    [alone] = records(heard.stdout)
    same = next(record for record in records(stored.stdout) if record["vid"] == "lumberjack")
    best, other = alone["pred_relevant_windows"][0], same["pred_relevant_windows"][0]
    assert best == pytest.approx(other, abs=0.02)  # features are stored as float16


def test_the_owners_own_line(amr: Run, features: Path) -> None:
    in_folder = amr("predict", "--query", "dog barking", cwd=features.parent)
    by_variable = amr("predict", "--query", "dog barking", env={"AMR_FEATURES": str(features)})
    assert in_folder.returncode == by_variable.returncode == 0
    assert in_folder.stdout == by_variable.stdout
    assert len(records(in_folder.stdout)) == 3


def test_nothing_to_search(amr: Run) -> None:
    done = amr("predict", "--query", "dog barking")
    assert done.returncode == 2
    assert "no feats.h5 here" in done.stderr
    assert "hint: " in done.stderr


def test_extract_predict_score_in_one_pipe(features: Path, tmp_path: Path) -> None:
    script = (
        f"{sys.executable} -m amr predict --queries {QUERIES} {features} "
        f"| {sys.executable} -m amr score - {QUERIES}"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout)["ground_truth"]["queries"] == 4
    assert json.loads(done.stdout)["full"]["mIoU"] >= 30


def test_queries_and_names_from_standard_input(amr: Run, features: Path) -> None:
    plain = amr("predict", "--queries", "-", features, stdin="a sheep bleats\n\na tree falls\n")
    assert [r["query"] for r in records(plain.stdout)[:2]] == ["a sheep bleats", "a tree falls"]
    named = amr("predict", "--query", "a tree falls", "-", stdin=f"{AUDIO / 'lumberjack.ogg'}\n")
    assert [r["qid"] for r in records(named.stdout)] == ["lumberjack_1"]
    both = amr("predict", "--queries", "-", "-", stdin="x\n")
    assert both.returncode == 2


def test_ids_lengths_and_unknown_keys_are_carried_through(amr: Run, features: Path) -> None:
    query = {"qid": 7, "query": "a sheep", "vid": "sheepfield", "duration": 28.1, "fg_dB": -3.5}
    [record] = records(amr("predict", "--queries", "-", features, stdin=json.dumps(query)).stdout)
    assert (record["qid"], record["vid"], record["fg_dB"]) == (7, "sheepfield", -3.5)
    assert record["duration"] == pytest.approx(28.0555, abs=1e-3)


def test_top_ranks_the_moments_of_all_recordings(amr: Run, features: Path) -> None:
    everything = records(amr("predict", "--query", "a sheep bleats", features).stdout)
    scores = sorted((w[2] for record in everything for w in record["pred_relevant_windows"]), reverse=True)
    ranked = records(amr("predict", "--query", "a sheep bleats", "--top", "2", features).stdout)
    assert ranked[0]["vid"] == "sheepfield"
    assert [w[2] for record in ranked for w in record["pred_relevant_windows"]] == scores[:2]


def test_only_min_score_can_leave_an_answer_empty(amr: Run, features: Path) -> None:
    query = ["predict", "--query", "a violin concerto", str(features)]
    assert all(record["pred_relevant_windows"] for record in records(amr(*query).stdout))
    strict = records(amr(*query, "--min-score", "0.999").stdout)
    assert [record["pred_relevant_windows"] for record in strict] == [[], [], []]


def test_saliency_is_a_value_a_frame_between_nought_and_one(amr: Run, features: Path) -> None:
    found = records(amr("predict", "--query", "a sheep bleats", "--saliency", features).stdout)
    for record in found:
        curve = np.array(record["pred_saliency_scores"])
        assert len(curve) == pytest.approx(record["duration"] / 0.48, abs=1.5)
        assert 0 <= curve.min() < curve.max() <= 1


def test_verbose_says_how_a_query_was_understood(amr: Run, features: Path) -> None:
    done = amr("predict", "-v", "--query", "a sheep bleats", features)
    assert "'a sheep bleats' is understood as" in done.stderr
    assert "Sheep" in done.stderr or "Bleat" in done.stderr
    assert records(done.stdout)


def test_window_options_change_the_answer_and_belong_to_window(amr: Run, features: Path) -> None:
    query = ["predict", "--query", "a sheep bleats", str(features)]
    plain = records(amr(*query).stdout)
    strict = records(amr(*query, "--fraction", "0.95", "--gap", "0", "--filter", "0").stdout)
    length = [
        sum(e - s for r in found for s, e, _ in r["pred_relevant_windows"]) for found in (plain, strict)
    ]
    assert length[1] < length[0]
    wrong = amr(*query, "--model", "prior", "--gap", "1")
    assert wrong.returncode == 2


def total_length_s(found: list[dict[str, Any]]) -> float:
    return sum(end - start for record in found for start, end, _ in record["pred_relevant_windows"])


def test_tune_prints_settings_best_first(amr: Run, features: Path) -> None:
    done = amr("predict", "--tune", QUERIES, features)
    trials = records(done.stdout)
    assert [t["mAP"] for t in trials] == sorted((t["mAP"] for t in trials), reverse=True)
    assert set(trials[0]) == {"fraction", "filter", "gap", "R1@0.5", "R1@0.7", "mAP"}
    kept = features.with_name("trials.jsonl")
    assert amr("predict", "--tune", QUERIES, features, "-o", kept).stdout == ""
    assert kept.read_text() == done.stdout
    best = {f"--{key}": trials[0][key] for key in ("fraction", "filter", "gap")}
    options = [str(part) for pair in best.items() for part in pair]
    predictions = amr("predict", "--queries", QUERIES, features, *options).stdout
    scored = json.loads(amr("score", "-", QUERIES, stdin=predictions).stdout)
    assert scored["brief"]["MR-full-mAP"] == pytest.approx(trials[0]["mAP"], abs=0.5)


def test_a_terminal_gets_a_table(features: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "amr", "predict", "--query", "a sheep bleats", str(features)]
    with subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL) as process:
        os.close(follower)
        shown = b""
        while chunk := read_terminal(leader):
            shown += chunk
    text = shown.decode().replace("\r\n", "\n")
    assert process.returncode == 0
    assert text.startswith("a sheep bleats\n  sheepfield ")
    assert "█" in text
    assert "{" not in text


def read_terminal(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # Linux: the other side is closed
        return b""


def test_a_terminal_on_stderr_keeps_the_product_clean(features: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "amr", "predict", "--query", "a sheep", str(AUDIO / "sheepfield.ogg")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, text=True, check=True)
    os.close(follower)
    os.close(leader)
    assert len(records(done.stdout)) == 1


def test_head_closes_the_pipe_quietly(features: Path, tmp_path: Path) -> None:
    many = tmp_path / "many.txt"
    many.write_text("a sheep bleats\n" * 2000)
    script = f"{sys.executable} -m amr predict --queries {many} {features} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    first, code = done.stdout.splitlines()
    assert json.loads(first)["qid"] == "lumberjack_1"
    assert (code, done.stderr) == ("141", "")


def test_a_terminal_on_standard_input_is_refused(features: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "amr", "predict", "--queries", "-", str(features)]
    done = subprocess.run(command, stdin=follower, capture_output=True, text=True, check=False)
    os.close(leader)
    os.close(follower)
    assert done.returncode == 2
    assert "standard input is a terminal" in done.stderr


def test_keep_going_names_the_broken_and_does_the_rest(amr: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_text("this is no sound")
    (tmp_path / "sheep.ogg").write_bytes((AUDIO / "sheepfield.ogg").read_bytes())
    stopped = amr("predict", "--query", "a sheep", "broken.wav", "sheep.ogg")
    assert (stopped.returncode, stopped.stdout) == (3, "")
    assert "broken.wav" in stopped.stderr
    rest = amr("predict", "--query", "a sheep", "broken.wav", "sheep.ogg", "--keep-going")
    assert rest.returncode == 5
    assert [record["vid"] for record in records(rest.stdout)] == ["sheep"]
    assert "broken.wav" in rest.stderr


def test_an_output_is_not_replaced_and_never_half_written(amr: Run, features: Path, tmp_path: Path) -> None:
    query = ["predict", "--query", "a sheep", str(features), "-o", "out.jsonl"]
    assert amr(*query).returncode == 0
    before = (tmp_path / "out.jsonl").read_bytes()
    refused = amr(*query)
    assert refused.returncode == 3
    assert "--force" in refused.stderr
    assert amr(*query, "--force").returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes() == before
    (tmp_path / "broken.wav").write_text("this is no sound")
    failed = amr("predict", "--query", "a", str(AUDIO / "sheepfield.ogg"), "broken.wav", "-o", "new.jsonl")
    assert failed.returncode == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.wav", "out.jsonl"]


def test_recordings_that_a_query_file_wants_and_nobody_gave(amr: Run, features: Path) -> None:
    done = amr("predict", "--queries", "-", features, stdin='{"query": "x", "qid": 1, "vid": "elsewhere"}')
    assert done.returncode == 3
    assert "<stdin>:1: " in done.stderr
    assert "elsewhere" in done.stderr


def test_features_of_another_encoder_are_refused(amr: Run, tmp_path: Path) -> None:
    encoder = load_encoder("yamnet")
    frames, _, duration_s = encode_recording(encoder, AUDIO / "main_square.ogg")
    identity = encoder.identity.to_json().replace(encoder.identity.weights_sha256, "0" * 64)
    with open_feature_output(tmp_path / "other.h5", identity_json=identity, store="float16") as writer:
        writer.add("main_square", frames, duration_s=duration_s)
    done = amr("predict", "--query", "x", "other.h5")
    assert done.returncode == 3
    assert "0" * 64 in done.stderr
    assert encoder.identity.weights_sha256 in done.stderr


@pytest.mark.parametrize("length_s", [0.3, 0.975, 1.0, 59.9])
def test_any_length_has_an_answer_inside_it(amr: Run, tmp_path: Path, length_s: float) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, round(length_s * 22_050))
    soundfile.write(tmp_path / "-dash.v1.2.wav", noise, 22_050)
    done = amr("predict", "--query", "white noise", "--", "-dash.v1.2.wav")
    [record] = records(done.stdout)
    assert record["vid"] == "-dash.v1.2"
    assert all(0 <= s < e <= length_s + 0.001 for s, e, _ in record["pred_relevant_windows"])


PRIORS = {
    "castella_test_release.jsonl": {
        "whole": (4.31, 2.15, 1.73),
        "middle": (4.90, 1.04, 0.98),
        "first": (7.80, 3.64, 2.11),
        "tiles": (6.24, 2.45, 2.41),
    },
    "clotho_moment_test_release.jsonl": {"middle": (34.47, 10.05, 11.92), "tiles": (0.33, 0.05, 0.51)},
    "tut2017_test_release.jsonl": {"whole": (8.65, 4.81, 2.88), "tiles": (12.50, 5.77, 5.42)},
}


@pytest.mark.parametrize("dataset", sorted(PRIORS))
def test_the_priors_score_what_was_measured_with_the_official_evaluator(
    dataset: str, amr: Run, shared: Path
) -> None:
    truth = shared / "data" / "annotations" / dataset
    assert read_annotations(truth)
    for name, expected in PRIORS[dataset].items():
        predictions = amr("predict", "--model", f"prior:{name}", "--queries", truth).stdout
        brief = json.loads(amr("score", "-", truth, "--official", stdin=predictions).stdout)["brief"]
        found = (brief["MR-full-R1@0.5"], brief["MR-full-R1@0.7"], brief["MR-full-mAP"])
        assert found == pytest.approx(expected, abs=0.011), name


def test_what_of_a_query_is_not_understood_is_said_once(amr: Run, features: Path) -> None:
    texts = ["no sheep", "without a dog", "two sheep after noon", "wer hat gehustet", "sheep bleating"]
    asked = [part for text in texts for part in ("--query", text)]
    done = amr("predict", *asked, "--top", "1", features)
    assert done.returncode == 0
    kinds = {record["query"]: record.get("not_understood") for record in records(done.stdout)}
    assert kinds == {
        "no sheep": ["negation"],
        "without a dog": ["negation"],
        "two sheep after noon": ["number", "order"],
        "wer hat gehustet": ["language"],
        "sheep bleating": None,
    }
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("amr predict: warning: 'no sheep': a negation is not understood")
    assert lines[0].endswith("(2 times, this is the first)")
    again = amr("predict", *asked, "--model", "prior:whole", features)
    assert "not_understood" not in again.stdout + again.stderr
