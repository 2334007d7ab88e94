"""``amr serve``: what it opens, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from amr.cli.main import run
from amr.errors import UsageError
from amr.serve.inputs import encode_missing, sorted_inputs
from amr.serve.server import bind

EXAMPLES = Path(__file__).parents[2] / "examples" / "audio"


def ask(link: str, address: str) -> dict:
    """The JSON at an address, with the token of the link."""
    base, _, token = link.partition("/?token=")
    asking = urllib.request.Request(f"{base}{address}", headers={"Authorization": f"Bearer {token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asking) as answer:
        return json.load(answer)


def test_a_folder_is_served_until_it_is_interrupted(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    shutil.copy(EXAMPLES / "lumberjack.ogg", folder / "20240611_053000.ogg")
    with subprocess.Popen(
        [sys.executable, "-m", "amr", "serve", "recordings", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        found = ask(link, "/search.json?q=someone+chops+wood&top=1")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == 0, told
    assert told.splitlines()[0] == (
        "amr serve: 1 recording is encoded once; its features are kept in recordings/feats.h5"
    )
    assert "labels are kept in recordings/labels.jsonl; Ctrl-C ends it" in told
    [moment] = found["answers"][0]["moments"]
    assert moment["path"] == "recordings/20240611_053000.ogg"
    assert moment["clock"].startswith("2024-06-11T05:30:2")
    assert moment["score"] > 0.7
    assert (folder / "feats.h5").exists()
    assert not (folder / "labels.jsonl").exists()


def test_recordings_that_are_new_are_added(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(EXAMPLES / "lumberjack.ogg", tmp_path / "a.ogg")
    with ExitStack() as stack, caplog.at_level("INFO", "amr"):
        encode_missing(sorted_inputs([str(tmp_path)], None, stack))
        encode_missing(sorted_inputs([str(tmp_path)], None, stack))
        shutil.copy(EXAMPLES / "lumberjack.ogg", tmp_path / "b.ogg")
        found = sorted_inputs([str(tmp_path)], None, stack)
        encode_missing(found)
    assert found.labels == tmp_path / "labels.jsonl"
    told = [record.getMessage() for record in caplog.records if "encoded once" in record.getMessage()]
    assert [line.split()[0] for line in told] == ["1", "1"]


def test_what_names_mean(tmp_path: Path) -> None:
    """Feature files are searched; a folder beside them is where their recordings lie."""
    features = tmp_path / "feats.h5"
    features.write_bytes(b"\x89HDF\r\n\x1a\n")
    with ExitStack() as stack:
        beside = sorted_inputs([str(features), "recordings"], None, stack)
        kept = sorted_inputs(["a.wav", "b.wav"], "mine.h5", stack)
        passing = sorted_inputs(["a.wav"], None, stack)
    assert (beside.features, beside.to_encode, beside.folders) == ([str(features)], {}, ["recordings"])
    assert (kept.features, kept.to_encode) == (["mine.h5"], {"mine.h5": ["a.wav", "b.wav"]})
    assert not Path(passing.features[0]).parent.exists(), "gone in the end"


def test_nothing_to_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AMR_FEATURES", raising=False)
    assert run(["serve"]) == 2
    assert "nothing to search" in capsys.readouterr().err


def test_a_port_that_is_taken() -> None:
    with bind("127.0.0.1", 0) as taken:
        with pytest.raises(UsageError, match=r"cannot listen at 127\.0\.0\.1, port"):
            bind("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(UsageError, match=r"cannot listen at 192\.0\.2\.1"):
            bind("192.0.2.1", 0)
        with bind("127.0.0.1", None) as first, bind("127.0.0.1", None) as second:
            assert first.getsockname()[1] != second.getsockname()[1]
