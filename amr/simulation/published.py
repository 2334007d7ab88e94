"""The recipes that were published with Clotho-Moment (list-form JSON) as scenes.

They hold no sample rate, law or seed: those are the released generator's (32 kHz, law ``peak``). Their paths
are relative to the generator's work folder: ``.tmp/valid/fg/NAME.wav`` is a trimmed clip, and
``.tmp/valid/bg/VIDEO/0.0_60.0.wav`` a cut background. Where those are not at hand, the same scene is made
from the originals ``NAME.wav`` and ``VIDEO.wav``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from amr.errors import InputError
from amr.formats import fields
from amr.formats.jsonl import json_type, refuse_half_characters
from amr.formats.recipes import (
    BackgroundLayer,
    ForegroundLayer,
    Scene,
    check_name,
    check_query,
    check_relative,
    check_scene,
)
from amr.formats.untrusted.bounds import MOST_RECIPE_BYTES, require_length

DURATION_S = 60.0
SAMPLE_RATE_HZ = 32_000
TEST_BACKGROUNDS = frozenset({"Wildlife", "Istanbul"})
TEST_QUERIES = 6649
TEST_QID_OFFSET = 37612
"""The published test recipe counts its qids from 0, the released test annotations from here on."""
CUT_NAME = re.compile(r"(.+)/(\d+(?:\.\d+)?)_(\d+(?:\.\d+)?)\.\w+")
HasFile = Callable[[str], bool]


def is_published(data: bytes) -> bool:
    """Whether a recipe's bytes are of the list form rather than JSONL."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["


def parse_published(data: bytes, name: str) -> list[dict[str, Any]]:
    """The entries of a list-form recipe.

    Raises:
        InputError: it is too long, not JSON, holds half of a character, or is not a list of objects.
    """
    require_length(data, name, MOST_RECIPE_BYTES)
    try:
        entries = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", where=name) from error
    if not isinstance(entries, list) or not entries:
        raise InputError("is an empty list, expected scenes", where=name)
    refuse_half_characters(entries, name)
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(f"is {json_type(entry)}, expected an object", where=f"{name}: scene {index + 1}")
    return entries


def qid_offset(entries: list[dict[str, Any]]) -> int:
    """What makes the qids the released annotations': not 0 for the published test recipe."""
    backgrounds = {str(entry.get("name", "")).split("_")[0] for entry in entries}
    qids = [fg.get("qid") for entry in entries for fg in _sounds(entry) if isinstance(fg, dict)]
    is_test = backgrounds == TEST_BACKGROUNDS and qids == list(range(TEST_QUERIES))
    return TEST_QID_OFFSET if is_test else 0


def scenes_of(
    entries: list[dict[str, Any]],
    name: str,
    *,
    offset: int,
    encoding: str,
    has_foreground: HasFile,
    has_background: HasFile,
) -> list[Scene]:
    """The scenes of a published recipe; ids are strings of at least five digits, as released.

    Args:
        offset: added to every qid.
        has_foreground, has_background: whether a path is at hand as the recipe writes it.

    Raises:
        InputError: an entry is wrong, its name unsafe, or a name or qid stands twice.
    """
    scenes = []
    vids: set[str] = set()
    qids: set[int | str] = set()
    for index, entry in enumerate(entries):
        where = f"{name}: scene {index + 1}"
        scene = scene_of(entry, where, offset, encoding, has_foreground, has_background)
        own = {layer.qid for layer in scene.foregrounds if layer.qid is not None}
        if scene.vid in vids or own & qids or len(own) < len(scene.foregrounds):
            raise InputError(f"the name {scene.vid!r} or a qid of it appears twice", where=where)
        vids.add(scene.vid)
        qids |= own
        scenes.append(scene)
    return scenes


def scene_of(
    entry: dict[str, Any],
    where: str,
    offset: int,
    encoding: str,
    has_foreground: HasFile,
    has_background: HasFile,
) -> Scene:
    """One published entry as a scene; its trims are still to be measured (``clip`` is None)."""
    background = fields.required(entry, "bg", where)
    sounds = _sounds(entry)
    if not isinstance(background, dict) or not all(isinstance(sound, dict) for sound in sounds):
        raise InputError("'bg' must be an object and 'fg' a list of objects", where=where)
    scene = Scene(
        vid=check_name(fields.text(entry, "name", where), where),
        duration_s=DURATION_S,
        sample_rate_hz=SAMPLE_RATE_HZ,
        law="peak",
        background=background_of(background, where, has_background),
        foregrounds=tuple(foreground_of(sound, where, offset, has_foreground) for sound in sounds),
        encoding=encoding,
        level_keys=True,
    )
    return check_scene(scene, where)


def foreground_of(sound: dict[str, Any], where: str, offset: int, has_file: HasFile) -> ForegroundLayer:
    """One published foreground."""
    path = check_relative(fields.text(sound, "path", where), where)
    return ForegroundLayer(
        path=path if has_file(path) else path.rpartition("/")[2],
        start_s=fields.bounded(sound, "start_time", where, low=0.0),
        duration_s=fields.bounded(sound, "duration", where, low=0.0),
        level_db=fields.bounded(sound, "dB", where, low=-200.0, high=200.0),
        query=check_query(fields.required(sound, "caption", where), where),
        qid=f"{fields.whole(sound, 'qid', where, low=0) + offset:05d}",
    )


def background_of(background: dict[str, Any], where: str, has_file: HasFile) -> BackgroundLayer:
    """One published background: the cut itself, or the same part of the original."""
    path = check_relative(fields.text(background, "path", where), where)
    level_db = fields.bounded(background, "dB", where, low=-200.0, high=200.0)
    if has_file(path):
        return BackgroundLayer(path, 0.0, level_db)
    cut = CUT_NAME.fullmatch(path)
    if cut is None:
        raise InputError(f"{path!r} is not of the form VIDEO/START_END.wav", where=where)
    return BackgroundLayer(f"{cut[1].rpartition('/')[2]}.wav", float(cut[2]), level_db)


def is_trimmed(layer: ForegroundLayer) -> bool:
    """Whether a published foreground's path names a clip that the generator trimmed already."""
    return "/" in layer.path


def _sounds(entry: dict[str, Any]) -> list[Any]:
    sounds = entry.get("fg")
    return sounds if isinstance(sounds, list) else [None]
