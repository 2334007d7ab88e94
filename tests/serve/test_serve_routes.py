"""Every address of the page: what it answers, as JSON, sound, pictures and files."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from serve_world import BASE, LENGTHS_S, RATE_HZ, make_page
from starlette.testclient import TestClient
from waiting import wait_for

from amr.errors import UsageError
from amr.formats.annotations import read_annotations
from amr.formats.exchange.forms import read_tracks
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction
from amr.formats.queries import Query
from amr.moments import Span
from amr.serve.routes import application
from amr.serve.sound import wav_of


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    page = make_page(tmp_path)
    client = TestClient(application(page), BASE, headers={"authorization": f"Bearer {page.access.token}"})
    client.folder, client.page = tmp_path, page
    return client


def accept(client: TestClient, vid: str = "street", query: str = "a dog", **other: object) -> dict:
    label = {"vid": vid, "query": query, "start": 2.0, "end": 3.5, "accepted": True, **other}
    answer = client.post("/labels.json", json={"add": label})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_recordings(client: TestClient) -> None:
    found = client.get("/recordings.json").json()
    assert (found["model"], found["title"], found["likely"], found["hours"]) == ("best", "test", 0.25, 0.02)
    first, second, third, gone = found["recordings"]
    assert first == {
        "vid": "20240611_053000",
        "duration": 20.0,
        "path": str(client.folder / "20240611_053000.wav"),
        "folder": "",
        "started": "2024-06-11T05:30:00",
    }
    assert (second["folder"], second["started"]) == ("north", "2024-06-12T06:00:00")
    assert (third["started"], gone["path"]) == (None, None)


def test_search(client: TestClient) -> None:
    found = client.get("/search.json", params={"q": ["a dog", "rain"], "top": 2}).json()
    assert [answer["query"] for answer in found["answers"]] == ["a dog", "rain"]
    assert found["recordings"] == 4
    best = found["answers"][0]["moments"][0]
    assert best == {
        "vid": "20240611_053000",
        "start": 2.0,
        "end": 3.5,
        "score": 0.9,
        "path": str(client.folder / "20240611_053000.wav"),
        "clock": "2024-06-11T05:30:02.000",
    }
    scores = [moment["score"] for moment in found["answers"][0]["moments"]]
    assert scores == sorted(scores, reverse=True)


def test_it_learns_from_what_was_judged(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted and rejected moments of the question go into it, where that is wanted."""
    given = []

    def learn(search: object, words: str, accepted: object, rejected: object) -> Query:
        given.append((words, accepted, rejected))
        return Query("a dog +1 -1")

    monkeypatch.setattr("amr.serve.moments.learn", learn)
    accept(client, query="Rex", question="a dog")
    accept(client, accepted=False, start=6.0, end=7.0)
    accept(client, query="rain", start=8.0, end=9.0)
    answer = client.get("/search.json?q=a+dog&learn=1").json()["answers"][0]
    assert given == [("a dog", [("street", Span(2.0, 3.5))], [("street", Span(6.0, 7.0))])]
    assert (answer["query"], answer["examples"]) == ("a dog", 2)
    assert client.page.answerer.standing.asked == [("a dog +1 -1",)]
    assert client.get("/search.json?q=a+dog").json()["answers"][0]["examples"] == 0
    client.get("/search.json?q=a+dog&learn=1")
    accept(client, start=0.0, end=1.0)
    client.get("/search.json?q=a+dog&learn=1")
    assert len(given) == 2, "again only where a moment was judged since"


def test_what_is_not_understood_is_said(client: TestClient) -> None:
    [answer] = client.get("/search.json?q=no+dog").json()["answers"]
    assert answer["remarks"] == ["a negation is not understood: what is named is looked for"]


def test_a_model_that_cannot_learn_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(*_: object) -> None:
        raise UsageError("the model 'window' has no prototypes")

    monkeypatch.setattr("amr.serve.moments.learn", learn)
    accept(client)
    answer = client.get("/search.json?q=a+dog&learn=1").json()["answers"][0]
    assert answer["remarks"] == ["nothing is learned: the model 'window' has no prototypes"]
    assert len(answer["moments"]) == 8


def test_an_overview_that_cannot_be_is_told(client: TestClient) -> None:
    wait_for(lambda: client.get("/overview.json").json()["is_complete"])
    found = client.get("/overview.json").json()
    assert (found["sounds"], found["recordings"]) == ([], 4)
    assert "an overview needs an encoder" in found["remark"]


def test_an_overview(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(*_: object, should_stop: object) -> Iterator[Prediction]:
        yield Prediction(1, "Dog", "street", [[1.0, 2.0, 0.9], [4.0, 5.0, 0.8]])
        yield Prediction(2, "Dog", "20240611_053000", [[3.0, 4.0, 0.95]])
        yield Prediction(3, "Rain", "20240611_053000", [[0.0, 9.0, 0.7]])

    monkeypatch.setattr("amr.serve.overview.everything", everything)
    wait_for(lambda: client.get("/overview.json").json()["is_complete"])
    dog, rain = client.get("/overview.json").json()["sounds"]
    assert (dog["label"], dog["events"], dog["recordings"]) == ("Dog", 3, 2)
    assert [hour for hour, count in enumerate(dog["hours"]) if count] == [5]
    assert (rain["label"], rain["seconds"]) == ("Rain", 9.0)
    monkeypatch.setattr("amr.serve.overview.summarise", None)
    assert client.get("/overview.json").json()["sounds"] == [dog, rain], "it is not counted again"
    client.page.close()


def test_an_answer_is_remembered(client: TestClient) -> None:
    for _ in range(3):
        client.get("/search.json?q=a+dog")
    assert client.page.answerer.standing.asked == [("a dog",)]


@pytest.mark.parametrize(
    ("parameters", "vids"),
    [
        ({"folder": "north"}, {"north/240612-060000"}),
        ({"from": "2024-06-12"}, {"north/240612-060000"}),
        ({"to": "2024-06-11"}, {"20240611_053000"}),
        ({"from": "2024-06-11", "to": "2024-06-12"}, {"20240611_053000", "north/240612-060000"}),
        ({"folder": "nor"}, set()),
        ({}, set(LENGTHS_S)),
    ],
)
def test_filters(client: TestClient, parameters: dict[str, str], vids: set[str]) -> None:
    found = client.get("/search.json", params={"q": "a dog", **parameters}).json()
    assert {moment["vid"] for moment in found["answers"][0]["moments"]} == vids
    assert found["recordings"] == len(vids)


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"q": "x", "top": "0"}, "top: '0' is not a number from 1 to 200"),
        ({"q": "x", "top": "201"}, "not a number"),
        ({"q": "x", "top": "1e3"}, "not a number"),
        ({"q": "x", "from": "yesterday"}, "from: 'yesterday' is not a date such as 2024-06-11"),
        ({"q": "x" * 501}, "longer than 500 characters"),
        ({"q": [f"q{n}" for n in range(21)]}, "21 queries are more than 20"),
    ],
)
def test_what_cannot_be_asked_is_said(client: TestClient, parameters: dict[str, object], what: str) -> None:
    answer = client.get("/search.json", params=parameters)
    assert answer.status_code == 400
    assert what in answer.json()["error"]


def test_no_question_has_no_answer(client: TestClient) -> None:
    assert client.get("/search.json?q=&q=%20").json()["answers"] == []


def test_labels_are_kept_changed_and_taken_out(client: TestClient) -> None:
    found = accept(client)
    label = found["labels"][0]
    assert found["file"] == str(client.folder / "labels.jsonl")
    named = {**label, "query": "Rex", "start": 1.5}
    client.post("/labels.json", json={"add": named, "remove": label})
    accept(client, accepted=False, start=6.0, end=7.0)
    assert client.get("/labels.json").json()["labels"] == [
        {"vid": "street", "query": "Rex", "question": "a dog", "start": 1.5, "end": 3.5, "accepted": True},
        {"vid": "street", "query": "a dog", "question": "a dog", "start": 6.0, "end": 7.0, "accepted": False},
    ]
    assert read_annotations(client.folder / "labels.jsonl")[0].moments == [(1.5, 3.5)]
    moments = client.get("/search.json?q=a+dog").json()["answers"][0]["moments"]
    labels = {moment["start"]: moment["label"] for moment in moments if moment["vid"] == "street"}
    assert (labels[2.0]["query"], labels[6.0]["accepted"]) == ("Rex", False)
    client.post("/labels.json", json={"remove": named})
    assert len(client.get("/labels.json").json()["labels"]) == 1


@pytest.mark.parametrize(
    "label",
    [
        {"vid": "nobody"},
        {"vid": 3},
        {"query": ""},
        {"query": "x" * 501},
        {"query": None},
        {"start": -1.0},
        {"start": 3.5},
        {"end": 11.0},
        {"end": "3"},
        {"accepted": 1},
    ],
)
def test_a_label_that_cannot_be_is_refused(client: TestClient, label: dict[str, object]) -> None:
    whole = {"vid": "street", "query": "a dog", "start": 2.0, "end": 3.5, "accepted": True, **label}
    assert client.post("/labels.json", json={"add": whole}).status_code == 400
    assert not (client.folder / "labels.jsonl").exists()


@pytest.mark.parametrize("body", ["", "[]", "{", '{"add": 3}', "{}", "[" * 100_000])
def test_a_change_that_is_none_is_refused(client: TestClient, body: str) -> None:
    answer = client.post("/labels.json", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413)
    assert answer.json()["error"]


def test_a_form_of_another_page_cannot_change_labels(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client.post("/labels.json", content="{}", headers={"content-type": kind})
        assert "content-type" in answer.json()["error"]


def test_labels_that_are_broken_are_not_replaced(client: TestClient) -> None:
    (client.folder / "labels.jsonl").write_text("{broken\n")
    answer = client.post("/labels.json", json={"add": {"vid": "street", "query": "x", "start": 1, "end": 2}})
    assert answer.status_code == 422
    assert "labels.jsonl:1" in answer.json()["error"]
    assert (client.folder / "labels.jsonl").read_text() == "{broken\n"


def test_a_stretch_of_sound(client: TestClient) -> None:
    answer = client.get("/audio/street?start=2&end=3.5")
    assert answer.headers["content-type"] == "audio/wav"
    samples, rate_hz = soundfile.read(io.BytesIO(answer.content))
    whole, _ = soundfile.read(client.folder / "street.wav")
    assert (len(samples), rate_hz) == (24_000, 16_000)
    np.testing.assert_allclose(samples, whole[32_000:56_000], atol=1e-4)


def test_sound_ends_with_its_recording(client: TestClient) -> None:
    samples, rate_hz = soundfile.read(io.BytesIO(client.get("/audio/street?start=9").content))
    assert len(samples) == rate_hz


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=5-999999999", 206, slice(5, None)),
        ("bytes=999999999-", 416, slice(0, 0)),
        ("bytes=7-3", 416, slice(0, 0)),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("bytes=x-y", 200, slice(None)),
        ("lines=0-1", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
    ],
)
def test_ranges(client: TestClient, wanted: str, status: int, part: slice) -> None:
    whole = client.get("/audio/street?start=2&end=3").content
    answer = client.get("/audio/street?start=2&end=3", headers={"range": wanted})
    assert (answer.status_code, answer.content) == (status, whole[part])
    if status == 206:
        first = part.indices(len(whole))[0]
        last = first + len(answer.content) - 1
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


def test_a_strip(client: TestClient) -> None:
    answer = client.get("/spectrogram/north/240612-060000?start=0&end=4&columns=64")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    assert int.from_bytes(answer.content[16:20]) == 64


@pytest.mark.parametrize("what", ["audio", "spectrogram"])
@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("nobody", 404),
        ("gone", 422),
        ("street?start=5&end=4", 400),
        ("street?start=nan", 400),
        ("street?start=inf", 400),
        ("street?start=-1", 400),
        ("street?start=11", 400),
        ("street?end=x", 400),
    ],
)
def test_no_sound(client: TestClient, what: str, address: str, status: int) -> None:
    answer = client.get(f"/{what}/{address}")
    assert answer.status_code == status
    assert answer.json()["error"]


def test_too_long_a_stretch(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amr.serve.routes.LONGEST_STRETCH_S", 5.0)
    assert "at most 5 s" in client.get("/audio/street?start=0&end=8").json()["error"]


def test_a_file_that_is_no_sound_any_more(client: TestClient) -> None:
    (client.folder / "street.wav").write_text("not sound")
    answer = client.get("/audio/street")
    assert answer.status_code == 422
    assert "street.wav" in answer.json()["error"]


@pytest.mark.parametrize("form", ["audacity", "raven", "csv", "annotations", "rttm", "jams"])
def test_exports_are_read_again(client: TestClient, form: str) -> None:
    accept(client)
    accept(client, accepted=False, start=6.0, end=7.0)
    answer = client.get(f"/export/{form}")
    assert answer.status_code == 200, answer.text
    name = answer.headers["content-disposition"].split('"')[1]
    (client.folder / name).write_bytes(answer.content)
    [track] = read_tracks(str(client.folder / name), None, Notices())
    assert (track.vid, track.query, [window[:2] for window in track.windows]) == (
        "street",
        "a dog",
        [(2.0, 3.5)],
    )


def test_the_table_says_where_a_recording_is(client: TestClient) -> None:
    accept(client)
    accept(client, "gone")
    head, first, second = client.get("/export/csv").text.splitlines()
    assert head.endswith(",path")
    assert sorted([first, second])[1].endswith(f",{client.folder / 'street.wav'}")
    assert sorted([first, second])[0].endswith(",")


def test_several_recordings_in_a_form_of_one(client: TestClient) -> None:
    for vid in ("street", "north/240612-060000"):
        accept(client, vid)
    with zipfile.ZipFile(io.BytesIO(client.get("/export/audacity").content)) as archive:
        assert archive.namelist() == ["street.txt", "north%2F240612-060000.txt"]
        assert archive.read("street.txt") == b"2.000000\t3.500000\ta dog\n"


def test_clips(client: TestClient) -> None:
    accept(client, query='../../a "dog"')
    with zipfile.ZipFile(io.BytesIO(client.get("/export/clips").content)) as archive:
        [name] = archive.namelist()
        assert "/" not in name
        samples, rate_hz = soundfile.read(io.BytesIO(archive.read(name)))
    assert (len(samples), rate_hz) == (24_000, 16_000)


def test_nothing_to_export(client: TestClient) -> None:
    answer = client.get("/export/csv")
    assert (answer.status_code, "nothing is accepted" in answer.json()["error"]) == (422, True)
    assert "there is no form 'x'" in client.get("/export/x").json()["error"]


def test_the_page_and_its_parts(client: TestClient) -> None:
    page = client.get("/")
    assert "text/html" in page.headers["content-type"]
    for name in ("serve.js", "serve.css", "icon.svg"):
        assert f"/assets/{name}" in page.text
        assert client.get(f"/assets/{name}").status_code == 200
    for name in ("index.html", "nothing.js", "..%2froutes.py", "%2e%2e/routes.py"):
        assert client.get(f"/assets/{name}").status_code == 404


def test_json_is_what_every_program_reads(client: TestClient) -> None:
    record = {"qid": 1, "query": "a\u202edog\x7f", "vid": "street", "relevant_windows": [[1, 2]]}
    (client.folder / "labels.jsonl").write_text(json.dumps(record) + "\n")
    text = client.get("/labels.json").text
    assert json.loads(text)["labels"][0]["query"] == "a\u202edog\x7f"
    assert "\u202e" not in text


def test_a_stretch_of_twelve_hours(tmp_path: Path) -> None:
    """It is entered where the stretch begins: a megabyte of the file is read, not all of it."""
    path, seconds = tmp_path / "night.wav", 12 * 3600
    with open(path, "wb") as file:
        size = 2 * RATE_HZ * seconds
        head = struct.pack(
            "<4sI4s4sIHHIIHH", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, RATE_HZ, 0, 2, 16
        )
        file.write(head + struct.pack("<4sI", b"data", size))
        file.seek(2 * RATE_HZ * (seconds - 10), 1)
        file.write((np.arange(10 * RATE_HZ) % 100 * 100).astype("<i2").tobytes())
    before = read_bytes_of_this_process()
    samples, rate_hz = soundfile.read(io.BytesIO(wav_of(path, seconds - 10, seconds - 5)), dtype="int16")
    assert rate_hz == RATE_HZ
    np.testing.assert_array_equal(samples, np.arange(5 * RATE_HZ) % 100 * 100)
    assert read_bytes_of_this_process() - before < 20_000_000


def read_bytes_of_this_process() -> int:
    """What it has asked the system to read, from files and from memory."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"])
