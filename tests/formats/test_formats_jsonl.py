"""JSONL at the door: every wrong line is named by file and line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.errors import InputError, UsageError
from amr.formats.annotations import Annotation, parse_annotation, read_annotations
from amr.formats.jsonl import parse_lines, read_objects, write_objects
from amr.formats.notices import Notices
from amr.formats.predictions import Prediction, parse_prediction, read_predictions
from amr.formats.queries import from_texts, read_queries

GOOD = {
    "qid": "a_1",
    "query": "a dog",
    "duration": 60,
    "vid": "Venice_4.0_64.0",
    "relevant_windows": [[3, 9]],
}


def lines(data: bytes) -> list[tuple[int, dict[str, object]]]:
    return list(parse_lines(io.BytesIO(data), "x.jsonl"))


def test_blank_lines_count_but_are_passed_over() -> None:
    assert lines(b'\xef\xbb\xbf{"a":1}\n\n  \n{"b":2}') == [(1, {"a": 1}), (4, {"b": 2})]


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (b'{"a":1}\n{"a":', "x.jsonl:2", "cut off"),
        (b"hello", "x.jsonl:1", "is not JSON"),
        (b"[1]", "x.jsonl:1", "a number"),
        (b"null", "x.jsonl:1", "null"),
        (b'{"a": "\xff"}', "x.jsonl:1", "UTF-8"),
        (b"{'a': 1}", "x.jsonl:1", "is not JSON"),
        (b"[" * 100_000, "x.jsonl:1", "is not JSON"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "x.jsonl:1", "is not JSON"),
        (b"\x89HDF\r\n", "x.jsonl:1", "UTF-8"),
    ],
)
def test_a_wrong_line_is_named(data: bytes, where: str, what: str) -> None:
    with pytest.raises(InputError) as caught:
        lines(data)
    assert caught.value.where == where
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"qid": None}, "'qid' is null"),
        ({"qid": True}, "'qid' is a boolean"),
        ({"qid": 1.5}, "'qid' is a number"),
        ({"query": 7}, "'query' is a number"),
        ({"duration": "60"}, "'duration' is a string"),
        ({"vid": ["x"]}, "'vid' is a list"),
        ({"relevant_windows": None}, "'relevant_windows' is null"),
        ({"relevant_windows": [[1, 2, 3]]}, "window 1 has 3 values, expected 2"),
        ({"relevant_windows": [[1, 2], 3]}, "window 2 has a number"),
        ({"relevant_windows": [["1", 2]]}, "window 1 is a string"),
        ({"relevant_windows": [[1, 10**400]]}, "too large"),
    ],
)
def test_an_annotation_of_wrong_type_is_refused(change: dict[str, object], what: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_annotation({**GOOD, **change}, "gt.jsonl:7")
    assert str(caught.value).startswith("gt.jsonl:7: ")
    assert what in caught.value.what


@pytest.mark.parametrize("key", sorted(GOOD))
def test_a_missing_key_is_named_with_the_keys_there_are(key: str) -> None:
    record = {k: v for k, v in GOOD.items() if k != key}
    if key == "duration":
        assert parse_annotation(record, "f:1").duration_s is None
        return
    with pytest.raises(InputError, match=f"key '{key}' is missing") as caught:
        parse_annotation(record, "f:1")
    assert all(other in caught.value.what for other in record)


def test_quirks_are_kept_as_read_and_the_clean_view_is_clean() -> None:
    windows = [[40, 50.5], [9, 3], [5, 5], [float("nan"), 2], [1, 99]]
    notices = Notices()
    annotation = parse_annotation(
        {**GOOD, "qid": 7, "relevant_windows": windows, "fg_dB": 1.5}, "f:1", notices
    )
    assert annotation.qid == 7
    assert annotation.record()["fg_dB"] == 1.5
    assert [w[0] for w in annotation.windows[:2]] == [40, 9]
    assert annotation.moments == [(1, 99), (40, 50.5)]
    assert notices.count("window of no length or inverted") == 2
    assert notices.count("window ends after its recording") == 1
    assert notices.count("window with a value that is not a number") == 1
    assert notices.lines()[0].startswith("f:1: window of no length or inverted (2 times")


ids = st.one_of(st.integers(), st.text(min_size=1))
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=60)
@given(
    ids, st.text(), st.text(min_size=1), st.lists(st.tuples(finite, finite)), st.dictionaries(st.text(), ids)
)
def test_an_annotation_survives_the_round_trip(
    qid: int | str, query: str, vid: str, windows: list[tuple[float, float]], extra: dict[str, object]
) -> None:
    extra = {k: v for k, v in extra.items() if k not in GOOD}
    before = Annotation(qid, query, vid, 60.0, [list(w) for w in windows], "x:1", extra)
    out = io.StringIO()
    write_objects(out, [before.record()])
    [(number, record)] = parse_lines(io.BytesIO(out.getvalue().encode("utf-8", "surrogatepass")), "x")
    assert parse_annotation(record, f"x:{number}") == before


def test_scoreless_windows_get_their_rank_as_score() -> None:
    record = {"qid": 1, "pred_relevant_windows": [[5, 9], [1, 2], [3, 4]]}
    prediction = parse_prediction(record, "p:1")
    assert not prediction.has_scores
    assert [w[2] for w in prediction.windows] == [1, 1 / 2, 1 / 3]
    assert prediction.record()["pred_relevant_windows"] == [[5, 9], [1, 2], [3, 4]]


def test_mixed_scores_are_refused() -> None:
    with pytest.raises(InputError, match="some windows have a score and some have none"):
        parse_prediction({"qid": 1, "pred_relevant_windows": [[5, 9, 0.5], [1, 2]]}, "p:1")


def test_a_prediction_survives_the_round_trip() -> None:
    before = Prediction(3, "q", "v", [[1.0, 2.0, 0.5]], 60.0, [0.0, 1.0], True, "p:1", {"x": None})
    assert parse_prediction(json.loads(json.dumps(before.record())), "p:1") == before


def test_empty_files_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    for read in (read_annotations, read_predictions, read_queries):
        with pytest.raises(InputError, match="holds no"):
            read(empty)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_objects(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="is a folder"):
        list(read_objects(tmp_path))


def test_a_terminal_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(UsageError, match="terminal"):
        list(read_objects("-"))


def test_queries_as_plain_text_and_as_jsonl(tmp_path: Path) -> None:
    plain = tmp_path / "q.txt"
    plain.write_text("\ufeffdog barking\n\n  ein Hund bellt  \n", encoding="utf-8")
    assert [(q.text, q.where) for q in read_queries(plain)] == [
        ("dog barking", f"{plain}:1"),
        ("ein Hund bellt", f"{plain}:3"),
    ]
    jsonl = tmp_path / "q.jsonl"
    jsonl.write_text('\n{"query": "a", "qid": 3}\n' + json.dumps({**GOOD, "note": "x"}) + "\n")
    first, second = read_queries(jsonl)
    assert (first.text, first.qid, first.vid, first.where) == ("a", 3, None, f"{jsonl}:2")
    assert (second.vid, second.duration_s, second.extra) == ("Venice_4.0_64.0", 60, {"note": "x"})


@pytest.mark.parametrize("text", ["", "   ", "a\x1b[31m"])
def test_a_query_without_words_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="printable sentence"):
        from_texts([text])
