"""Fetching weights, from a server of our own: whole, checked, offline, by hand."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import clap_published as published
import pytest

from amr.encoders import clap_weights
from amr.encoders.clap import ClapEncoder
from amr.encoders.download import WebFile, cache_folder, fetch
from amr.encoders.published import Publication, find_file
from amr.errors import MissingError

BODY = b"weights" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does: a redirect that declares the checksum, then the bytes."""

    folder = Path()
    asked: list[str] = []  # noqa: RUF012  # one server a test

    def do_GET(self) -> None:
        self.asked.append(self.path)
        name = self.path.rsplit("/", 1)[-1]
        file = self.folder / name
        if self.path.startswith("/resolve/"):
            self.send_response(302)
            self.send_header("Location", f"/cdn/{name}")
            if file.exists():
                self.send_header("X-Linked-ETag", f'"{hashlib.sha256(file.read_bytes()).hexdigest()}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = file.read_bytes() if file.exists() else BODY
        if name.startswith("missing"):
            self.send_error(404)
            return
        self.send_response(200)
        if name.startswith("lie"):
            self.send_header("X-Linked-ETag", f'"{"0" * 64}"')
        self.send_header("Content-Length", str(len(data) + (100 if name.startswith("cut") else 0)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    Hub.folder, Hub.asked = tmp_path / "served", []
    Hub.folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched_once_whole_and_recorded(hub: str, tmp_path: Path) -> None:
    file = WebFile("a.bin", f"{hub}/cdn/a.bin", sha256=SHA256)
    for _ in range(2):
        path = fetch(file, tmp_path / "cache" / "deep")
        assert path.read_bytes() == BODY
    assert Hub.asked == ["/cdn/a.bin"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["SHA256SUMS", "a.bin"]
    assert (path.parent / "SHA256SUMS").read_text() == f"{SHA256}  a.bin\n"


@pytest.mark.parametrize(
    ("name", "sha256", "message"),
    [
        ("a.bin", "f" * 64, "have sha256"),
        ("lie.bin", None, "have sha256"),
        ("cut.bin", None, "were announced|more expected"),
        ("missing.bin", None, "404"),
    ],
)
def test_wrong_bytes_leave_nothing(
    hub: str, tmp_path: Path, name: str, sha256: str | None, message: str
) -> None:
    file = WebFile(name, f"{hub}/cdn/{name}", sha256)
    with pytest.raises(MissingError, match=message) as caught:
        fetch(file, tmp_path / "cache")
    assert "by hand" in caught.value.hint
    assert str(tmp_path / "cache" / name) in caught.value.hint
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="cannot be fetched"):
        fetch(WebFile("a", "http://127.0.0.1:9/a"), tmp_path)


def test_offline_never_asks(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMR_OFFLINE", "1")
    with pytest.raises(MissingError, match="AMR_OFFLINE forbids") as caught:
        fetch(WebFile("a.bin", f"{hub}/cdn/a.bin"), tmp_path)
    assert f"fetch {hub}/cdn/a.bin by hand and save it as {tmp_path / 'a.bin'}" == caught.value.hint
    assert Hub.asked == []
    monkeypatch.setenv("AMR_OFFLINE", "0")
    assert fetch(WebFile("a.bin", f"{hub}/cdn/a.bin"), tmp_path).exists()


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AMR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("clap") == tmp_path / "amr" / "clap"
    monkeypatch.setenv("AMR_CACHE", str(tmp_path / "own"))
    assert cache_folder("clap") == tmp_path / "own" / "clap"


def served(hub: str) -> Publication:
    laion = ("laion/clap",)
    files = [
        WebFile(name, f"{hub}/resolve/{name}", hub_names=laion)
        for name in ("model.safetensors", "vocab.json", "merges.txt")
    ]
    return Publication("clap", "AMR_CLAP_WEIGHTS", *files)


def test_clap_is_fetched_as_a_whole(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published.write_hub_folder(Hub.folder)
    monkeypatch.setenv("AMR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))
    monkeypatch.delenv("AMR_CLAP_WEIGHTS", raising=False)
    monkeypatch.setattr(clap_weights.ClapWeights, "publication", served(hub))
    [features] = ClapEncoder().encode_text(["a dog barks"])
    assert features.tokens.shape == (5, published.TEXT_DIM)
    Hub.asked.clear()
    assert ClapEncoder().identity.name == "clap"
    assert Hub.asked == []  # the second time all is there


def test_the_hubs_own_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("AMR_OFFLINE", "1")
    snapshot = tmp_path / "hf" / "hub" / "models--laion--clap" / "snapshots" / "0123abc"
    path = published.write_hub_folder(snapshot)
    publication = served("http://127.0.0.1:9")
    assert find_file(publication, publication.weights, beside=None) == path


def test_another_repositorys_file_of_the_same_name_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RoBERTa's own cache holds a model.safetensors too; of it only the tokeniser's files will do."""
    monkeypatch.setenv("AMR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("AMR_CLAP_WEIGHTS", raising=False)
    monkeypatch.setenv("AMR_OFFLINE", "1")
    snapshot = tmp_path / "hf" / "hub" / "models--roberta-base" / "snapshots" / "0123abc"
    published.write_hub_folder(snapshot)
    publication = clap_weights.PUBLICATION
    assert find_file(publication, publication.vocabulary, beside=None) == snapshot / "vocab.json"
    with pytest.raises(MissingError, match="AMR_OFFLINE forbids"):
        find_file(publication, publication.weights, beside=None)


def test_progress_is_a_line_where_nobody_watches(
    hub: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(WebFile("a.bin", f"{hub}/cdn/a.bin"), tmp_path)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "fetching a.bin: 100 % of 0 MB\n"
