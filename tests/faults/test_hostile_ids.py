"""Ids and sentences from strangers where they become names of clips, or parts of a submission."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import World

from amr.formats.exchange.dcase_form import TEMPLATE, parse_form
from amr.formats.exchange.tracks import Track, Window
from amr.tasks.clips import plan_clips

IDS = [
    *(
        "../evil",
        "/etc/passwd",
        "a\0b",
        "a/b",
        "a\\b",
        ".",
        "..",
        ".hidden",
        "-rf",
        "CON",
        "",
        " ",
        "rec",
        "REC",
    ),
    *(
        "\x1b[31mred",
        "a\nb",
        "\u202eabc",
        "x" * 300,
        "日本" * 200,
        "\U0001f41d" * 200,
        "e\u0301",
        "\u00e9",
        "ß",
        "ss",
    ),
]
QUERIES = ["rain", "../../rain", "rain", "rain-2", "RAIN", "日" * 300, "\x1b]0;title\x07"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


def test_names_of_clips_stay_in_their_folder_and_are_all_different() -> None:
    tracks = [Track(vid, query, [Window(0.1, 0.5), Window(0.1, 0.5)]) for vid in IDS for query in QUERIES]
    paths = [clip.path for clip in plan_clips(tracks, Path("clips"), "flac")]
    assert len({path.name.casefold() for path in paths}) == 2 * len(IDS) * len(QUERIES)
    assert {path.parent for path in paths} == {Path("clips")}
    assert all(path.name.isprintable() and not path.name.startswith(".") for path in paths)
    assert max(len(os.fsencode(path.name)) for path in paths) <= 255


@fault(
    "input",
    "recordings and sentences whose clips would have one name, or one of more than 255 bytes",
    code=0,
    says="",
    left="a clip for each moment",
)
def test_clips_of_hostile_ids(world: World) -> Seen:
    vids = [vid for vid in IDS if 0 < len(os.fsencode(vid)) < 250 and not set("/\0") & set(vid)]
    vids = [vid for vid in vids if not vid.startswith(".") and vid.strip() and vid != "e\u0301"]  # é is there
    for vid in vids:
        shutil.copy(world.audio / "recording0.wav", world.audio / f"{vid}.wav")
    predictions = [
        {"qid": f"{vid} {n}", "query": query, "vid": vid, "pred_relevant_windows": [[0.1, 0.3, 0.5]]}
        for vid in vids
        for n, query in enumerate(QUERIES)
        if query.isprintable()
    ]
    Path("p.jsonl").write_text("".join(json.dumps(each) + "\n" for each in predictions))
    seen = world.amr("convert", "p.jsonl", "--clips", "clips", "--audio", "audio", "--clip-form", "ogg")
    assert len(list(Path("clips").iterdir())) == len(predictions)
    assert sorted(path.name for path in Path().iterdir()) == ["audio", "clips", "p.jsonl"]
    return seen


def form(**values: str) -> str:
    """A form that is filled in, with these values."""
    lines = []
    for line in TEMPLATE.splitlines():
        key = line.partition(" =")[0]
        empty = " a@b.c" if key == "email" else " 1"
        lines.append(
            f"{key} = {values[key]}" if key in values else line + (empty if line.endswith("=") else "")
        )
    return "\n".join(lines)


@fault(
    "input",
    "a submission's form whose names are paths, too long or no names",
    code=3,
    says="form.ini: [submission] 'lastname' is '…': it becomes part of file names",
    left="nothing was begun; ids of any kind are texts in the package and name nothing",
)
def test_packages_of_hostile_ids(world: World) -> Seen:
    queries = [{"qid": n, "query": "rain", "vid": vid, "duration": 5} for n, vid in enumerate(IDS) if vid]
    queries += [{"qid": vid, "query": "rain", "vid": "v", "duration": 5} for vid in IDS if vid]
    answers = [{**query, "pred_relevant_windows": [[0, 1, 0.5]]} for query in queries]
    for name, records in (("q.jsonl", queries), ("p.jsonl", answers)):
        Path(name).write_text("".join(json.dumps(each) + "\n" for each in records))
    Path("report.pdf").write_bytes(b"%PDF-1.7 ...")
    package = ["convert", "p.jsonl", "--dcase", "form.ini", "--queries", "q.jsonl", "--report", "report.pdf"]
    Path("form.ini").write_text(form(name="%(x)s \x1b[31m: {", location="x: - y"))
    assert world.amr(*package, "-o", "s.zip").code == 0
    label = "1_1_task6_1"
    with zipfile.ZipFile("s.zip") as archive:
        assert archive.namelist() == [
            f"task6/{label}/{label}.output.jsonl",
            f"task6/{label}/{label}.meta.yaml",
            "task6/1_1_task6.technical_report.pdf",
        ]
        lines = archive.read(f"task6/{label}/{label}.output.jsonl").decode().splitlines()
        assert [json.loads(line)["qid"] for line in lines] == [query["qid"] for query in queries]
        assert b"\x1b" not in archive.read(f"task6/{label}/{label}.meta.yaml")
    for lastname in ("../x", "..", "/x", "-rf", "Doe\x1b", "A" * 70_000):
        Path("form.ini").write_text(form(lastname=lastname))
        seen = world.amr(*package, "-f", "-o", "never.zip")
        assert (seen.code, len(seen.text) < 300) == (3, True), seen
    assert not Path("never.zip").exists()
    assert parse_form(form(lastname="A" * 64, institute="B" * 64), "form.ini", 1).label(1).startswith("A")
    return seen
