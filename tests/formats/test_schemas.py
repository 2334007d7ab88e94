"""``docs/schemas``: what the tools print keeps to them, and they refuse what our readers refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from golden.transcript import FOLDER as TRANSCRIPTS
from jsonschema import Draft202012Validator

from amr.errors import AmrError
from amr.formats.annotations import read_annotations
from amr.formats.predictions import read_predictions
from amr.formats.queries import read_queries
from amr.formats.recipes import parse_scene

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
MARKS = {
    "prediction": "pred_relevant_windows",
    "annotation": "relevant_windows",
    "scene": "law",
    "clip": "clip",
}
"""The key by which a line of a transcript is known."""

ANNOTATION = {"qid": 1, "query": "a bell", "vid": "x", "duration": 9.0, "relevant_windows": [[1.0, 2.5]]}
PREDICTION = {"qid": "1", "query": "a bell", "vid": "x", "pred_relevant_windows": [[1.0, 2.5, 0.5]]}
QUERY = {"query": "a bell"}


@cache
def schema(name: str) -> Draft202012Validator:
    found = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def printed() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every whole JSON line of the transcripts that has a schema, with the schema's name."""
    for path in sorted(TRANSCRIPTS.glob("*.txt")):
        for line in path.read_text().splitlines():
            try:
                record = json.loads(line) if line.startswith("{") else {}
            except ValueError:  # a table of figures over several lines, or shortened
                continue
            for name, mark in MARKS.items():
                if mark in record:
                    yield name, record


@pytest.mark.parametrize("name", sorted(MARKS))
def test_what_the_tools_print_keeps_to_it(name: str) -> None:
    records = [record for kind, record in printed() if kind == name]
    assert len(records) >= 4, "the transcripts hold too few to show anything"
    for record in records:
        schema(name).validate(record)


def test_every_schema_is_tested() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == {*MARKS, "query"}


@pytest.mark.parametrize(
    ("name", "good", "changes"),
    [
        ("annotation", ANNOTATION, {"query": 3}),
        ("annotation", ANNOTATION, {"relevant_windows": [[1, 2, 3]]}),
        ("annotation", ANNOTATION, {"relevant_windows": "1-2"}),
        ("annotation", ANNOTATION, {"qid": [1]}),
        ("annotation", ANNOTATION, {"vid": ["x"]}),
        ("prediction", PREDICTION, {"pred_relevant_windows": [[1]]}),
        ("prediction", PREDICTION, {"pred_relevant_windows": [["a", 2, 0.5]]}),
        ("prediction", PREDICTION, {"pred_relevant_windows": None}),
        ("prediction", PREDICTION, {"qid": 1.5}),
        ("query", QUERY, {"query": None}),
        ("query", QUERY, {"query": ["a"]}),
    ],
)
def test_what_it_refuses_our_readers_refuse(
    tmp_path: Path, name: str, good: dict[str, Any], changes: dict[str, Any]
) -> None:
    path = tmp_path / "file.jsonl"
    readers = {"annotation": read_annotations, "prediction": read_predictions, "query": read_queries}
    path.write_text(json.dumps(good) + "\n")
    assert schema(name).is_valid(good)
    assert len(readers[name](path)) == 1
    bad = good | changes
    path.write_text(json.dumps(bad) + "\n")
    assert not schema(name).is_valid(bad)
    with pytest.raises(AmrError):
        readers[name](path)


def test_a_scene_of_another_law_is_refused_by_both() -> None:
    (scene, *_) = (record for name, record in printed() if name == "scene")
    parse_scene(scene, "here")
    for change in ({"law": "loud"}, {"duration_s": 0}, {"schema": 2}, {"background": None}):
        assert not schema("scene").is_valid(scene | change)
        with pytest.raises(AmrError):
            parse_scene(scene | change, "here")
