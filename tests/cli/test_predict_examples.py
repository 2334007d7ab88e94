"""``--like``, ``--unlike``, ``--examples``, ``--save-as`` and ``@NAME``: what was learned is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archive_world import Tool

import amr
from amr.encoders.registry import load_encoder
from amr.encoders.running.stream import encode_recording
from amr.errors import InputError, UsageError
from amr.formats.features.output import open_feature_output
from amr.moments import Span
from amr.retrieval.search import AnswerOptions
from amr.tasks.archive import Ranking
from amr.tasks.inputs import find_inputs, open_search
from amr.tasks.learned import learn
from amr.tasks.search import ALONE, WHOLE, answers

AUDIO = Path(__file__).parents[2] / "examples" / "audio"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``feats.h5`` of the example recordings, a bleat and a chop."""
    folder = tmp_path_factory.mktemp("examples")
    encoder = load_encoder("yamnet")
    with open_feature_output(
        folder / "feats.h5", identity_json=encoder.identity.to_json(), store="float16"
    ) as writer:
        for file in sorted(AUDIO.glob("*.ogg")):
            frames, _, duration_s = encode_recording(encoder, file)
            writer.add(file.stem, frames, duration_s=duration_s)
    for name, recording, start_s, end_s in (("baa", "sheepfield", 10, 11.4), ("chop", "lumberjack", 27, 33)):
        samples, rate_hz = soundfile.read(AUDIO / f"{recording}.ogg", always_2d=True)
        soundfile.write(
            folder / f"{name}.wav", samples[int(start_s * rate_hz) : int(end_s * rate_hz)], rate_hz
        )
    return folder


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kept: Path) -> Tool:
    monkeypatch.chdir(kept)
    return Tool(capfd, monkeypatch)


def labels(path: Path, **windows: list[list[float]]) -> Path:
    record = {"qid": 1, "query": "something", "duration": 27.0, "vid": "sheepfield", "relevant_windows": []}
    path.write_text(json.dumps({**record, **windows}) + "\n")
    return path


def best(records: list[dict[str, object]]) -> dict[str, float]:
    """The best score of each recording."""
    return {str(r["vid"]): r["pred_relevant_windows"][0][2] for r in records}  # type: ignore[index]


def test_what_is_unlike_goes_down(tool: Tool) -> None:
    alone = best(tool("predict", "--query", "someone chops wood", "feats.h5").records)
    done = tool("predict", "--query", "someone chops wood", "--unlike", "chop.wav", "feats.h5")
    assert {r["query"] for r in done.records} == {"someone chops wood unlike:chop.wav"}
    assert best(done.records)["lumberjack"] < alone["lumberjack"]
    both = tool("predict", "--like", "baa.wav", "--unlike", "chop.wav", "feats.h5").records
    assert best(both)["sheepfield"] > 5 * best(both)["lumberjack"]


def test_labels_ask_their_own_query_and_find_what_was_accepted(tool: Tool, tmp_path: Path) -> None:
    words = best(tool("predict", "--query", "something", "feats.h5").records)
    path = labels(tmp_path / "l.jsonl", relevant_windows=[[0, 1.9], [10, 11.4]], rejected_windows=[[2.5, 4]])
    done = tool("predict", "--examples", path, "feats.h5")
    assert {r["query"] for r in done.records} == {"something +2 -1"}
    assert best(done.records)["sheepfield"] > max(0.4, words["sheepfield"])
    again = tool("predict", "--query", "something", "--examples", path, "feats.h5")
    assert again.stdout == done.stdout


def test_a_kept_sound_is_asked_for_by_name_and_can_be_refined(tool: Tool, tmp_path: Path) -> None:
    target = tmp_path / "small sheep.sound"
    ask = ("predict", "--like", "baa.wav", "--unlike", "chop.wav", "--top", "4", "feats.h5")
    learned = tool(*ask, "--save-as", target).records
    recalled = tool("predict", "--query", f"@{tmp_path}/small sheep", "--top", "4", "feats.h5").records
    found = [np.array(r[0]["pred_relevant_windows"]) for r in (learned, recalled)]
    assert np.allclose(*found, atol=2e-3)
    assert tool(*ask, "--save-as", target).returncode == 3
    assert tool(*ask, "--save-as", target, "-f").returncode == 0
    [more, *_] = tool("predict", "--query", f"@{target}", "--unlike", "chop.wav", "feats.h5").records
    assert more["query"] == f"@{target} unlike:chop.wav"


def test_an_index_answers_a_learned_sound_as_all_frames_do(tool: Tool) -> None:
    ask = ("predict", "--like", "baa.wav", "--unlike", "chop.wav", "--top", "3", "-q", "feats.h5")
    exact = tool(*ask, "--shortlist", "all")
    assert tool("predict", "--index", "-q", "feats.h5").returncode == 0
    assert tool(*ask, "--shortlist", "50").stdout == exact.stdout


def test_the_window_recalls_a_sound_too(tool: Tool, tmp_path: Path) -> None:
    tool("predict", "--like", "baa.wav", "--save-as", tmp_path / "b.sound", "feats.h5")
    done = tool("predict", "--model", "window", "--query", f"@{tmp_path}/b", "--top", "1", "feats.h5")
    assert done.records[0]["vid"] == "sheepfield"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--unlike", "chop.wav"), 2, "a query or an accepted example"),
        (("--query", "a", "--query", "b", "--save-as", "x.sound"), 2, "2 queries are given"),
        (("--query", "@nobody"), 3, "no learned sound 'nobody'"),
        (
            ("--query", "else", "--examples", "LABELS"),
            3,
            "holds no example of 'else'; it has examples of 'something'",
        ),
        (("--like", "baa.wav", "--unlike", "chop.wav", "--model", "window"), 2, "has no prototypes"),
        (("--query", "a", "--examples", "STRANGER"), 3, "'elsewhere', which is not searched"),
        (("--query", "@OTHER"), 3, "was learned with another model (best)"),
    ],
)
def test_what_cannot_be_is_refused(
    tool: Tool, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    files = {"LABELS": labels(tmp_path / "l.jsonl", relevant_windows=[[0, 1.9]])}
    files["STRANGER"] = tmp_path / "s.jsonl"
    files["STRANGER"].write_text(
        files["LABELS"].read_text().replace("sheepfield", "elsewhere").replace("something", "a")
    )
    if "@OTHER" in arguments:
        tool("predict", "--like", "baa.wav", "--save-as", tmp_path / "o.sound", "feats.h5")
        record = json.loads((tmp_path / "o.sound").read_text())
        (tmp_path / "o.sound").write_text(json.dumps(record | {"probe": [0.5 - p for p in record["probe"]]}))
    given = [f"@{tmp_path}/o" if each == "@OTHER" else files.get(each, each) for each in arguments]
    done = tool("predict", *given, "feats.h5")
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    lines = done.stderr.splitlines()
    assert sum("error:" in line for line in lines) == 1
    assert len([line for line in lines if "warning:" not in line]) <= 2


def test_python_learns_from_moments_of_an_open_search(kept: Path) -> None:
    model = amr.load_model()
    with open_search(find_inputs([str(kept / "feats.h5")], [], model), [], model) as search:
        query = learn(search, "a sound", [("sheepfield", Span(10, 11.4))], [("lumberjack", Span(27, 33))])
        assert query.text == "a sound +1 -1"
        found = list(answers(search, [query], Ranking(top=3), AnswerOptions(), WHOLE, ALONE))
        assert {each.vid for each in found} == {"sheepfield"}
        with pytest.raises(UsageError, match="there is neither"):
            learn(search, None, [], [("sheepfield", Span(0, 1))])
        with pytest.raises(InputError, match="not searched"):
            learn(search, "a", [("nowhere", Span(0, 1))], [])
    hits = amr.search([], kept / "feats.h5", like=[kept / "baa.wav"], unlike=[kept / "chop.wav"], top=2)
    assert {hit.recording for hit in hits} == {"sheepfield"}
