"""Simulation recipes: our JSONL form, and the list form that Clotho-Moment publishes."""

from __future__ import annotations

import json
import random
from pathlib import Path, PurePosixPath

from amr.formats.recipes import Scene, parse_recipe_bytes, read_recipe_bytes, scene_line
from amr.simulation.published import is_published, parse_published, scenes_of

from ..target import RawMutation, Target
from ..told import tell
from ..trees import change, change_line

FOREGROUND = {
    "path": "dogs/bark 1.wav",
    "start_s": 1.5,
    "duration_s": 2.0,
    "level_db": -3.0,
    "query": "a dog barks",
    "qid": 1,
    "label": "dog",
    "clip": [0, 32000],
    "crop_start_s": 0.1,
    "fade_s": 0.01,
    "sha256": "0" * 64,
}
SCENE = {
    "amr_format": "recipe",
    "schema": 1,
    "vid": "sim_0",
    "duration_s": 60.0,
    "sample_rate_hz": 32000,
    "law": "peak",
    "background": {"path": "city/a.flac", "start_s": 0.0, "level_db": -6.0, "repeat": True, "sha256": None},
    "foregrounds": [FOREGROUND],
    "absent": [{"qid": "n1", "query": "a cow moos", "label": ""}],
    "annotation_step_s": 0.1,
    "encoding": "flac",
    "seed": 3,
    "level_keys": False,
}


def seeds() -> list[bytes]:
    example = Path(__file__).parents[2] / "data" / "recipe_small.json"
    two = [
        {**SCENE, "foregrounds": [], "absent": []},
        {**SCENE, "vid": "sim_1", "law": "power", "encoding": "wav"},
    ]
    lines = [json.dumps(scene).encode() for scene in (SCENE, *two)]
    return [*lines, b"\n".join(lines[1:]), example.read_bytes()]


def read(data: bytes, folder: Path) -> None:
    path = folder / "recipe.jsonl"
    path.write_bytes(data)
    tell(path)
    content, name = read_recipe_bytes(path)
    if is_published(content):
        scenes = [scene for there in (True, False) for scene in published(content, name, there)]
    else:
        scenes = parse_recipe_bytes(content, name)
    for scene in scenes:
        scene_line(scene).encode("utf-8")
        assert PurePosixPath(scene.vid).name == scene.vid
        for source in (scene.background.path, *(layer.path for layer in scene.foregrounds)):
            assert not PurePosixPath(source).is_absolute()
            assert ".." not in PurePosixPath(source).parts


def published(content: bytes, name: str, there: bool) -> list[Scene]:
    """The list form, where every file it names is at hand, or none."""
    return scenes_of(
        parse_published(content, name),
        name,
        offset=0,
        encoding="flac",
        has_foreground=lambda _: there,
        has_background=lambda _: there,
    )


def mutate(data: bytes, rng: random.Random, raw: RawMutation) -> bytes:
    if rng.random() < 0.4:
        return raw(data)
    if not is_published(data):
        return change_line(data, rng)
    try:
        return json.dumps(change(json.loads(data), rng)).encode()
    except ValueError:
        return raw(data)


TARGET = Target(
    read=read,
    seeds=seeds,
    modules=("amr.formats.recipes", "amr.formats.fields", "amr.formats.jsonl", "amr.simulation.published"),
    words=(b'"../', b'"/etc/', b'"law"', b'"clip"', b"1e999", b"\\u0000"),
    mutate=mutate,
    max_bytes=16384,
)
