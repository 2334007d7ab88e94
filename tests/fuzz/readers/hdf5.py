"""Feature files. Two kinds of input: the bytes of a file, and ``SPEC``, from which h5py builds an odd one.

Files of HDF5's first form have no checksums, so changed bytes reach far into the library; the odd files are
sound HDF5 that contradicts what a feature file is.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from amr.formats.features.journal import CHECKSUM, journal_path
from amr.formats.features.open import open_features

from ..target import RawMutation, Target
from ..told import tell

SPEC = b"SPEC"
JOURNAL = b"JRNL"
IDENTITY = {
    "name": "fake",
    "weights_sha256": "0" * 64,
    "sample_rate_hz": 16000,
    "window_samples": 15600,
    "hop_samples": 7680,
    "dimension": 3,
    "text_dimension": 2,
    "joint_dimension": 2,
    "normalisation": "none",
    "framing": "",
}
COLUMNS: dict[str, Any] = {
    "audio/frames": np.ones((5, 3), np.float16),
    "audio/start": np.array([0, 2, 5]),
    "audio/id": np.array([b"a", b"b"]),
    "audio/duration_s": np.array([1.0, 2.0]),
    "audio/source": np.array([b"a.wav", b"b.wav"]),
    "text/tokens": np.ones((3, 2), np.float16),
    "text/start": np.array([0, 3]),
    "text/query": np.array([b"rain"]),
    "text/pooled": np.ones((1, 2), np.float32),
}
DTYPES = ("f2", "f4", "f8", "i8", "i4", "u8", "u1", "S4", "S0", "c16", "O", "?", ">f4", "V8", "M8", "<i2")
SHAPES: tuple[tuple[int, ...], ...] = (
    (),
    (0,),
    (1,),
    (2,),
    (3,),
    (5,),
    (5, 3),
    (5, 0),
    (0, 3),
    (2, 2, 2),
    (2**60,),
    (2**60, 3),
    (5, 2**40),
)
LINKS = ("soft", "external", "self", "virtual", "outside", "gone", "filtered", "committed")
ATTRIBUTES = ("amr_format", "schema", "encoder", "history", "amr_version")
VALUES: tuple[Any, ...] = (
    "features",
    1,
    2,
    -1,
    1.5,
    "",
    b"features",
    np.arange(3),
    "[]",
    "{}",
    "[1]",
    "null",
    True,
)


def plain(libver: str, **options: Any) -> bytes:
    """A sound file in a form of HDF5."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        fill(file, options)
    return buffer.getvalue()


def fill(file: h5py.File, options: dict[str, Any]) -> None:
    file.attrs.update(
        {"amr_format": "features", "schema": 1, "encoder": json.dumps(IDENTITY), "history": "[]"}
    )
    for name, values in COLUMNS.items():
        if len(values) and options:
            file.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]), **options)
        else:
            file.create_dataset(name, data=values)


def build(program: bytes, path: Path) -> None:
    """A file with oddities: each four bytes say where, what and how."""
    with h5py.File(path, "w", libver=("earliest", "v110") if len(program) % 2 else ("v108", "v110")) as file:
        fill(file, {})
        for at in range(0, min(len(program), 40) - 3, 4):
            with suppress(
                ValueError, TypeError, KeyError, RuntimeError, OSError, OverflowError, AttributeError
            ):
                distort(file, *program[at : at + 4])


def distort(file: h5py.File, what: int, where: int, how: int, more: int) -> None:
    names = list(COLUMNS)
    name = names[where % len(names)]
    act = what % 6
    if act == 0:
        del file[name]
    elif act == 1:
        del file[name]
        shape, dtype = SHAPES[how % len(SHAPES)], DTYPES[more % len(DTYPES)]
        chunks = tuple(max(1, min(size, 4)) for size in shape) if max(shape, default=0) > 2**20 else None
        kind: Any = h5py.string_dtype() if dtype == "O" else dtype
        file.create_dataset(name, shape, dtype=kind, chunks=chunks)
    elif act == 2:
        link(file, name, LINKS[how % len(LINKS)])
    elif act == 3:
        file.attrs[ATTRIBUTES[where % len(ATTRIBUTES)]] = VALUES[how % len(VALUES)]
    elif act == 4:
        identity = {**IDENTITY, list(IDENTITY)[how % len(IDENTITY)]: VALUES[more % len(VALUES)]}
        file.attrs["encoder"] = json.dumps(identity, default=str)
    elif 0 < file[name].size < 100:  # no more: h5py writes element by element where shapes differ
        column = file[name]
        values = column[()]
        odd: Any = (np.nan, np.inf, -1, 2**62, 0, 1)[more % 6]
        values.flat[how % values.size] = odd if values.dtype.kind in "fiu" else b"\xff\x00\xff"
        column[()] = values


def link(file: h5py.File, name: str, kind: str) -> None:
    """Put something in the place of a column that leads elsewhere: never out of the input's own folder."""
    values = np.asarray(COLUMNS[name])
    elsewhere = str(Path(file.filename).parent / "elsewhere.bin")
    Path(elsewhere).write_bytes(bytes(1000))
    del file[name]
    if kind == "soft":
        file[name] = h5py.SoftLink("/audio/frames")
    elif kind == "self":
        file[name] = h5py.SoftLink("/" + name)
    elif kind == "external":
        file[name] = h5py.ExternalLink(elsewhere, "/")
    elif kind == "virtual":
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        layout[:] = h5py.VirtualSource(elsewhere, "x", values.shape)
        file.create_virtual_dataset(name, layout)
    elif kind == "outside":
        file.create_dataset(name, values.shape, values.dtype, external=[(elsewhere, 0, h5py.h5f.UNLIMITED)])
    elif kind == "gone":
        file.create_group(name)
    elif kind == "committed":
        file[name] = values.dtype
    else:
        file.create_dataset(name, data=values, chunks=True, compression="gzip", fletcher32=True, shuffle=True)


@cache
def whole_files() -> list[bytes]:
    """Sound files in several forms of HDF5."""
    oldest = [
        plain("earliest"),
        plain("earliest", chunks=True),
        plain("earliest", chunks=True, compression="gzip"),
    ]
    return [*oldest, plain("v108", chunks=True), plain("latest", chunks=True, fletcher32=True)]


def seeds() -> list[bytes]:
    rng = random.Random(0)
    specs = [SPEC + bytes(rng.randrange(256) for _ in range(rng.choice((4, 8, 17)))) for _ in range(40)]
    page = b"AMRJRNL1" + struct.pack("<QQQQ", len(SOUND), 1, 0, 8) + SOUND[:8]
    return [*whole_files(), *specs, JOURNAL + page]


def read(data: bytes, folder: Path) -> None:
    path = folder / "feats.h5"
    if data.startswith(SPEC):
        build(data[4:], path)
    elif data.startswith(JOURNAL):
        path.write_bytes(SOUND)
        journal_path(path).write_bytes(data[4:] + CHECKSUM.pack(zlib.crc32(data[4:])))
    else:
        path.write_bytes(data)
    tell(path)
    with open_features(path) as features:
        for recording in features:
            assert recording.frames.shape[1] == features.dimension
            assert recording.frames.dtype == np.float32
            features.grid(recording.id)
            features.source(recording.id).encode("utf-8")
            features.frames(recording.id)
        features.packed()
        features.packed(features.ids[:1])
        for query in features.queries:
            features.text(query)


SOUND = plain("v108", chunks=True)


def mutate(data: bytes, rng: random.Random, raw: RawMutation) -> bytes:
    """Whole files are begun with again and again: without HDF5's coverage few of them stay in the corpus."""
    head = data[:4]
    if rng.random() < 0.4:
        data = rng.choice(whole_files())
        for _ in range(rng.randrange(4)):
            data = odd_number(data, rng)
    elif head in (SPEC, JOURNAL):
        return head + raw(data[4:])[:400]
    return raw(data) if rng.random() < 0.5 or len(data) < 64 else odd_number(data, rng)


def odd_number(data: bytes, rng: random.Random) -> bytes:
    """One number somewhere becomes one that a reader may stumble over."""
    place, size = rng.randrange(len(data) - 8), rng.choice((1, 2, 4, 8))
    value = rng.choice((0, 1, 2, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**60, 2**63, 2**64 - 1)) % (1 << 8 * size)
    return data[:place] + value.to_bytes(size, "little") + data[place + size :]


TARGET = Target(
    read=read,
    seeds=seeds,
    modules=("amr.formats.features.read", "amr.formats.features.layout", "amr.formats.features.journal"),
    words=(b"TREE", b"HEAP", b"SNOD", b"OHDR", b"GCOL"),
    mutate=mutate,
    max_bytes=65536,
)
