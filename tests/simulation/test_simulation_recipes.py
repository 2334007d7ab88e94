"""Recipe files: what comes back, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.errors import InputError
from amr.formats.recipes import (
    AbsentQuery,
    BackgroundLayer,
    ForegroundLayer,
    Scene,
    check_name,
    check_relative,
    parse_recipe_bytes,
    parse_scene,
    scene_line,
)
from amr.simulation.annotate import annotate

SCENE = Scene(
    vid="sim-00000",
    duration_s=60.0,
    sample_rate_hz=32000,
    law="power",
    background=BackgroundLayer("bg/städtisch.flac", 3.0, -20.0, sha256="0" * 64),
    foregrounds=(
        ForegroundLayer("fg/a b.wav", 1.25, 2.0, 0.5, "a dog", "q1", "dog", (0, 100), 0.5, 0.01, "1" * 64),
        ForegroundLayer("fg/c.wav", 9.0, 2.0, 0.5),
        ForegroundLayer("fg/d.wav", 3.25, 2.0, 0.5, "a dog", "q1", "dog"),
        ForegroundLayer("fg/d.wav", 59.97, 0.03, 0.5, "a dog", "q1", "dog"),
        ForegroundLayer("fg/e.wav", 7.0, 0.02, 0.5, "a cat", 2),
    ),
    absent=(AbsentQuery("q3", "a horse", "horse"),),
    seed=4,
)


def record(**changes: Any) -> dict[str, Any]:
    """The scene's object; keys with a dot change an inner object, ``None`` under ``drop`` removes."""
    made: dict[str, Any] = json.loads(scene_line(SCENE))
    for key, value in changes.items():
        target = made
        for part in key.split("__")[:-1]:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if value is DROP:
            del target[key.split("__")[-1]]
        else:
            target[key.split("__")[-1]] = value
    return made


DROP = object()


def test_a_scene_comes_back_from_its_line() -> None:
    assert parse_recipe_bytes(scene_line(SCENE).encode("utf-8"), "r") == [SCENE]
    assert scene_line(SCENE).endswith("}\n")
    assert "städtisch" in scene_line(SCENE)


def test_annotations_unite_touching_sounds_and_keep_to_the_recording() -> None:
    made = [annotation.record() for annotation in annotate(SCENE)]
    assert [(r["qid"], r["relevant_windows"]) for r in made] == [
        ("q1", [[1.2, 5.2], [59.9, 60.0]]),
        (2, [[7.0, 7.1]]),
        ("q3", []),
    ]
    assert [r.get("label") for r in made] == ["dog", None, "horse"]
    assert made[0]["duration"] == 60
    assert isinstance(made[0]["duration"], int)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amr_format": "features"}, "not a recipe of schema 1"),
        ({"schema": 2}, "not a recipe of schema 1"),
        ({"vid": DROP}, "'vid' is missing"),
        ({"vid": "../x"}, "cannot be the name"),
        ({"vid": "a/b"}, "cannot be the name"),
        ({"vid": ".hidden"}, "cannot be the name"),
        ({"vid": ""}, "cannot be the name"),
        ({"vid": "x" * 201}, "cannot be the name"),
        ({"vid": "a\nb"}, "cannot be the name"),
        ({"law": "loud"}, "expected peak or power"),
        ({"encoding": "mp3"}, "expected flac or wav"),
        ({"duration_s": 0}, "greater than 0"),
        ({"duration_s": 1e9}, "expected a number from 0"),
        ({"duration_s": float("nan")}, "expected a number"),
        ({"duration_s": "60"}, "is a string"),
        ({"sample_rate_hz": 32000.5}, "expected an integer"),
        ({"sample_rate_hz": 0}, "expected an integer"),
        ({"background": []}, "expected an object"),
        ({"background__path": "/etc/passwd"}, "outside its source folder"),
        ({"background__path": "a/../../b.wav"}, "outside its source folder"),
        ({"background__sha256": "abc"}, "not 64 hexadecimal"),
        ({"background__start_s": -1}, "'start_s' is -1"),
        ({"foregrounds": {}}, "list of objects"),
        ({"foregrounds__0__path": "..\\x.wav"}, "outside its source folder"),
        ({"foregrounds__0__path": "./"}, "names no file"),
        ({"foregrounds__0__start_s": 59.0}, "would sound until 61"),
        ({"foregrounds__0__duration_s": 0}, "greater than 0"),
        ({"foregrounds__0__level_db": 1e6}, "'level_db' is 1000000.0"),
        ({"foregrounds__0__clip": [5, 5]}, "two sample numbers"),
        ({"foregrounds__0__query": None}, "go together"),
        ({"foregrounds__0__query": "another"}, "has two queries"),
        ({"foregrounds__0__qid": True}, "expected an integer or a string"),
        ({"absent__0__query": ""}, "a query is empty"),
        ({"seed": -1}, "'seed' is -1"),
    ],
)
def test_a_broken_scene_is_refused_with_its_line(changes: dict[str, Any], message: str) -> None:
    lines = scene_line(SCENE).replace("sim-00000", "other").replace("q1", "p1").replace("q3", "p3")
    lines = lines.replace('"qid": 2', '"qid": 9') + json.dumps(record(**changes)) + "\n"
    with pytest.raises(InputError, match=message) as failure:
        parse_recipe_bytes(lines.encode("utf-8"), "r.jsonl")
    assert failure.value.where == "r.jsonl:2"


def test_ids_that_stand_twice_and_empty_files_are_refused() -> None:
    twice = scene_line(SCENE) + json.dumps(record(foregrounds=[], absent=[])) + "\n"
    with pytest.raises(InputError, match="'sim-00000' is here and on line 1"):
        parse_recipe_bytes(twice.encode("utf-8"), "r")
    twice = scene_line(SCENE) + json.dumps(record(vid="other")) + "\n"
    with pytest.raises(InputError, match="qid 2 is here and on line 1"):
        parse_recipe_bytes(twice.encode("utf-8"), "r")
    with pytest.raises(InputError, match="holds no scene"):
        parse_recipe_bytes(b"\n", "r")


def test_names_of_the_field_are_safe() -> None:
    for name in ("--0w1YA1Hm4", "Venice_4.0_64.0", "a002_60_120", "été"):
        assert check_name(name, "") == name
    for path in ("a b/..c/Paper_Parchment (1).wav", "~x.wav", ".tmp/valid/fg/a.wav", "dog...wav"):
        assert check_relative(path, "") == path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    *[(key,) for key in json.loads(scene_line(SCENE))],
    *[("background", key) for key in json.loads(scene_line(SCENE))["background"]],
    *[("foregrounds", 0, key) for key in json.loads(scene_line(SCENE))["foregrounds"][0]],
    *[("absent", 0, key) for key in json.loads(scene_line(SCENE))["absent"][0]],
]


@settings(max_examples=300)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_no_value_anywhere_gives_anything_but_a_scene_or_an_explained_error(
    place: tuple[str | int, ...], value: object
) -> None:
    made = json.loads(scene_line(SCENE))
    target = made
    for part in place[:-1]:
        target = target[part]
    target[place[-1]] = value
    try:
        scene = parse_scene(made, "r:1")
    except InputError:
        return
    assert parse_recipe_bytes(scene_line(scene).encode("utf-8"), "r") == [scene]
    assert list(annotate(scene))
