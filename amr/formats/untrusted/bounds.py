"""How much text a reader takes: one limit for lines, for files that are held whole, and for nesting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import BinaryIO

from amr.errors import InputError

MAX_LINE_BYTES = 16 * 2**20
"""A line of JSONL, or a whole file that is one JSON value: the saliency of a day in frames of a tenth of a
second. Parsed, JSON takes up to 30 times its length."""

MOST_SETTINGS_BYTES = 2**20
"""A file of settings (TOML): a thousand times what all of them take. Python's reader of it takes its time, up
to 2 seconds for so much, and up to 100 times its length."""

MOST_RECIPE_BYTES = 64 * 2**20
"""A recipe that is one JSON list; the published ones have a third of it."""

MOST_TEXT_BYTES = 256 * 2**20
"""Any other text that is held whole."""

MOST_LEVELS = 32
"""Of nesting in settings. In JSON from files it is what Python reads, about a thousand."""

DOTTED = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MOST_LEVELS}}}""")
"""A key of TOML with too many parts."""


def read_whole(file: BinaryIO, where: str, limit: int = MOST_TEXT_BYTES) -> bytes:
    """All bytes of a file, or of a pipe. Raises ``InputError`` where there are more than ``limit``."""
    data = file.read(limit + 1)
    require_length(data, where, limit)
    return data


def require_length(data: bytes, where: str, limit: int) -> None:
    """Raises ``InputError`` for more than ``limit`` bytes."""
    if len(data) > limit:
        raise InputError(f"is longer than {limit} bytes", where=where)


def require_short_keys(text: str) -> None:
    """Raises ``ValueError`` for TOML whose keys have more than :data:`MOST_LEVELS` parts.

    Before it is parsed: Python's reader takes the square of the parts in time and in memory, two
    gigabytes for a key of 100 kB.
    """
    if DOTTED.search(text):
        raise ValueError(f"is nested in more than {MOST_LEVELS} levels")


def require_shallow(value: object) -> None:
    """Raises ``ValueError`` where settings are nested in more than :data:`MOST_LEVELS` levels."""
    level = [value]
    for _ in range(MOST_LEVELS):
        inner: list[object] = []
        for each in level:
            if isinstance(each, Mapping):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        level = inner
    if level:
        raise ValueError(f"is nested in more than {MOST_LEVELS} levels")
