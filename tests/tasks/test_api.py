"""The Python API: the command line's answers to the last digit, with errors and tables of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from archive_world import Tool

import amr
from amr.encoders.registry import load_encoder
from amr.encoders.running.stream import encode_recording
from amr.errors import InputError, UsageError
from amr.formats.features.output import open_feature_output
from amr.tasks.callbacks import Progress

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
SHEEP = AUDIO / "sheepfield.ogg"
QUERIES = ["a sheep bleats", "someone chops wood"]
NAMES = ("best", "window", "prior:tiles")


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    return Tool(capfd, monkeypatch)


@pytest.fixture(scope="module")
def feats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example recordings, extracted."""
    path = tmp_path_factory.mktemp("api") / "feats.h5"
    encoder = load_encoder("yamnet")
    with open_feature_output(path, identity_json=encoder.identity.to_json(), store="float16") as writer:
        for file in sorted(AUDIO.glob("*.ogg")):
            frames, _, duration_s = encode_recording(encoder, file)
            writer.add(file.stem, frames, duration_s=duration_s, source=str(file))
    return path


def asked() -> list[str]:
    return [part for query in QUERIES for part in ("--query", query)]


def test_import_is_light_and_names_are_listed() -> None:
    code = (
        "import sys, time; began = time.process_time(); import amr; took_s = time.process_time() - began; "
        "heavy = {'torch', 'numpy', 'scipy', 'h5py', 'typer', 'logging'} & set(sys.modules); "
        "assert not heavy, heavy; assert {'load_model', 'search', 'predict', 'Moment'} <= set(dir(amr)); "
        "assert took_s < 0.1, took_s"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = amr.nope  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["load_model", "search", "predict", "open_features", "read_annotations"])
def test_a_public_name_is_the_thing_itself(name: str) -> None:
    found = getattr(amr, name)
    assert found.__name__ == name
    assert found.__module__ == amr.HOMES[name]
    assert found.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_find_is_what_the_command_line_finds_in_a_recording(tool: Tool, name: str) -> None:
    records = tool("predict", *asked(), "--model", name, SHEEP).records
    found = amr.load_model(name).find(QUERIES, SHEEP)
    assert {record.pop("path") for record in records} == {str(SHEEP)}  # of a sound in memory there is none
    assert [moments.record() for moments in found] == records
    assert [list(map(list, moments)) for moments in found] == [r["pred_relevant_windows"] for r in records]


def test_one_sentence_gives_its_moments() -> None:
    model = amr.load_model("window")
    found = model.find(QUERIES[0], str(SHEEP))
    start_s, end_s, score = found[0]
    assert isinstance(found[0], amr.Moment)
    assert 0 <= start_s < end_s <= 28.1
    assert 0 < score <= 1
    assert [found] == model.find(QUERIES[:1], SHEEP)
    assert model.find([], SHEEP) == []


@pytest.mark.parametrize("name", NAMES)
def test_encoding_once_and_samples_give_the_same(name: str) -> None:
    model = amr.load_model(name)
    expected = model.find(QUERIES, SHEEP)
    street = model.encode(SHEEP)
    assert [model.find(query, street) for query in QUERIES] == expected
    samples, rate_hz = soundfile.read(SHEEP, dtype="float32", always_2d=True)
    assert model.find(QUERIES, (samples, rate_hz)) == expected
    assert model.find(QUERIES, (samples[:, 0].astype(np.float64), rate_hz)) == expected


def test_channels_and_rates_of_samples_are_those_of_files(tmp_path: Path) -> None:
    model = amr.load_model("window")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (44_100, 3)).astype(np.float32)
    soundfile.write(tmp_path / "three.wav", noise, 22_050, subtype="FLOAT")
    path, array = model.encode(tmp_path / "three.wav"), model.encode((noise, 22_050))
    assert array.duration_s == path.duration_s == 2.0
    assert np.array_equal(array.frames, path.frames)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "says"),
    [
        (np.zeros(100, np.int16), 16_000, "int16"),
        (np.zeros((2, 2, 2)), 16_000, "shape"),
        (np.zeros(0), 16_000, "shape"),
        (np.zeros(100), 0, "0 Hz"),
        (np.zeros(100), float("nan"), "nan Hz"),
        (np.full(100, np.nan), 16_000, "NaN"),
    ],
)
def test_samples_that_are_none_are_refused(samples: np.ndarray, rate_hz: float, says: str) -> None:
    with pytest.raises(InputError, match=says):
        amr.load_model("window").encode((samples, rate_hz))


@pytest.mark.parametrize("options", [(), ("--model", "window"), ("--top", "2"), ("--saliency",)])
def test_predict_gives_the_records_of_the_command_line(
    tool: Tool, feats: Path, options: tuple[str, ...]
) -> None:
    records = tool("predict", *asked(), *options, feats).records
    settings = {"--model": {"model": "window"}, "--top": {"top": 2}, "--saliency": {"saliency": True}}
    found = amr.predict(QUERIES, feats, **settings.get("".join(options[:1]), {}))  # type: ignore[arg-type]
    assert [prediction.record() for prediction in found] == records


def test_predict_from_sound_a_file_of_queries_and_clips(tool: Tool, tmp_path: Path) -> None:
    line = {"query": QUERIES[0], "qid": 7, "vid": "sheepfield", "note": 1}
    (tmp_path / "q.jsonl").write_text(json.dumps(line) + "\n")
    clip = tmp_path / "baa.wav"
    samples, rate_hz = soundfile.read(SHEEP)
    soundfile.write(clip, samples[10 * rate_hz : 11 * rate_hz], rate_hz)
    inputs = [AUDIO / "sheepfield.ogg", AUDIO / "main_square.ogg"]
    records = tool("predict", "--queries", tmp_path / "q.jsonl", "--like", clip, *inputs).records
    found = list(amr.predict(tmp_path / "q.jsonl", inputs, like=[clip]))
    assert [prediction.record() for prediction in found] == records
    assert found[0].extra == {"note": 1, "path": str(inputs[0])}
    query = amr.Query(QUERIES[0], qid=7, vid="sheepfield", extra={"note": 1})
    assert [each.record() for each in amr.predict(query, inputs, like=[clip])] == records
    [alone] = amr.predict([], SHEEP, like=[clip])
    assert alone.query == "like:baa.wav"


def test_hits_are_the_best_of_all_recordings(tool: Tool, feats: Path) -> None:
    hits = amr.search(QUERIES, feats, top=3)
    assert [hit.query for hit in hits] == [QUERIES[0]] * 3 + [QUERIES[1]] * 3
    assert hits.records() == tool("predict", *asked(), "--top", "3", feats).records
    scores = [hit.score for hit in hits[:3]]
    assert scores == sorted(scores, reverse=True)
    assert hits[0].recording == "sheepfield"
    assert hits[0].path == str(SHEEP)
    assert hits[0].record()["start_s"] == hits[0].start_s
    by_path = amr.search(QUERIES[0], [SHEEP], top=2, model=amr.load_model("window"))
    assert [hit.path for hit in by_path] == [str(SHEEP)] * len(by_path)


def test_results_show_themselves_and_hide_no_markup(feats: Path) -> None:
    moments = amr.load_model("prior:middle").find("<b>rain</b>", feats.parent / SHEEP)
    hits = amr.search("<b>rain</b>", feats, top=1, model="prior:middle")
    for html in (moments._repr_html_(), hits._repr_html_()):
        assert "<table>" in html
        assert "&lt;b&gt;rain" in html
        assert "<b>" not in html


def test_failures_progress_and_stopping(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_text("no sound")
    inputs = [tmp_path / "broken.wav", SHEEP, AUDIO / "main_square.ogg"]
    failed: list[amr.AmrError] = []
    seen: list[Progress] = []
    found = list(amr.predict("a sheep", inputs, on_failure=failed.append, on_progress=seen.append))
    assert [prediction.vid for prediction in found] == ["sheepfield", "main_square"]
    assert [error.where for error in failed] == [str(tmp_path / "broken.wav")]
    assert (seen[-1].done, seen[-1].total, seen[-1].share) == (3, 3, 1.0)
    with pytest.raises(InputError, match="cannot be read as audio"):
        list(amr.predict("a sheep", inputs))
    first = iter([False, True, True])
    some = amr.predict("a sheep", inputs[1:], should_stop=lambda: next(first))
    assert [prediction.vid for prediction in some] == ["sheepfield"]


def test_what_cannot_be_is_refused_in_words(feats: Path) -> None:
    with pytest.raises(UsageError, match="no model 'nope'"):
        amr.load_model("nope")
    with pytest.raises(UsageError, match="not a device"):
        amr.load_model(device="abacus")
    with pytest.raises(InputError, match="printable sentence"):
        amr.load_model("window").find(" ", SHEEP)
    with pytest.raises(InputError, match="holds features"):
        amr.load_model("window").find("rain", feats)
    with pytest.raises(UsageError, match="there is no query"):
        list(amr.predict([], feats))
    with pytest.raises(UsageError, match="a model that uses the sound"):
        list(amr.predict([], feats, model="prior:middle", like=[SHEEP]))
    half = amr.load_model("window", hop_s=0.24).encode(SHEEP)
    with pytest.raises(InputError, match="its frames are from"):
        amr.load_model("window").find("rain", half)


def test_torch_keeps_its_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        amr.load_model("window").find("rain", SHEEP)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
