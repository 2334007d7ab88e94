"""When a recording began: as its name says, or the header of a WAV file.

Read are the names of AudioMoth (``20240611_053000.WAV``, and hexadecimal seconds), Song Meter
(``SM4_20240611_053000.wav``), Zoom (``240611-053000.WAV``), BirdNET-Pi and everything like ISO 8601, also
where the date is the folder's name. In the header: ``bext`` (EBU Tech 3285), GUANO's ``Timestamp`` and
AudioMoth's comment.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePath
from typing import BinaryIO

DATE = r"(?<!\d)(?P<year>(?:19|20)\d\d)[-_.]?(?P<month>[01]\d)[-_.]?(?P<day>[0-3]\d)"
TIME = r"(?P<hour>[0-2]\d)[-_.:h]?(?P<minute>[0-5]\d)[-_.:m]?(?P<second>[0-5]\d)(?!\d)"
ZONE = r"(?:\.\d+)?(?P<zone>Z|\+\d\d:?\d\d|-\d\d:\d\d)?"
LONG_FORM = re.compile(DATE + r"(?:-birdnet-|[T\W_]{1,3})" + TIME + ZONE, re.IGNORECASE)
SHORT_FORM = re.compile(r"(?<!\d)(?P<year>\d\d)(?P<month>[01]\d)(?P<day>[0-3]\d)[-_]" + TIME + r"(?P<zone>)")
HEXADECIMAL = re.compile(r"[0-9A-F]{8}")
AUDIOMOTH = re.compile(
    r"Recorded at (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.\d+)?"
    r" (?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d{4}) \(UTC(?P<zone>[+-]\d\d?(?::?\d\d)?)?\)"
)
GUANO = re.compile(r"^Timestamp:\s*(\S+(?: \d\S*)?)", re.MULTILINE)
FIRST_YEAR, LAST_YEAR = 1980, 2100
FIRST_HEXADECIMAL, LAST_HEXADECIMAL = 1_400_000_000, 2_100_000_000  # AudioMoth is from 2017

MOST_CHUNKS = 64
MOST_CHUNK_BYTES = 65_536
ENDLESS = 0xFFFFFFFF
BEXT_DATE = slice(320, 338)
"""``OriginationDate`` (10) and ``OriginationTime`` (8), after description, originator and its reference."""


def recorded_at(path: str | PurePath, *, read_header: bool = True) -> datetime | None:
    """When a recording began; without a time zone where none is said, which is the recorder's own clock.

    Args:
        path: the recording, or its id: a name that says it needs no file.
        read_header: open the file where the name says nothing.

    Returns:
        None where neither says it. A date without a time of day says nothing.
    """
    found = time_in_name(PurePath(path))
    if found is None and read_header:
        try:
            with open(path, "rb") as file:
                return time_in_header(file)
        except (OSError, ValueError):  # no such file, or no path at all: nothing is known of it
            return None
    return found


def time_in_name(path: PurePath) -> datetime | None:
    """The time that a name says, or its folder's name and its own together."""
    for text in (path.name, "/".join(path.parts[-2:])):
        for form in (LONG_FORM, SHORT_FORM):
            for match in form.finditer(text):
                if (found := as_time(match)) is not None:
                    return found
    if HEXADECIMAL.fullmatch(path.stem):
        seconds = int(path.stem, 16)
        if FIRST_HEXADECIMAL <= seconds <= LAST_HEXADECIMAL:
            return datetime.fromtimestamp(seconds, UTC)
    return None


def as_time(match: re.Match[str]) -> datetime | None:
    """The numbers of a match as a time; None where there is no such day or hour."""
    numbers = {key: int(match[key]) for key in ("year", "month", "day", "hour", "minute", "second")}
    numbers["year"] += 2000 if numbers["year"] < 100 else 0
    if not FIRST_YEAR <= numbers["year"] <= LAST_YEAR:
        return None
    try:
        return datetime(**numbers, tzinfo=zone_of(match["zone"]))
    except ValueError:
        return None


def zone_of(text: str | None) -> timezone | None:
    """``Z``, ``+2``, ``+0200`` and ``+02:00``; None where nothing is said."""
    if not text:
        return None
    if text.upper() == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def time_in_header(file: BinaryIO) -> datetime | None:
    """The time that the chunks of a WAV file say."""
    for name, content in chunks(file):
        if name == b"bext":
            text = content[BEXT_DATE].decode("latin-1").replace("\0", " ")
            match = LONG_FORM.search(f"{text[:10]} {text[10:]}")
            found = as_time(match) if match else None
        elif name == b"guan":
            match = GUANO.search(content.decode("utf-8", "replace"))
            match = LONG_FORM.search(match[1]) if match else None
            found = as_time(match) if match else None
        else:
            match = AUDIOMOTH.search(content.decode("latin-1"))
            found = audiomoth_time(match) if match else None
        if found is not None:
            return found
    return None


def audiomoth_time(match: re.Match[str]) -> datetime | None:
    """AudioMoth's comment always says the zone: ``(UTC)`` or ``(UTC+2)``."""
    found = as_time(match)
    return found.replace(tzinfo=found.tzinfo or UTC) if found is not None else None


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the chunks of a WAV file that may say a time; sound is passed over."""
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        return
    for _ in range(MOST_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return
        name, size = header[:4], struct.unpack("<I", header[4:])[0]
        after = file.tell() + size + size % 2
        if name in (b"bext", b"guan", b"LIST"):
            yield name, file.read(min(size, MOST_CHUNK_BYTES))
        if size == ENDLESS:
            return
        file.seek(after)
