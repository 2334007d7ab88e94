"""Sound in libsndfile's formats. Only our own lines guide the fuzzer: libsndfile is not instrumented."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile

from amr.audio.claims import read_claim
from amr.audio.joined import ends_stream, find_links, last_ogg_page
from amr.audio.matroska import MatroskaReader
from amr.audio.mp3 import mpeg_stretches
from amr.audio.read import MonoStream
from amr.errors import AmrError
from amr.simulation.decode import decode_span, long_header

from ..target import RawMutation, Target

FORMS = (
    ("WAV", "PCM_16", 1),
    ("WAV", "FLOAT", 2),
    ("WAV", "IMA_ADPCM", 1),
    ("WAVEX", "PCM_24", 2),
    ("FLAC", "PCM_16", 1),
    ("OGG", "VORBIS", 1),
    ("OGG", "OPUS", 1),
    ("MP3", "MPEG_LAYER_III", 1),
    ("AIFF", "PCM_16", 1),
    ("AU", "ULAW", 1),
    ("CAF", "ALAC_16", 1),
    ("W64", "PCM_16", 1),
    ("RF64", "PCM_16", 1),
)
MOST_BLOCKS = 12
SHARE_WITH_FFMPEG = 50  # one of so many
ODD_SIZES = (0, 1, 7, 0x7FFF, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFFF00, 44100, 384000)


@cache
def seeds() -> list[bytes]:
    samples = (np.sin(np.arange(2400) / 7)[:, None] * [0.5, -0.3]).astype(np.float32)
    found = []
    for form, subtype, channels in FORMS:
        buffer = io.BytesIO()
        rate_hz = 48000 if subtype in ("OPUS", "MPEG_LAYER_III") else 8000
        soundfile.write(buffer, samples[:, :channels], rate_hz, format=form, subtype=subtype)
        found.append(buffer.getvalue())
    mp3 = found[7]
    frame = mp3.find(b"\xff\xfb", 4)
    joined = [one + one for one in found]
    matroska = bytes.fromhex(
        "1a45dfa38018538067ff1654ae6b8cae8ae188b5847d0046009f8101a0001f43b67588e78101a383810000"
    )
    return [
        *found,
        mp3[max(frame, 0) :],
        b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + mp3,
        *joined,
        matroska,
    ]


def read(data: bytes, folder: Path) -> None:
    path = folder / "x.wav"
    path.write_bytes(data)
    with without_ffmpeg() if zlib.crc32(data) % SHARE_WITH_FFMPEG else nullcontext(), suppress(AmrError):
        for block in islice(MonoStream(path, 16_000), MOST_BLOCKS):
            assert block.ndim == 1
            assert np.isfinite(block).all()
    last_page = last_ogg_page(data)
    assert len(last_page) <= len(data)
    if last_page:
        ends_stream(last_page)
    read_claim(path)
    links = find_links(path)
    assert sum(map(len, links)) == len(data)
    assert all(len(one.part) <= len(data) for one in mpeg_stretches(path)[0])
    with suppress(ValueError, struct.error):
        for block in MatroskaReader(io.BytesIO(data)).blocks():
            assert len(block.data) <= len(data)
    with without_ffmpeg(), suppress(AmrError):
        found = long_header(path, 0.1)
        if found:
            decode_span(path, found[0] // 2, min(1000, found[0] // 4 + 1))


@contextmanager
def without_ffmpeg() -> Iterator[None]:
    """It is not what is tested, and takes a twentieth of a second each time."""
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = ""
    try:
        yield
    finally:
        os.environ["PATH"] = path


def mutate(data: bytes, rng: random.Random, raw: RawMutation) -> bytes:
    """Half the time a size or rate of the header becomes an odd one; each form is begun with often."""
    if rng.random() < 0.4:
        data = rng.choice(seeds())
    if rng.random() < 0.5 or len(data) < 64:
        return raw(data)
    place, kind = rng.randrange(4, min(len(data) - 8, 200)), rng.choice((">I", "<I", "<Q", ">H", "<H"))
    size = struct.calcsize(kind)
    value = rng.choice(ODD_SIZES) % 2 ** (8 * size)
    return data[:place] + struct.pack(kind, value) + data[place + size :]


TARGET = Target(
    read=read,
    seeds=seeds,
    modules=(
        "amr.audio.chain",
        "amr.audio.claims",
        "amr.audio.decode",
        "amr.audio.joined",
        "amr.audio.matroska",
        "amr.audio.mix",
        "amr.audio.mp3",
        "amr.audio.native",
        "amr.audio.read",
        "amr.audio.view",
    ),
    words=(
        b"data",
        b"fmt ",
        b"fLaC",
        b"OggS",
        b"SSND",
        b"RIFF",
        b"ds64",
        b"ID3",
        b"Xing",
        b"caff",
        b".snd",
        b"LIST",
    ),
    mutate=mutate,
    max_bytes=65536,
)
