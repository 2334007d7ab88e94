"""Lists that are not what their ending says: read by what they hold, or refused in one line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from amr.errors import InputError
from amr.formats.exchange import csv as csv_moments
from amr.formats.exchange.forms import read_tracks
from amr.formats.exchange.tracks import Track, Window
from amr.formats.notices import Notices
from amr.formats.queries import parse_queries
from amr.simulation.tables import read_table


def texts(content: str) -> list[tuple[int | str | None, str]]:
    return [(query.qid, query.text) for query in parse_queries(io.BytesIO(content.encode()), "list")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[\n {"qid": 1,\n  "query": "a"},\n {"qid": 2, "query": "b"}\n]\n', [(1, "a"), (2, "b")]),
        ("qid,query\n1,a dog\n2,b\n", [(1, "a dog"), (2, "b")]),
        ("query\na dog\n", [(None, "a dog")]),
        ("qid;caption\nx;a, b\n", [("x", "a, b")]),
        ('# mine\n{"qid":1,"query":"a"}\n// more\n{"qid":2,"query":"b"}\n', [(1, "a"), (2, "b")]),
        ("# mine\na dog\n", [(None, "a dog")]),
        ("[music] and a dog\n", [(None, "[music] and a dog")]),
        ("a dog, a cat\n", [(None, "a dog, a cat")]),
        ('"hello" he says, loudly\n', [(None, '"hello" he says, loudly')]),
    ],
)
def test_queries_are_read_by_what_the_list_holds(
    content: str, expected: list[tuple[int | str | None, str]]
) -> None:
    assert texts(content) == expected


@pytest.mark.parametrize("content", ['[{"query": "a"}, 3]', '[{"query": "a"', '[{"query": "a"}] x', "[1, 2]"])
def test_a_broken_array_is_refused(content: str) -> None:
    with pytest.raises(InputError):
        texts(content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("start,end,label\n1,2,dog\n", "its header has no column of queries"),
        ("filename\tonset\toffset\tevent_label\na.wav\t1\t2\tDog\n", "its header has no column of queries"),
        ("id;file;score\n1;a.wav;0.5\n", "its header has no column of queries"),
        ('/* mine */\n{"qid": 1, "query": "a"}\n', "list:2: is JSON, but the lines before it are plain text"),
        ('; mine\n\n{"qid": 1, "query": "a"}\n', "list:3: is JSON, but the lines before it are plain text"),
        ('a dog\n[{"qid": 1, "query": "a"}]\n', "list:2: is JSON, but the lines before it are plain text"),
        ("<!DOCTYPE html>\n<html>404</html>\n", "is a web page or XML"),
        ('<?xml version="1.0"?>\n<q>a dog</q>\n', "is a web page or XML"),
        ("\n  <queries><query>a dog</query></queries>\n", "is a web page or XML"),
        ("- qid: 1\n  query: a dog\n", "is YAML"),
        ("query: a dog\n", "is YAML"),
        ("---\n- a dog\n", "is YAML"),
    ],
)
def test_what_is_no_list_of_sentences_is_refused(content: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        texts(content)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "sentence",
    [
        "start, end",
        "a label, a file",
        "[music] then {applause}",
        "a dog; a file",
        "- a dog",
        "Dog: barking",
        "<3 beeps",
        "-- a dog",
    ],
)
def test_sentences_that_look_like_something_else_are_asked(sentence: str) -> None:
    assert texts(f"a cat\n{sentence}\n") == [(None, "a cat"), (None, sentence)]


@pytest.mark.parametrize("vid", [" e ieio ieai", "  two", "end "])
def test_ids_keep_their_blanks(vid: str, tmp_path: Path) -> None:
    track = Track(vid, "x", [Window(1.0, 2.0, 0.5)], qid=f" {vid}")
    (back,) = csv_moments.parse(csv_moments.render([track]), "t.csv")
    assert (back.vid, back.qid) == (track.vid, track.qid)
    table = tmp_path / "clotho.csv"
    table.write_text(f"file_name,caption_1\n{vid}.wav,wood\n", encoding="utf-8")
    assert read_table(table, {})[0].path == f"{vid}.wav"


@pytest.mark.parametrize("separator", ["\t", ";", ","])
def test_rows_without_events_are_counted(separator: str) -> None:
    rows = ["filename onset offset event_label", "a.wav 0.0 1.2 Dog", "b.wav   ", "c.wav   "]
    notices = Notices()
    text = "\n".join(row.replace(" ", separator) for row in rows)
    (track,) = csv_moments.parse(text, "t", "", notices)
    assert (track.vid, track.query) == ("a", "Dog")
    assert "2" in notices.lines()[0]


def test_tables_of_other_programs(tmp_path: Path) -> None:
    raven = tmp_path / "site.Table.1.selections.txt"
    head = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tAnnotation\n"
    raven.write_text(head + "1\tWaveform 1\t1\t0.5\t2\tbird\n1\tSpectrogram 1\t1\t0.5\t2\tbird\n")
    (track,) = read_tracks(str(raven), None, Notices())
    assert (track.vid, track.query, track.windows) == ("site", "bird", [(0.5, 2.0, None)])
    event = {"role": "foreground", "label": "siren"}
    back = {"role": "background", "label": "street"}
    data = [
        {"time": 0.0, "duration": 10.0, "value": back, "confidence": 1.0},
        {"time": 3.0, "duration": 1.0, "value": event, "confidence": 1.0},
    ]
    jams = tmp_path / "scene.jams"
    jams.write_text(json.dumps({"annotations": [{"namespace": "scaper", "data": data}]}))
    (track,) = read_tracks(str(jams), None, Notices())
    assert (track.vid, track.query, track.windows) == ("scene", "siren", [(3.0, 4.0, 1.0)])
    semicolons = tmp_path / "s.csv"
    semicolons.write_text("file_name;caption_1\np1.wav;x, y\n")
    assert read_table(semicolons, {})[0].captions == ("x, y",)
