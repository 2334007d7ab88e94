"""Lists as other programs write them: by what their header says, three kinds of each at least."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from amr.errors import InputError
from amr.formats.annotations import read_annotations
from amr.formats.exchange.forms import read_tracks
from amr.formats.notices import Notices
from amr.formats.queries import parse_queries
from amr.simulation.tables import read_table

RAVEN = {
    "selections": (
        "site.Table.1.selections.txt",
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
        "1\tWaveform 1\t1\t0.5\t2\t0\t8000\tbird\n1\tSpectrogram 1\t1\t0.5\t2\t0\t8000\tbird\n",
        [("site", "bird", [(0.5, 2.0, None)])],
    ),
    "BirdNET": (
        "woods.BirdNET.selection.table.txt",
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tCommon Name\tSpecies Code"
        "\tConfidence\tBegin Path\n"
        "1\tSpectrogram 1\t1\t3.0\t6.0\tEurasian Wren\twinwre4\t0.81\t/data/woods.WAV\n"
        "2\tSpectrogram 1\t1\t9.0\t12.0\tEurasian Wren\twinwre4\t0.5\t/data/woods.WAV\n",
        [("woods", "Eurasian Wren", [(3.0, 6.0, 0.81), (9.0, 12.0, 0.5)])],
    ),
    "several files, one after the other": (
        "all.txt",
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tSpecies\n"
        "1\t1\t2\ta.wav\t1\towl\n2\t61\t63\tb.wav\t1\towl\n",
        [("a", "owl", [(1.0, 2.0, None)]), ("b", "owl", [(1.0, 3.0, None)])],
    ),
}
DCASE = {
    "DESED, tabs": (
        "t.tsv",
        "filename\tonset\toffset\tevent_label\nY1.wav\t0.0\t1.5\tDog\nY2.wav\t\t\t\n",
        [("Y1", "Dog", [(0.0, 1.5, None)])],
    ),
    "AudioSet, strong": (
        "t.tsv",
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\nb0RFKhbpFJA_30000\t0.1\t2\t/m/03m9d0z\n",
        [("b0RFKhbpFJA_30000", "/m/03m9d0z", [(0.1, 2.0, None)])],
    ),
    "commas and folders": (
        "t.csv",
        "file,event_onset,event_offset,event_label\naudio/street/a001.wav,1,2,car\n",
        [("a001", "car", [(1.0, 2.0, None)])],
    ),
    "a decimal comma": (
        "t.csv",
        "filename;onset;offset;event_label;confidence\na.flac;0,5;1,5;car;0,25\n",
        [("a", "car", [(0.5, 1.5, 0.25)])],
    ),
    "TUT, without a header": (
        "a001.ann",
        "0.5\t1.5\tcar\n2.0\t3.0\tcar\n",
        [("a001", "car", [(0.5, 1.5, None), (2.0, 3.0, None)])],
    ),
}


@pytest.mark.parametrize("case", [*RAVEN, *DCASE])
def test_tables_of_events(case: str, tmp_path: Path) -> None:
    name, text, expected = {**RAVEN, **DCASE}[case]
    (tmp_path / name).write_text(text)
    tracks = read_tracks(str(tmp_path / name), None, Notices())
    assert [(track.vid, track.query, track.windows) for track in tracks] == expected


@pytest.mark.parametrize(
    ("header", "missing"),
    [("Selection\tBegin Time (s)\tEnd Time (s)", "query"), ("onset,offset,event_label", "vid")],
)
def test_a_table_that_lacks_something_says_what(header: str, missing: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n1,2,3\n")
    with pytest.raises(InputError, match=f"the header has no column {missing}"):
        read_tracks(str(path), None, Notices())


def event(role: str, label: str, start_s: float, length_s: float) -> dict[str, Any]:
    return {"time": start_s, "duration": length_s, "value": {"role": role, "label": label}, "confidence": 1.0}


SCAPER = {
    "one event": (
        [event("background", "street", 0, 10), event("foreground", "siren", 3, 1)],
        {"siren": [(3, 4)]},
    ),
    "of one label twice": (
        [event("foreground", "dog", 1, 0.5), event("foreground", "dog", 5, 0.1)],
        {"dog": [(1, 1.5), (5, 5.1)]},
    ),
    "two labels": (
        [
            event("foreground", "dog", 1, 1),
            event("background", "park", 0, 9),
            event("foreground", "car", 0, 3),
        ],
        {"dog": [(1, 2)], "car": [(0, 3)]},
    ),
    "a background alone": ([event("background", "park", 0, 9)], {}),
}


@pytest.mark.parametrize("case", SCAPER)
def test_scenes_of_scaper(case: str, tmp_path: Path) -> None:
    data, expected = SCAPER[case]
    path = tmp_path / "scene.jams"
    path.write_text(json.dumps({"annotations": [{"namespace": "scaper", "data": data}], "sandbox": {}}))
    tracks = read_tracks(str(path), None, Notices())
    assert {track.query: [window[:2] for window in track.windows] for track in tracks} == expected
    assert {track.vid for track in tracks} <= {"scene"}


@pytest.mark.parametrize(
    ("text", "captions"),
    [
        ("file_name;caption_1;caption_2\na.wav;x, y;z\n", ("x, y", "z")),
        ("file;captions\na.wav;one|two\n", ("one", "two")),
        ('filename;label;caption\na.wav;dog;"a ; b"\n', ("a ; b",)),
        ("\ufefffile\tcaption\na.wav\ta, b; c\n", ("a, b; c",)),
    ],
)
def test_sources_between_semicolons_and_tabs(text: str, captions: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text(text, encoding="utf-8")
    (row,) = read_table(path, {})
    assert (row.path, row.captions) == ("a.wav", captions)


LINES = [
    '{"qid": 1, "query": "a dog", "vid": "x", "relevant_windows": [[1, 2]]}',
    '{"qid": "b", "query": "é", "vid": "y", "relevant_windows": []}',
]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LINES),
        f"[{LINES[0]},\n{LINES[1]}]\n",
        f"\ufeff[\n  {LINES[0]},\n  {LINES[1]}\n]",
        f"# mine\n\n{LINES[0]}\r\n// more\n{LINES[1]}\r\n",
        json.dumps([json.loads(line) for line in LINES], indent=2),
    ],
)
def test_annotations_and_queries_as_lines_arrays_and_with_remarks(text: str, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(text, encoding="utf-8")
    found = read_annotations(path)
    assert [(each.qid, each.query, each.vid) for each in found] == [(1, "a dog", "x"), ("b", "é", "y")]
    queries = list(parse_queries(io.BytesIO(text.encode()), "list"))
    assert [(each.qid, each.text, each.vid) for each in queries] == [(1, "a dog", "x"), ("b", "é", "y")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,a dog\n2,a cat\n", "is a table without a header"),
        ("a.wav;a dog\n", "is a table without a header"),
        ("7\ta dog\n", "is a table without a header"),
        ("qid|query\n1|a dog\n", "separated by something else"),
        ("| qid | query |\n|---|---|\n| 1 | a dog |\n", "separated by something else"),
        ("qid   query\n1     a dog\n", "separated by something else"),
        ("[queries]\nfirst = a dog\n", "is a setting"),
        ('queries = ["a dog"]\n', "is a setting"),
        ("1\n00:00:01,000 --> 00:00:02,000\na dog\n", "holds no word"),
        ("a title\n00:00:01.000 --> 00:00:02.000\na dog\n", "is a subtitle"),
        ("%PDF-1.4\n1 0 obj\n", "is a PDF"),
        ("PK\x03\x04\x14\0\x06\0", "is a spreadsheet"),
        ("a dog\n----\na cat\n", "holds no word"),
        ("\ufeffa dog\n".encode("utf-16-le"), "is UTF-16 text"),
        ("qid,query\n1,a dog\n".encode("utf-16"), "is UTF-16 text"),
        ("\ufeff[]\n".encode("utf-16-be"), "is UTF-16 text"),
        ("qid,query,duration\n1,a dog,NaN\n", "the duration is 'NaN', expected seconds"),
        ("qid,query,duration\n1,a dog,1_0\n", "the duration is '1_0', expected seconds"),
    ],
)
def test_what_is_no_list_of_queries_is_not_asked_line_by_line(text: str | bytes, says: str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InputError, match=says):
        list(parse_queries(io.BytesIO(data), "list"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sep=;\nqid;query\n1;a dog, barking\n", ["a dog, barking"]),
        ('"sep=,"\r\nqid,query\r\n1,a dog\r\n', ["a dog"]),
        ("1. a dog\n2. a cat\n", ["a dog", "a cat"]),
        ("- a dog\n\n- a cat\n", ["a dog", "a cat"]),
        ("• a dog\nfire - crackling\n", ["a dog", "fire - crackling"]),
        ("a dog\n- far away\n", ["a dog", "- far away"]),
        ("[laughter]\n2 dogs, barking\n", ["[laughter]", "2 dogs, barking"]),
    ],
)
def test_how_people_write_lists_of_queries(text: str, expected: list[str]) -> None:
    assert [query.text for query in parse_queries(io.BytesIO(text.encode()), "list")] == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "filename,onset,offset,event_label\na.wav,-1,1,dog\n"),
        ("t.rttm", "SPEAKER a 1 -1 1.5 <NA> <NA> dog <NA> <NA>\n"),
        ("t.txt", "-1.5\t2.0\tdog\n"),
        ("t.jsonl", '{"qid":1,"query":"dog","vid":"a","relevant_windows":[[-1,2]]}\n'),
    ],
)
def test_a_negative_start_is_reported_of_every_form(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    notices = Notices()
    [track] = read_tracks(str(tmp_path / name), None, notices)
    assert track.windows[0].start_s < 0
    assert notices.count("window begins before its recording") == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a.wav,1,2,dog, barking", "has 5 cells, the header has 4"),
        ("a.wav,1,2,3,4,dog", "has 6 cells, the header has 4"),
        ("a.wav,1,5,2,5,dog", "has 6 cells, the header has 4"),
        ("a.wav,1_0,2_0,dog", "start is '1_0', expected seconds"),
    ],
)
def test_a_row_that_does_not_fit_its_header_is_refused(row: str, says: str, tmp_path: Path) -> None:
    """A comma without quotes would cut a label, or make other times."""
    path = tmp_path / "t.csv"
    path.write_text(f"filename,onset,offset,event_label\n{row}\n")
    with pytest.raises(InputError, match=says):
        read_tracks(str(path), None, Notices())
    path.write_text("filename,onset,offset,event_label\na.wav,1,2,dog,, \n")
    assert len(read_tracks(str(path), None, Notices())) == 1


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_a_table_with_a_name_in_both_forms_is_of_one_recording(
    forms: tuple[Any, Any], tmp_path: Path
) -> None:
    names = [unicodedata.normalize(form, "Vögel.wav") for form in forms]
    rows = "".join(f"{name},{at},{at + 1},dog\n" for at, name in enumerate(names))
    (tmp_path / "t.csv").write_text("filename,onset,offset,event_label\n" + rows)
    [track] = read_tracks(str(tmp_path / "t.csv"), None, Notices())
    assert track.vid == names[0].removesuffix(".wav")
    assert len(track.windows) == 2
