"""Tables of sources: the forms that are read, the rows that are taken, what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from simulation_world import make_world

from amr.errors import AmrError, InputError, UsageError
from amr.simulation.selection import check_disjoint, parse_condition, select, split_of
from amr.simulation.tables import SourceRow, read_sources

CLOTHO = """file_name,caption_1,caption_2,caption_3,caption_4,caption_5
Distorted AM Radio noise.wav,"A muddled noise, of a radio.", Another one ,third,fourth,third
Paper_Parchment Rustling.wav,Someone is rustling parchment.,b,c,d,e
"""


def write(tmp_path: Path, text: str | bytes, name: str = "clips.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def test_a_clotho_captions_file_is_read(tmp_path: Path) -> None:
    root, rows = read_sources(write(tmp_path, CLOTHO), {})
    assert root == tmp_path
    assert [row.path for row in rows] == ["Distorted AM Radio noise.wav", "Paper_Parchment Rustling.wav"]
    assert rows[0].captions == ("A muddled noise, of a radio.", "Another one", "third", "fourth")
    assert rows[1].where.endswith("clips.csv:3")


def test_a_jsonl_is_read_with_a_list_of_captions(tmp_path: Path) -> None:
    lines = (
        '{"file": "a.wav", "captions": ["x", "y"], "label": "dog"}\n\n{"file": "b.wav", "captions": "z"}\n'
    )
    _, rows = read_sources(write(tmp_path, lines, "clips.jsonl"), {})
    assert [(row.path, row.captions, row.label) for row in rows] == [
        ("a.wav", ("x", "y"), "dog"),
        ("b.wav", ("z",), ""),
    ]


def test_a_folder_is_read_by_its_one_csv_or_by_its_audio(tmp_path: Path) -> None:
    world = make_world(tmp_path / "w")
    root, rows = read_sources(world / "bg", {})
    assert root == world / "bg"
    assert [row.path for row in rows] == ["street0.flac", "street1.flac", "street2.flac"]
    (world / "bg.csv").rename(world / "bg" / "list.csv")
    (world / "bg" / ".hidden.wav").write_bytes(b"")
    assert read_sources(world / "bg", {})[1][0].contains == {"horn", "siren"}
    with pytest.raises(InputError, match="no column"):
        read_sources(write(tmp_path, "name,x\na,b\n"), {})
    write(world / "bg", "file\na.wav\n", "second.csv")
    with pytest.raises(InputError, match="2 CSV files"):
        read_sources(world / "bg", {})


def test_a_folder_gives_every_form_of_sound_that_extract_takes(tmp_path: Path) -> None:
    for name in ("a.M4A", "b.opus", "c.wma", "program.ts", "notes.txt", ".d.wav"):
        (tmp_path / name).write_bytes(b"import")
    (tmp_path / "video.ts").write_bytes(b"\x47")
    assert [row.path for row in read_sources(tmp_path, {})[1]] == ["a.M4A", "b.opus", "c.wma", "video.ts"]
    assert read_sources(tmp_path / "a.M4A", {})[1][0].path == "a.M4A"


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "name,what\na.wav,a dog|a hound\n")
    _, rows = read_sources(path, {"file": "name", "captions": "what"})
    assert rows[0].captions == ("a dog", "a hound")
    with pytest.raises(UsageError, match="no column 'nome'"):
        read_sources(path, {"file": "nome"})
    with pytest.raises(UsageError, match="none of file, captions"):
        read_sources(path, {"fule": "name"})


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", "clips.csv", "is empty"),
        ("file,captions\n", "clips.csv", "no row"),
        ("file,file\n", "clips.csv:1", "twice in the header"),
        ("file,captions\na.wav\n", "clips.csv:2", "has 1 fields"),
        ("file,captions\na.wav,x\na.wav,y\n", "clips.csv:3", "is here and at"),
        ("file,captions\n./a.wav,x\na.wav,y\n", "clips.csv:3", "is here and at"),
        ("file,captions\nVo\u0308gel.wav,x\nV\u00f6gel.wav,y\n", "clips.csv:3", "is here and at"),
        ("file,captions\n,x\n", "clips.csv:2", "names no file"),
        ("file,captions\n../a.wav,x\n", "clips.csv:2", "outside its source folder"),
        ("file,captions\n/etc/passwd,x\n", "clips.csv:2", "outside its source folder"),
        ('file,captions\n"a.wav,x\n', "clips.csv:2", "is not a table"),
        (b"file,captions\na.wav,\xff\n", "clips.csv:2", "is not UTF-8"),
        ('{"file": "a.wav"\n', "clips.csv:1", "is not JSON"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, line: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as failure:
        read_sources(write(tmp_path, text), {})
    assert failure.value.where.endswith(line)


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_sources(tmp_path / "none.csv", {})
    with pytest.raises(InputError, match="no audio file"):
        read_sources(tmp_path, {})


def rows_with(tmp_path: Path, text: str) -> list[SourceRow]:
    return read_sources(write(tmp_path, text), {})[1]


def test_conditions_and_splits_select_rows(tmp_path: Path) -> None:
    rows = rows_with(
        tmp_path,
        "file,captions,split,domain,bandwidth_hz\n"
        "a.wav,x,train,animal,9000\nb.wav,x,train,designed,15000\nc.wav,x,val,animal,4000\n",
    )

    def taken(split: str | None, *conditions: str) -> list[str]:
        parsed = [parse_condition(text, "--where") for text in conditions]
        return [row.path for row in select(rows, split=split, conditions=parsed, name="t")]

    assert taken("train") == ["a.wav", "b.wav"]
    assert taken("train", "domain!=designed") == ["a.wav"]
    assert taken(None, "bandwidth_hz>=8000") == ["a.wav", "b.wav"]
    assert taken(None, "bandwidth_hz<8000", "domain=animal") == ["c.wav"]
    with pytest.raises(InputError, match=r"none of its 3 rows.*splits found: train, val"):
        taken("test")
    with pytest.raises(AmrError, match="no column 'colour'"):
        taken(None, "colour=red")
    with pytest.raises(InputError, match="not a number"):
        taken(None, "domain>3")


@pytest.mark.parametrize("text", ["", "domain", "=x", "a>b"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_condition(text, "--where")


def test_a_recording_in_two_splits_is_refused(tmp_path: Path) -> None:
    rows = rows_with(tmp_path, "file,group,split\na.wav,g1,train\nb.wav,g1,test\n")
    with pytest.raises(InputError, match="'g1' is in split 'test' here and in 'train'"):
        check_disjoint(rows)


def test_splits_by_hash_keep_recordings_together_and_sizes_about_7_1_2(tmp_path: Path) -> None:
    text = "file,group\n" + "".join(f"{i}.wav,g{i // 2}\n" for i in range(4000))
    rows = rows_with(tmp_path, text)
    check_disjoint(rows)
    shares = {name: sum(split_of(row) == name for row in rows) / 4000 for name in ("train", "val", "test")}
    assert shares == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.03)
    assert [split_of(row) for row in reversed(rows)] == [split_of(row) for row in rows][::-1]


@pytest.mark.parametrize("name", [b"x\x1b[31m.wav", b"new\nline.wav", b"back\\slash.wav", b"\xff.wav"])
def test_a_name_that_no_recipe_can_hold_does_not_end_a_folder(
    tmp_path: Path, name: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"RIFF")
    _, rows = read_sources(tmp_path, {})
    assert [row.path for row in rows] == ["a.wav"]
    [said] = caplog.messages
    assert said.isprintable()
    assert "no recipe can hold this name" in said
