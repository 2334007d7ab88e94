"""A learned sound is kept by the page and found by its name, there and by ``amr predict``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from serve_world import BASE, PORT
from starlette.testclient import TestClient

import amr
from amr.formats.labels import LabelFile
from amr.formats.sounds import read_sound
from amr.serve.guard import Access
from amr.serve.library import Library
from amr.serve.moments import Answerer
from amr.serve.routes import Page, application
from amr.serve.sounds import KeptSounds
from amr.tasks.inputs import SearchInputs, open_search
from amr.tasks.models import load_model
from amr.tasks.networks import AUTO
from amr.tasks.standing import standing

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
EWE = {"vid": "sheepfield", "query": "our ewe", "start": 0.0, "end": 2.0, "accepted": True}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "feats.h5"
    amr.extract(AUDIO, path)
    return path


@pytest.fixture
def client(features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The page over the example recordings, with the model that ships; it stands in another folder."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("AMR_SOUNDS", raising=False)
    inputs = SearchInputs([str(features)], [])
    with open_search(inputs, [], load_model(AUTO)) as search, standing(search) as open_:
        answerer = Answerer(open_, Library(search.collection, {}), KeptSounds(tmp_path))
        page = Page(answerer.library, answerer, LabelFile(tmp_path / "labels.jsonl"), Access(PORT))
        known = {"authorization": f"Bearer {page.access.token}"}
        client = TestClient(application(page), BASE, headers=known)
        client.folder = tmp_path
        yield client


def ask(client: TestClient, text: str, **more: str) -> dict:
    answer = client.get("/search.json", params={"q": text, "learn": "1", **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["answers"][0]


def keep(client: TestClient, **body: object) -> dict:
    answer = client.post("/sounds.json", json={"name": "our ewe", "query": "our ewe", **body})
    return {"status": answer.status_code, **answer.json()}


def test_what_was_learned_is_kept_and_asked_for_by_its_name(client: TestClient, features: Path) -> None:
    assert client.get("/sounds.json").json() == {"folder": str(client.folder), "sounds": []}
    client.post("/labels.json", json={"add": EWE})
    learned = ask(client, "our ewe")
    assert learned["examples"] == 1
    path = str(client.folder / "our ewe.sound")
    assert keep(client)["sounds"] == [{"name": "our ewe", "query": "@our ewe", "path": path}]
    assert client.get("/sounds.json").json()["sounds"][0]["query"] == "@our ewe"
    assert read_sound(path).words == "our ewe +1 -0"
    found = ask(client, "@our ewe")
    assert (found["query"], found["remarks"]) == ("@our ewe", [])
    assert places(found) == places(learned) != places(ask(client, "our ewe", learn="0"))
    named = amr.predict("@" + path, features, top=3)
    best = max(score for each in named for _, _, score in each.windows)
    assert best == pytest.approx(found["moments"][0]["score"], abs=2e-3)


def places(answer: dict) -> list[tuple[str, float]]:
    return [(moment["vid"], moment["start"]) for moment in answer["moments"][:5]]


def test_a_kept_sound_is_not_replaced_unasked_and_then_asked_anew(client: TestClient) -> None:
    keep(client)
    before = places(ask(client, "@our ewe"))
    client.post("/labels.json", json={"add": EWE})
    taken = keep(client)
    assert (taken["status"], taken["error"]) == (409, "there is a sound 'our ewe' already")
    assert places(ask(client, "@our ewe")) == before
    assert keep(client, replace=True)["status"] == 200
    assert places(ask(client, "@our ewe")) != before


def test_a_kept_sound_learns_further(client: TestClient) -> None:
    keep(client)
    client.post("/labels.json", json={"add": {**EWE, "query": "@our ewe"}})
    assert ask(client, "@our ewe")["examples"] == 1
    assert keep(client, query="@our ewe", name="that ewe")["status"] == 200
    assert read_sound(client.folder / "that ewe.sound").words == "@our ewe +1 -0"


@pytest.mark.parametrize(
    "name", ["", " ", "@", "../x", "/etc/passwd", "a/b", ".hidden", "a\nb", "x" * 200, "a\0", 3]
)
def test_a_name_is_never_a_path(client: TestClient, name: object) -> None:
    assert keep(client, name=name)["status"] == 400
    if isinstance(name, str) and name.strip(" @"):
        assert client.get("/search.json", params={"q": f"@{name}"}).status_code == 400
    assert list(client.folder.rglob("*.sound")) == []
    assert not (client.folder.parent / "x.sound").exists()


def test_files_beside_are_not_read(client: TestClient) -> None:
    """A question says of no file whether it is there."""
    (client.folder / "elsewhere" / "secret.txt").write_text("secret")
    for name in ("secret.txt", "nothing.txt"):
        answer = client.get("/search.json", params={"q": f"@{name}"})
        assert (answer.status_code, answer.json()["error"]) == (422, f"there is no kept sound {name!r}")


def test_what_cannot_be_kept_is_refused(client: TestClient) -> None:
    for body in ({"query": ""}, {"query": 3}, {"replace": "yes"}, {"query": "x" * 501}):
        assert keep(client, **body)["status"] == 400
    assert keep(client, query="@nobody")["status"] == 422


def test_a_broken_sound_is_said(client: TestClient) -> None:
    (client.folder / "bad.sound").write_text("{}")
    answer = client.get("/search.json?q=@bad")
    assert answer.status_code == 422
    assert "a learned sound" in answer.json()["error"]


@pytest.mark.parametrize("name", ["@@twice", " @ blank", "ÄÖ", "Ä", "a-b_c.d", "con", "x.sound", "狗叫"])
def test_every_name_that_is_kept_can_be_asked_for(client: TestClient, name: str) -> None:
    """By the question that the list gives, and by the name as it was typed, in either Unicode form."""
    found = keep(client, name=name)
    assert found["status"] == 200, found
    [listed] = found["sounds"]
    for question in (listed["query"], f"@{name}", unicodedata.normalize("NFC", listed["query"])):
        assert ask(client, question)["moments"]


def test_a_folder_of_that_name_is_said(client: TestClient) -> None:
    (client.folder / "our ewe.sound").mkdir()
    assert keep(client)["status"] == 409
    found = keep(client, replace=True)
    assert 400 <= found["status"] < 500, found
    assert "our ewe.sound" in found["error"]
