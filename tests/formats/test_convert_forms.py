"""File forms of other tools: what is written comes back, what others write is read, what is wrong is told."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.errors import InputError, UsageError
from amr.formats.exchange import audacity, jams, rttm
from amr.formats.exchange import csv as csv_moments
from amr.formats.exchange.forms import FORMS, form_of, read_tracks, render_files
from amr.formats.exchange.tracks import Track, Window, file_stem, identified, plain
from amr.formats.notices import Notices

MILLISECONDS = st.integers(0, 10_000_000).map(lambda value: value / 1000)
LENGTHS = st.integers(1, 100_000).map(lambda value: value / 1000)
SCORES = st.floats(0, 1).map(lambda value: round(value, 4))
WORDS = st.text(min_size=1, max_size=30).map(plain).filter(bool)
VIDS = st.text(string.ascii_letters + string.digits + "-_. %ü", min_size=1, max_size=12).filter(str.strip)
WINDOWS = st.builds(
    lambda start, length, score: Window(start, start + length, score), MILLISECONDS, LENGTHS, SCORES
)


@st.composite
def many_tracks(draw: st.DrawFn, vids: st.SearchStrategy[str] = VIDS) -> list[Track]:
    """Tracks as a file can hold them: a query once a recording, ids of both types, at least one window."""
    names = draw(
        st.lists(st.tuples(vids.map(str.strip).filter(bool), WORDS), min_size=1, max_size=4, unique=True)
    )
    ids = draw(st.lists(st.integers(0, 99) | WORDS | st.just("7"), min_size=4, max_size=4, unique_by=repr))
    return [
        Track(vid, query, draw(st.lists(WINDOWS, min_size=1, max_size=4)), qid)
        for (vid, query), qid in zip(names, ids, strict=False)
    ]


def rounded(window: Window) -> tuple[float, float]:
    return round(window.start_s, 5), round(window.end_s, 5)


def spans(tracks: list[Track]) -> dict[tuple[str, str], list[tuple[float, float]]]:
    return {(track.vid, track.query): sorted(map(rounded, track.windows)) for track in tracks}


@given(many_tracks())
@settings(max_examples=70)
def test_csv_comes_back_whole(tracks: list[Track]) -> None:
    back = csv_moments.parse(csv_moments.render(tracks), "x.csv")
    assert spans(back) == spans(tracks)
    assert [track.qid for track in back] == [track.qid for track in tracks]
    assert [sorted(w.score or 0 for w in t.windows) for t in back] == [
        sorted(w.score or 0 for w in t.windows) for t in tracks
    ]


@given(many_tracks())
@settings(max_examples=70)
def test_rttm_comes_back_but_for_ids(tracks: list[Track]) -> None:
    text = rttm.render(tracks)
    assert all(len(line.split()) == 10 for line in text.splitlines())
    assert spans(rttm.parse(text, "x.rttm")) == spans(tracks)


@given(many_tracks(st.just("street")))
@settings(max_examples=70)
def test_audacity_comes_back_but_for_ids_and_scores(tracks: list[Track]) -> None:
    text = audacity.render(tracks)
    assert text.count("\n") == sum(len(track.windows) for track in tracks)
    assert spans(audacity.parse(text, "street.txt", "street")) == spans(tracks)


@given(many_tracks(st.just("street")))
@settings(max_examples=70)
def test_jams_comes_back_whole(tracks: list[Track]) -> None:
    back = jams.parse(jams.render(tracks, "street"), "x.jams", "other")
    assert spans(back) == spans(tracks)
    assert [track.qid for track in back] == [track.qid for track in tracks]


def test_corrected_labels_get_their_ids_back() -> None:
    known = [
        Track("street", "a dog\tbarks", [Window(1, 2, 0.5)], 7, 60.0),
        Track("street", "birds", [Window(1, 2, 0.5)], "b", 60.0, where="p:2"),
    ]
    corrected = audacity.parse(
        "1.5\t2.5\ta dog barks\n8\t9\ta dog barks\n3\t4\ta cat\n", "street.txt", "street"
    )
    notices = Notices()
    dog, cat = identified(corrected, known, notices)
    assert (dog.qid, dog.query, dog.duration_s) == (7, "a dog\tbarks", 60.0)
    assert dog.windows == [(1.5, 2.5, None), (8, 9, None)]
    assert cat.qid == "street_1"
    assert notices.lines() == [
        "street.txt:3: label that --ids does not know, given a new id",
        "p:2: query of --ids without a label, left out",
    ]


def test_new_ids_meet_no_old_ones() -> None:
    known = [Track("v", "x", [], "v_1")]
    found = identified([Track("v", "y", [Window(0, 1)]), Track("v", "z", [Window(0, 1)])], known, Notices())
    assert [track.qid for track in found] == ["v_2", "v_3"]


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("1.0\t2.0\tdog\r\n", ["dog"]),
        ("1,5\t2,5\tdog\n", ["dog"]),
        ("1\t2\tdog\n\\\t100\t2000\n3\t4\tcat\n\n", ["dog", "cat"]),
        ("1\t2\ta\tb\n", ["a b"]),
    ],
)
def test_audacity_as_it_is_found(text: str, queries: list[str]) -> None:
    assert [track.query for track in audacity.parse(text, "v.txt", "v")] == queries


def test_tables_of_others_are_read() -> None:
    text = "filename\tonset\toffset\tevent_label\naudio/Y1.wav\t0.5\t2.0\tSpeech\nY1.wav\t3\t4\tSpeech\n"
    (track,) = csv_moments.parse(text, "x.tsv")
    assert (track.vid, track.query, track.windows) == ("Y1", "Speech", [(0.5, 2, None), (3, 4, None)])
    semicolons = "recording;start;end;label;score\nv;0,5;2,25;a, b;0,9\n"
    assert csv_moments.parse(semicolons, "x.csv")[0].windows == [(0.5, 2.25, 0.9)]


def test_rttm_of_others_is_read() -> None:
    text = (
        "SPKR-INFO f 1 <NA> <NA> <NA> unknown s <NA> <NA>\nSPEAKER f 1 1.50 2.00 <NA> <NA> FEO_1 <NA> <NA>\n"
    )
    assert rttm.parse(text, "x")[0].windows == [(1.5, 3.5, None)]


@pytest.mark.parametrize(
    ("form", "text", "words"),
    [
        ("audacity", "dog at 3\n", "x:1: 'dog at 3' is not a label"),
        ("audacity", "1\t1\tdog\n", "x:1: a label from 1 to 1 s has no length"),
        ("audacity", "1\t2\t\n", "x:1: the label has no text"),
        ("audacity", "one\t2\tdog\n", "x:1: start is 'one'"),
        ("csv", "", "the header has no column vid"),
        ("csv", "vid,query,start_s\n", "no column end_s (end, offset, stop, end time (s), "),
        ("csv", "vid,query,start,end\n,a,1,2\n", "x:2: the row has no recording or no text"),
        ("csv", "vid,query,start,end\nv,a,1,nan\n", "x:2: end is 'nan'"),
        ("csv", "vid,query,start,end\nv,a,2,1\n", "x:2: a label from 2 to 1 s"),
        ("csv", 'vid,query,start,end\n"v,a,2,1\n', "is not a table"),
        ("rttm", "SPEAKER v 1 1.0\n", "x:1: has 4 fields"),
        ("jams", "{", "is not JSON"),
        ("jams", "[]", "is not a JAMS file"),
        ("jams", '{"annotations": [{}]}', "no list 'data'"),
        ("jams", '{"annotations": [{"data": [{"value": "a"}]}]}', "key 'time' is missing"),
    ],
)
def test_what_is_wrong_is_told(form: str, text: str, words: str) -> None:
    parse = {
        "audacity": lambda: audacity.parse(text, "x", "v"),
        "csv": lambda: csv_moments.parse(text, "x"),
        "rttm": lambda: rttm.parse(text, "x"),
        "jams": lambda: jams.parse(text, "x", "v"),
    }[form]
    with pytest.raises(InputError) as error:
        parse()
    assert words in str(error.value)


@pytest.mark.parametrize("vid", ["../x", "a\\b", ".hidden", "", " ", "a\nb", "x" * 201])
def test_ids_that_lead_elsewhere_name_no_file(vid: str) -> None:
    with pytest.raises(InputError):
        file_stem(vid)


@pytest.mark.parametrize("form", ["audacity", "jams"])
def test_forms_of_one_recording_are_split(form: str) -> None:
    tracks = [
        Track("a", "x", [Window(0, 1)]),
        Track("b", "y", [Window(2, 3)]),
        Track("a", "z", [Window(4, 5)]),
    ]
    files = render_files(tracks, form)
    assert list(files) == ["a", "b"]
    assert "z" in files["a"]
    assert FORMS[form].holds_one


def test_jsonl_is_told_by_its_keys(tmp_path: Path) -> None:
    records = [
        {
            "qid": 1,
            "query": "q",
            "vid": "v",
            "pred_relevant_windows": [[5, 6, 0.1], [1, 2, 0.9], [3, 3, 0.5]],
        },
        {"qid": 2, "query": "q", "vid": "v", "pred_relevant_windows": [[1, 2]]},
        {"qid": 3, "query": "q", "vid": "v", "duration": 9, "relevant_windows": [[1, 2]]},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, records)))
    notices = Notices()
    first, second, third = read_tracks(str(tmp_path / "x.jsonl"), "jsonl", notices)
    assert first.ranked == [(1, 2, 0.9), (5, 6, 0.1)]
    assert first.by_time == [(1, 2, 0.9), (5, 6, 0.1)]
    assert second.windows == third.windows == [(1, 2, None)]
    assert third.duration_s == 9
    assert len(notices.lines()) == 1
    back = [json.loads(line) for line in FORMS["predictions"].render([first, second]).splitlines()]
    assert back[0]["pred_relevant_windows"] == [[1, 2, 0.9], [5, 6, 0.1]]
    assert back[1]["pred_relevant_windows"] == [[1, 2]]


def test_endings_say_the_form() -> None:
    assert [form_of(name) for name in ("-", "a.JSONL", "b.txt", "c.tsv", "d.jams")] == [
        "jsonl",
        "jsonl",
        "audacity",
        "csv",
        "jams",
    ]
    with pytest.raises(UsageError):
        form_of("x.docx")


JAMS = '{"file_metadata": {"duration": %s}, "annotations": [{"data": [%s]}]}'
NO_NUMBERS = {
    "csv": ("csv", "vid,query,start_s,end_s,score\nx,a,1,2,%s\n", ["nan", "NaN", "", " "]),
    "rttm": ("rttm", "SPEAKER x 1 1 1 <NA> <NA> a %s <NA>\n", ["nan", "NaN", "<NA>"]),
    "jams": (
        "jams",
        JAMS % ("9", '{"time": 1, "duration": 1, "value": "a", "confidence": %s}'),
        ["NaN", "null", "Infinity"],
    ),
    "jsonl": (
        "jsonl",
        '{"qid": 1, "query": "a", "vid": "x", "pred_relevant_windows": [[1, 2, %s]]}\n',
        ["NaN", "Infinity", "-Infinity"],
    ),
}


@pytest.mark.parametrize(("form", "score"), [(f, score) for f in NO_NUMBERS for score in NO_NUMBERS[f][2]])
def test_a_score_that_is_no_number_is_none(form: str, score: str, tmp_path: Path) -> None:
    source = tmp_path / f"x.{form}"
    source.write_text(NO_NUMBERS[form][1] % score)
    notices = Notices()
    [track] = read_tracks(str(source), NO_NUMBERS[form][0], notices)
    assert track.windows == [Window(1, 2, None)]
    assert ("score is not a finite number" in str(notices.lines())) == (form == "jsonl")
    for to in ("csv", "rttm", "jams"):
        assert "nan" not in FORMS[to].render([track]).lower()


@pytest.mark.parametrize("place", ['"time": NaN, "duration": 1', '"time": 1, "duration": Infinity'])
def test_a_time_of_jams_that_is_no_number_is_refused(place: str) -> None:
    with pytest.raises(InputError, match="expected finite numbers"):
        jams.parse(JAMS % ("9", f'{{{place}, "value": "a"}}'), "x.jams", "x")


@pytest.mark.parametrize("length", ["NaN", "Infinity", "null"])
def test_a_length_of_jams_that_is_no_number_is_none(length: str) -> None:
    text = JAMS % (length, '{"time": 1, "duration": 1, "value": "a"}')
    assert jams.parse(text, "x.jams", "x")[0].duration_s is None
