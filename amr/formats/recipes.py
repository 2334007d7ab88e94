"""Recipes: what a simulation drew, enough to render it again. One scene a line (JSONL).

A recipe names its sources by paths relative to two folders that the reader chooses; it never decides itself
where something is read or written (``check_name`` here, ``amr.simulation.paths`` for links).
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr.errors import InputError
from amr.formats import fields
from amr.formats.jsonl import json_type, parse_lines
from amr.formats.streams import display_name, open_input
from amr.formats.untrusted.bounds import read_whole

SCHEMA = 1
MAX_DURATION_S = 24 * 3600.0
MAX_SAMPLE_RATE_HZ = 384_000
MAX_SAMPLES = 2**31
"""As many as a WAV of 16 bits holds: 18 hours at 32 kHz."""
LAWS = ("peak", "power")
ENCODINGS = ("flac", "wav")


@dataclass(frozen=True)
class BackgroundLayer:
    """What sounds all the time.

    Args:
        path: relative to the background folder.
        start_s: where in the source the recording begins.
        level_db: gain (law ``peak``) or level of the power (law ``power``), dB.
        repeat: the source is shorter than the recording and goes round.
        sha256: of the source file; None where unknown.
    """

    path: str
    start_s: float
    level_db: float
    repeat: bool = False
    sha256: str | None = None


@dataclass(frozen=True)
class ForegroundLayer:
    """One sound laid over the background.

    Args:
        path: relative to the foreground folder.
        start_s: where it begins in the recording.
        duration_s: how long it sounds there.
        level_db: of its peak (law ``peak``) or its power (law ``power``), dB.
        query: the sentence that means it; None for a distractor that no query names.
        qid: the query's id; layers with one qid are moments of one query.
        label: class of the sound, where the source names it.
        clip: first and past-the-last sample of the source file that trimming kept, at the file's rate; None
            where the source has not been looked at.
        crop_start_s: where in the trimmed clip the sound begins.
        fade_s: length of the linear fade at both ends.
        sha256: of the source file; None where unknown.
    """

    path: str
    start_s: float
    duration_s: float
    level_db: float
    query: str | None = None
    qid: int | str | None = None
    label: str = ""
    clip: tuple[int, int] | None = None
    crop_start_s: float = 0.0
    fade_s: float = 0.0
    sha256: str | None = None

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s


@dataclass(frozen=True)
class AbsentQuery:
    """A query that nothing in the recording answers."""

    qid: int | str
    query: str
    label: str = ""


@dataclass(frozen=True)
class Scene:
    """One recording, declared to the last sample.

    Args:
        vid: the recording's id and the stem of its file.
        duration_s, sample_rate_hz: its length and rate.
        law: ``peak`` or ``power``, see ``amr.simulation.mix``.
        background, foregrounds: what sounds.
        absent: queries without a moment.
        annotation_step_s: grid that annotated times are rounded to.
        encoding: ``flac`` or ``wav``, 16 bits.
        seed: of the draw; None where it is not known.
        level_keys: annotations carry ``fg_dB`` as the released Clotho-Moment files do.
    """

    vid: str
    duration_s: float
    sample_rate_hz: int
    law: str
    background: BackgroundLayer
    foregrounds: tuple[ForegroundLayer, ...] = ()
    absent: tuple[AbsentQuery, ...] = ()
    annotation_step_s: float = 0.1
    encoding: str = "flac"
    seed: int | None = None
    level_keys: bool = False


def scene_record(scene: Scene) -> dict[str, Any]:
    """The JSON object of a scene; its first keys say what the line is."""
    return {"amr_format": "recipe", "schema": SCHEMA, **dataclasses.asdict(scene)}


def scene_line(scene: Scene) -> str:
    """One line of a recipe file, with its newline; the same scene gives the same bytes."""
    return json.dumps(scene_record(scene), ensure_ascii=False, allow_nan=False) + "\n"


def read_recipe_bytes(source: str | Path) -> tuple[bytes, str]:
    """Bytes and display name of a recipe file or, for ``-``, of standard input."""
    with open_input(source) as file:
        name = display_name(source)
        return read_whole(file, name), name


def parse_recipe(lines: Iterable[tuple[int, dict[str, Any]]], name: str) -> Iterator[Scene]:
    """The scenes of numbered JSON objects.

    Raises:
        InputError: a scene is wrong, a recording id or a qid stands twice, or there is no scene.
    """
    vids: dict[str, int] = {}
    qids: dict[int | str, int] = {}
    for number, record in lines:
        scene = parse_scene(record, f"{name}:{number}")
        _claim(scene.vid, vids, number, f"{name}:{number}", "recording id")
        named: set[int | str] = {x.qid for x in scene.foregrounds if x.qid is not None}
        for qid in sorted(named | {x.qid for x in scene.absent}, key=str):
            _claim(qid, qids, number, f"{name}:{number}", "qid")
        yield scene
    if not vids:
        raise InputError("holds no scene", where=name)


def _claim(key: Any, seen: dict[Any, int], number: int, where: str, what: str) -> None:
    first = seen.setdefault(key, number)
    if first != number:
        raise InputError(f"{what} {key!r} is here and on line {first}", where=where)


def parse_recipe_bytes(data: bytes, name: str) -> list[Scene]:
    """All scenes of a recipe JSONL that is in memory."""
    return list(parse_recipe(parse_lines(io.BytesIO(data), name), name))


def parse_scene(record: dict[str, Any], where: str) -> Scene:
    """One scene from its JSON object, checked once and for all.

    Raises:
        InputError: another schema, a missing key, a wrong type, a value out of range, an unsafe name.
    """
    if record.get("amr_format") != "recipe" or record.get("schema") != SCHEMA:
        found = f"amr_format {record.get('amr_format')!r}, schema {record.get('schema')!r}"
        raise InputError(
            f"is not a recipe of schema {SCHEMA}: {found}",
            where=where,
            hint="give a recipe that 'amr simulate' wrote, or a list-form recipe of Clotho-Moment",
        )
    duration_s = fields.bounded(record, "duration_s", where, low=0.0, high=MAX_DURATION_S)
    scene = Scene(
        vid=check_name(fields.text(record, "vid", where), where),
        duration_s=duration_s,
        sample_rate_hz=fields.whole(record, "sample_rate_hz", where, high=MAX_SAMPLE_RATE_HZ),
        law=fields.one_of(record, "law", LAWS, where),
        background=parse_background(fields.one_object(record, "background", where), where),
        foregrounds=tuple(parse_foreground(x, where) for x in fields.objects(record, "foregrounds", where)),
        absent=tuple(parse_absent(x, where) for x in fields.objects(record, "absent", where)),
        annotation_step_s=fields.bounded(record, "annotation_step_s", where, low=0.0, high=60.0),
        encoding=fields.one_of(record, "encoding", ENCODINGS, where),
        seed=None if record.get("seed") is None else fields.whole(record, "seed", where, low=0),
        level_keys=record.get("level_keys") is True,
    )
    if scene.duration_s <= 0 or scene.annotation_step_s <= 0:
        raise InputError("'duration_s' and 'annotation_step_s' must be greater than 0", where=where)
    return check_scene(scene, where)


def check_scene(scene: Scene, where: str) -> Scene:
    """Refuse more samples than a file holds, sounds outside the recording, a qid of two sentences."""
    if scene.duration_s * scene.sample_rate_hz >= MAX_SAMPLES:
        found = f"{scene.duration_s:g} s at {scene.sample_rate_hz} Hz"
        raise InputError(f"{found} are more than {MAX_SAMPLES} samples", where=where)
    meanings: dict[int | str, str] = {x.qid: x.query for x in scene.absent}
    for layer in scene.foregrounds:
        if layer.end_s > scene.duration_s + 1e-6:
            found = f"{layer.path!r} would sound until {layer.end_s:.3f} s"
            raise InputError(f"{found} in a recording of {scene.duration_s:g} s", where=where)
        if layer.qid is None or layer.query is None:
            continue
        if meanings.setdefault(layer.qid, layer.query) != layer.query:
            raise InputError(f"qid {layer.qid!r} has two queries", where=where)
    return scene


def parse_background(record: dict[str, Any], where: str) -> BackgroundLayer:
    """The background of a scene."""
    return BackgroundLayer(
        path=check_relative(fields.text(record, "path", where), where),
        start_s=fields.bounded(record, "start_s", where, low=0.0),
        level_db=fields.bounded(record, "level_db", where, low=-200.0, high=200.0),
        repeat=record.get("repeat") is True,
        sha256=_hash(record, where),
    )


def parse_foreground(record: dict[str, Any], where: str) -> ForegroundLayer:
    """One foreground of a scene."""
    query = record.get("query")
    layer = ForegroundLayer(
        path=check_relative(fields.text(record, "path", where), where),
        start_s=fields.bounded(record, "start_s", where, low=0.0),
        duration_s=fields.bounded(record, "duration_s", where, low=0.0, high=MAX_DURATION_S),
        level_db=fields.bounded(record, "level_db", where, low=-200.0, high=200.0),
        query=None if query is None else check_query(query, where),
        qid=None if record.get("qid") is None else fields.identifier(record, "qid", where),
        label=str(record.get("label") or ""),
        clip=_clip(record, where),
        crop_start_s=fields.bounded(record, "crop_start_s", where, low=0.0, default=0.0),
        fade_s=fields.bounded(record, "fade_s", where, low=0.0, high=60.0, default=0.0),
        sha256=_hash(record, where),
    )
    if (layer.query is None) != (layer.qid is None):
        raise InputError(f"{layer.path!r}: 'query' and 'qid' go together, one of them is null", where=where)
    if layer.duration_s <= 0:
        raise InputError(f"{layer.path!r}: 'duration_s' must be greater than 0", where=where)
    return layer


def parse_absent(record: dict[str, Any], where: str) -> AbsentQuery:
    """One query without a moment."""
    return AbsentQuery(
        qid=fields.identifier(record, "qid", where),
        query=check_query(fields.required(record, "query", where), where),
        label=str(record.get("label") or ""),
    )


def check_query(value: Any, where: str) -> str:
    """A sentence with at least one visible character."""
    if not isinstance(value, str) or not value.strip():
        found = "empty" if isinstance(value, str) else json_type(value)
        raise InputError(f"a query is {found}, expected a sentence", where=where)
    return value


def check_name(name: str, where: str) -> str:
    """A recording id that is safe as the stem of a file name in one folder.

    Raises:
        InputError: it is empty, too long, hidden, or could lead to another folder.
    """
    if not fields.is_file_stem(name):
        raise InputError(
            f"{json.dumps(name[:80])} cannot be the name of a recording",
            where=where,
            hint=f"names have no '/', do not begin with '.' and have at most {fields.MAX_NAME_BYTES} bytes",
        )
    return name


def is_relative(path: str) -> bool:
    """Whether a recipe can hold a path: it stays in its folder, in whatever system, and is printable."""
    return (
        path.isprintable() and "\\" not in path and not path.startswith("/") and ".." not in path.split("/")
    )


def check_relative(path: str, where: str) -> str:
    """A relative path without ``..``, in the form that recipes store (``/`` between folders).

    Raises:
        InputError: it is absolute, climbs out, or is not a path at all.
    """
    if not is_relative(path):
        raise InputError(
            f"the path {json.dumps(path[:120])} leads outside its source folder",
            where=where,
            hint="paths in recipes are relative to the source folder and never climb out of it",
        )
    if not path.strip("/. "):
        raise InputError(f"the path {json.dumps(path[:120])} names no file", where=where)
    return path


def _clip(record: dict[str, Any], where: str) -> tuple[int, int] | None:
    value = record.get("clip")
    if value is None:
        return None
    good = isinstance(value, list) and len(value) == 2 and all(type(x) is int for x in value)
    if not good or not 0 <= value[0] < value[1]:
        raise InputError("'clip' must be two sample numbers, the first below the second", where=where)
    return value[0], value[1]


def _hash(record: dict[str, Any], where: str) -> str | None:
    value = record.get("sha256")
    if value is None:
        return None
    if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise InputError("'sha256' is not 64 hexadecimal digits", where=where)
    return value
