"""What files, names and sentences hold reaches no terminal as a command, and no JSON as a non-number."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Amr

from amr.cli.messages import Failures, log_shown, say
from amr.cli.tables import columns
from amr.errors import InputError, printable
from amr.formats.exchange import csv
from amr.formats.exchange.tracks import Track, Window
from amr.formats.jsonl import json_text
from amr.tasks.callbacks import log

HOSTILE = {
    "colour": "x\x1b[31mred",
    "line": "new\nline\rback",
    "c1": "csi\x9b31mred",
    "bidi": "abc\u202egpj.exe\u202c",
    "isolate": "a\u2066b\u2069c",
    "separator": "a\u2028b\u2029c",
    "bell": "a\x07\x08\x7fb",
}


def obeyed(text: str) -> list[str]:
    """The characters that a terminal would obey; line ends are the tool's own."""
    return [char for char in text if not char.isprintable() and char not in "\n"]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_lines_on_standard_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"amr: {name}")
    Failures("predict").note(InputError("is broken", where=name))
    with log_shown("amr predict"):
        log.warning("%s: odd", name)
    shown = capsys.readouterr().err
    assert obeyed(shown) == []
    assert len(shown.splitlines()) == 3


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_tables(name: str) -> None:
    [line] = columns([(name, "1")])
    assert line == f"{printable(name)}  1"
    assert obeyed(line) == []


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_json_is_escaped_and_reads_the_same(name: str) -> None:
    text = json_text({name: [name]})
    assert obeyed(text) == []
    assert "\n" not in text
    assert json.loads(text) == {name: [name]}


@pytest.mark.parametrize(
    "value", [{"a": float("nan")}, [[1.0, float("inf")]], {"a": {"b": (-float("inf"), 1)}}]
)
def test_what_is_no_number_is_null(value: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert "null" in json_text(value)
    json.loads(json_text(value), parse_constant=refuse)


def at_terminal(folder: Path, *arguments: str) -> str:
    """What one command line shows, standard output and standard error a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "amr", *arguments]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:
            break
        if not block:
            break
        shown += block
    os.close(ours)
    assert done.returncode == 0, shown
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("form", ["csv", "annotations", "audacity", "rttm"])
def test_convert_at_a_terminal(tmp_path: Path, form: str) -> None:
    for number, name in enumerate(HOSTILE.values()):
        record = {"qid": name, "query": name, "vid": name, "duration": 9, "relevant_windows": [[1, 2]]}
        file = tmp_path / f"{number}.jsonl"
        file.write_text(json.dumps(record) + "\n")
    files = sorted(str(file) for file in tmp_path.glob("*.jsonl"))
    for several in [[file] for file in files[:3]] if form == "audacity" else [files]:
        shown = at_terminal(tmp_path, "convert", "--to", form, *several)
        assert [char for char in obeyed(shown) if char != "\t"] == []
        assert len(shown.splitlines()) == len(several) + (form == "csv")


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "'=x", "'plain", "-", "\rx", "＝1"],
)
def test_a_cell_that_a_spreadsheet_would_run(cell: str) -> None:
    [_, row] = csv.render([Track(cell, cell, [Window(1, 2)], qid=cell)]).split("\n", 1)
    assert not row.lstrip('"').startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
    [track] = csv.parse(csv.render([Track(cell, cell, [Window(1, 2)], qid=cell)]), "t.csv")
    assert (track.vid, track.query, track.qid) == (cell, cell, cell)


def test_a_negative_number_is_a_number() -> None:
    text = csv.render([Track("a", "b", [Window(-3, 2)], qid=-5)])
    assert "a,-5,b,-3,2" in text
    assert csv.parse(text, "t.csv")[0].qid == -5


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", "<&- >&-"])
@pytest.mark.parametrize(
    ("arguments", "code"), [("info a.jsonl", 0), ("info none.jsonl", 3), ("score a.jsonl", 2)]
)
def test_closed_streams(tmp_path: Path, streams: str, arguments: str, code: int) -> None:
    line = '{"qid": 1, "query": "x", "vid": "a", "duration": 9, "relevant_windows": [[1, 2]]}\n'
    (tmp_path / "a.jsonl").write_text(line)
    command = f"{sys.executable} -m amr {arguments} {streams}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert code or done.stderr == ""


@pytest.mark.parametrize("tool", ["info", "convert --to csv", "convert --to annotations"])
def test_what_is_odd_at_the_door_is_said(tmp_path: Path, amr: Amr, tool: str) -> None:
    line = '{"qid": 1, "query": "x", "vid": "a", "duration": Infinity, "relevant_windows": [[-3, 10]]}\n'
    (tmp_path / "a.jsonl").write_text(line)
    done = amr(*tool.split(), "a.jsonl")
    said = done.stdout + done.stderr
    assert "begins before its recording" in said
    assert "Infinity" not in said
    assert "inf" not in said.replace("info", "")


@pytest.mark.parametrize(
    ("texts", "is_said"), [(["x y", "y z"], True), (["x y", "x y"], False), (["a", "a", "b"], True)]
)
def test_one_id_for_two_sentences_is_said(
    texts: list[str], is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    from amr.formats.queries import Query
    from amr.tasks.search import gather_queries

    gather_queries([Query(text, qid=1, where="q.jsonl") for text in texts])
    assert ("qid 1 has another query" in caplog.text) == is_said
