"""Learned sounds as files: what examples and words say together, under a name that queries can use.

One JSON object, ``NAME.sound``: what made its numbers (``encoder``, ``model`` and a ``probe``, what a few
fixed frames become in the model's space), the ``words`` of the query that was kept, and two vectors:
``meaning``, among the model's whitened frames, and ``joint``, in the encoder's joint space.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr.audio.names import as_spelt
from amr.errors import InputError
from amr.formats import fields
from amr.formats.jsonl import json_type
from amr.formats.streams import open_input, open_text_output
from amr.formats.untrusted.bounds import MAX_LINE_BYTES, read_whole

FORMAT, SCHEMA = "sound", 1
SUFFIX = ".sound"
FOLDER_VARIABLE = "AMR_SOUNDS"
MOST_NUMBERS = 65_536
DECIMALS = 6


@dataclass(frozen=True)
class SavedSound:
    """A learned sound as its file has it.

    Args:
        words: the query that was kept.
        encoder: the identity of the encoder, as JSON.
        model: the name of the model.
        probe: numbers by which the model's space is recognised.
        meaning: ``(axes,)`` in the model's space.
        joint: ``(joint_dimension,)`` in the encoder's joint space.
    """

    words: str
    encoder: str
    model: str
    probe: list[float]
    meaning: list[float]
    joint: list[float]


def write_sound(target: str | Path, sound: SavedSound, *, force: bool = False) -> None:
    """Write a sound; the name appears only when the file is complete.

    Raises:
        InputError: the file exists and ``force`` is not set, or cannot be made.
    """
    record = {
        "amr_format": FORMAT,
        "schema": SCHEMA,
        "words": sound.words,
        "model": sound.model,
        "encoder": json.loads(sound.encoder),
        "probe": rounded(sound.probe),
        "meaning": rounded(sound.meaning),
        "joint": rounded(sound.joint),
    }
    with open_text_output(target, force=force) as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def rounded(values: list[float]) -> list[float]:
    return [round(value, DECIMALS) for value in values]


def read_sound(path: str | Path) -> SavedSound:
    """A sound from its file.

    Raises:
        InputError: there is no such file, or it is none.
    """
    with open_input(path) as file:
        content = read_whole(file, str(path), MAX_LINE_BYTES)
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError("is not a learned sound: not JSON", where=path) from error
    if not isinstance(record, dict) or record.get("amr_format") != FORMAT:
        raise InputError("is not a learned sound: 'amr_format' is not 'sound'", where=path)
    where = str(path)
    if record.get("schema") != SCHEMA:
        raise InputError(f"schema {record.get('schema')!r} is not known, expected {SCHEMA}", where=where)
    return SavedSound(
        words=fields.text(record, "words", where),
        encoder=json.dumps(fields.one_object(record, "encoder", where), sort_keys=True),
        model=fields.text(record, "model", where),
        probe=numbers(record, "probe", where),
        meaning=numbers(record, "meaning", where),
        joint=numbers(record, "joint", where),
    )


def numbers(record: dict[str, Any], key: str, where: str) -> list[float]:
    """A list of finite numbers."""
    values = fields.required(record, key, where)
    if not isinstance(values, list) or len(values) > MOST_NUMBERS:
        raise InputError(
            f"{key!r} is {json_type(values)}, expected up to {MOST_NUMBERS} numbers", where=where
        )
    found = [fields.number(value, repr(key), where) for value in values]
    if not all(map(math.isfinite, found)):
        raise InputError(f"{key!r} holds values that are not finite numbers", where=where)
    return found


def sound_folders() -> list[Path]:
    """Where a name is looked for: here, and in the folder ``$AMR_SOUNDS``."""
    kept = os.environ.get(FOLDER_VARIABLE)
    return [Path(), Path(kept)] if kept else [Path()]


def find_sound(name: str) -> Path:
    """The file of a name: as it is given or with ``.sound`` behind it, here or in the folder ``$AMR_SOUNDS``.

    Raises:
        InputError: there is none.
    """
    for folder in sound_folders():
        for path in (folder / name, folder / (name + SUFFIX)):
            if (there := as_spelt(path)).is_file():
                return there
    raise InputError(
        f"there is no learned sound {name!r}",
        where="--query",
        hint=f"--save-as {name!r} keeps one; it is looked for here and in the folder ${FOLDER_VARIABLE}",
    )
