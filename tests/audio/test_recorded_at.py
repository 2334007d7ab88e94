"""When a recording began: names of recorders, and headers of WAV files."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path

import pytest

from amr.audio.recorded_at import recorded_at

NAMES = {
    "20240611_053000.WAV": "2024-06-11T05:30:00",
    "20240611_053000T.WAV": "2024-06-11T05:30:00",
    "SM4_20240611_053000.wav": "2024-06-11T05:30:00",
    "SITE-A_20240611$053000.wav": "2024-06-11T05:30:00",
    "240611-053000.WAV": "2024-06-11T05:30:00",
    "240611_053000_Tr1.WAV": "2024-06-11T05:30:00",
    "5B2C8F70.WAV": "2018-06-22T05:56:00+00:00",
    "2024-06-11T05-30-00.flac": "2024-06-11T05:30:00",
    "2024-06-11T05:30:00Z.flac": "2024-06-11T05:30:00+00:00",
    "20240611T053000+0200_mic.wav": "2024-06-11T05:30:00+02:00",
    "2024-06-11 05.30.00.m4a": "2024-06-11T05:30:00",
    "2024-06-11-birdnet-05:30:00.mp3": "2024-06-11T05:30:00",
    "2024-06-11/05-30-00.wav": "2024-06-11T05:30:00",
    "north/20240611/053000.wav": "2024-06-11T05:30:00",
    "2024-06-10_12-00-00/20240611_053000.WAV": "2024-06-11T05:30:00",
    "id/without/ending/20240611_053000": "2024-06-11T05:30:00",
}
TIMELESS = (
    "street.wav",
    "2024-06-11/ZOOM0001.WAV",
    "20241399_053000.wav",
    "20240611_256199.wav",
    "Venice_4.0_64.0.wav",
    "fold4-182314-A-7.wav",
    "120240611_0530001.wav",
    "DEADBEEF.wav",
    "12345678.wav",
    "",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_it(name: str) -> None:
    assert recorded_at(name, read_header=False) == datetime.fromisoformat(NAMES[name])


@pytest.mark.parametrize("name", TIMELESS)
def test_a_name_that_says_nothing(name: str) -> None:
    assert recorded_at(name) is None


def wav(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(n + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for n, c in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


SOUND = (b"data", bytes(101))
BEXT = (b"bext", bytes(320) + b"2024-06-1105:30:00" + bytes(264))
GUANO = (b"guan", b"GUANO|Version: 1.0\nTimestamp: 2024-06-11T05:30:00+02:00\nMake: x")
COMMENT = b"Recorded at 05:30:00 11/06/2024 (UTC-3) by AudioMoth 24F3190361DA5C9B at medium gain"
MOTH = (b"LIST", b"INFOICMT" + struct.pack("<I", len(COMMENT)) + COMMENT)
HEADERS = {
    "bext": (wav(BEXT, SOUND), "2024-06-11T05:30:00"),
    "bext behind the sound": (wav(SOUND, BEXT), "2024-06-11T05:30:00"),
    "guano": (wav((b"fmt ", bytes(16)), SOUND, GUANO), "2024-06-11T05:30:00+02:00"),
    "audiomoth": (wav(MOTH, SOUND), "2024-06-11T05:30:00-03:00"),
    "an empty bext, then guano": (wav((b"bext", bytes(602)), SOUND, GUANO), "2024-06-11T05:30:00+02:00"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_says_it(kind: str, tmp_path: Path) -> None:
    content, begin = HEADERS[kind]
    path = tmp_path / "ZOOM0001.WAV"
    path.write_bytes(content)
    assert recorded_at(path) == datetime.fromisoformat(begin)
    assert recorded_at(path, read_header=False) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"no sound at all, and long enough", wav(SOUND), wav(BEXT)[:200], wav((b"bext", b"2"))],
)
def test_a_header_that_says_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    assert recorded_at(tmp_path / "x.wav") is None


def test_the_name_goes_before_the_header(tmp_path: Path) -> None:
    path = tmp_path / "20230101_000000.wav"
    path.write_bytes(wav(BEXT, SOUND))
    assert recorded_at(path) == datetime(2023, 1, 1)
