"""Fetching weights by the hub's own client, from a server of our own: whole, once, offline, by hand."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import clap_published as published
import pytest

from amr.encoders.clap.hub import HubFile, local_copy
from amr.errors import MissingError

BODY = b"weights" * 1000
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOWHERE = "http://127.0.0.1:9"

FETCH = """
import sys
from amr.encoders.clap.hub import HubFile, local_copy
from amr.errors import MissingError
try:
    print(local_copy(HubFile(sys.argv[1], ("some/clap", "other/clap")), "AMR_CLAP_WEIGHTS"))
except MissingError as error:
    sys.exit(f"{error}\\n{error.hint}")
"""
TOKENISE = """
from amr.encoders.clap.laion_weights import LaionWeights
print(len(LaionWeights(None).tokenise("a dog barks")))
"""


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does: what a file is, and its bytes."""

    protocol_version = "HTTP/1.1"
    folder = Path()
    requests: list[tuple[str, str, str]] = []  # noqa: RUF012  # method, path, authorisation; one server a test

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        self.requests.append((self.command, self.path, self.headers.get("Authorization", "")))
        name = self.path.rsplit("/", 1)[-1]
        file = self.folder / name
        data = file.read_bytes() if file.exists() else BODY
        if name.startswith("missing"):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data[: len(data) // 2] if name.startswith("cut") else data)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    Hub.folder, Hub.requests = tmp_path / "served", []
    Hub.folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(
    code: str, *arguments: str, home: Path, endpoint: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Python with the client's variables: it reads them when it is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "AMR_"))}
    environment = {**kept, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, **variables}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def cache(home: Path, repository: str) -> Path:
    """A repository in the client's cache as it lays it out; the folder of its files."""
    folder = home / "hub" / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    return folder / "snapshots" / COMMIT


def test_a_file_is_fetched_once_with_the_users_token(hub: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = run(FETCH, "a.bin", home=home, endpoint=hub, HF_TOKEN="hf_mine")
    assert first.returncode == 0, first.stderr
    path = Path(first.stdout.strip())
    assert path.read_bytes() == BODY
    assert path.is_relative_to(home)
    gets = [request for request in Hub.requests if request[0] == "GET"]
    assert gets == [("GET", "/some/clap/resolve/main/a.bin", "Bearer hf_mine")]
    Hub.requests.clear()
    assert run(FETCH, "a.bin", home=home, endpoint=hub).stdout == first.stdout
    assert Hub.requests == []


@pytest.mark.parametrize("name", ["cut.bin", "missing.bin"])
def test_what_does_not_come_whole_leaves_nothing(hub: str, tmp_path: Path, name: str) -> None:
    done = run(FETCH, name, home=tmp_path / "home", endpoint=hub)
    assert done.returncode == 1
    message, hint = done.stderr.strip().split("\n")[-2:]
    assert message.startswith(f"{hub}/some/clap/resolve/main/{name}: cannot be downloaded (")
    assert hint == "download it by hand, and set its folder in AMR_CLAP_WEIGHTS"
    assert list((tmp_path / "home").rglob(name)) == []


def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client itself tries for half a minute."""

    def fail(*_: object) -> str:
        raise ConnectionError("no\nroute")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(MissingError, match=r"cannot be downloaded \(no route\)"):
        local_copy(HubFile("a.bin", ("some/clap-that-is-not-here",)), "AMR_CLAP_WEIGHTS")


@pytest.mark.parametrize("variable", ["AMR_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_never_asks(hub: str, tmp_path: Path, variable: str) -> None:
    done = run(FETCH, "a.bin", home=tmp_path, endpoint=hub, **{variable: "1"})
    assert "cannot be downloaded (" in done.stderr or "AMR_OFFLINE forbids downloading it" in done.stderr
    assert "download it by hand" in done.stderr
    assert Hub.requests == []
    path = cache(tmp_path, "other/clap") / "a.bin"
    path.write_bytes(BODY)
    done = run(FETCH, "a.bin", home=tmp_path, endpoint=hub, **{variable: "1"})
    assert done.stdout == f"{path}\n"


def test_clap_is_fetched_as_a_whole(hub: str, tmp_path: Path) -> None:
    published.write_hub_folder(Hub.folder)
    done = run(TOKENISE, home=tmp_path / "home", endpoint=hub)
    assert done.stdout == "5\n", done.stderr
    names = {path for method, path, _ in Hub.requests if method == "GET"}
    root = "/laion/clap-htsat-unfused/resolve/main"
    assert names == {f"{root}/{name}" for name in ("model.safetensors", "vocab.json", "merges.txt")}


def test_another_repositorys_file_of_the_same_name_is_not_taken(tmp_path: Path) -> None:
    """RoBERTa's own cache holds a model.safetensors too; of it only the tokeniser's files will do."""
    published.write_hub_folder(cache(tmp_path, "roberta-base"))
    done = run(TOKENISE, home=tmp_path, endpoint=NOWHERE, AMR_OFFLINE="1")
    assert "model.safetensors: is not on this machine, and AMR_OFFLINE forbids downloading it" in done.stderr
    laion = cache(tmp_path, "laion/clap-htsat-unfused")
    published.write_hub_folder(tmp_path / "own")
    (tmp_path / "own" / "model.safetensors").rename(laion / "model.safetensors")
    done = run(TOKENISE, home=tmp_path, endpoint=NOWHERE, AMR_OFFLINE="1")
    assert done.stdout == "5\n", done.stderr
