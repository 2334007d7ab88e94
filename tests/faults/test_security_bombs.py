"""Small files that unpack to much, and headers that claim the moon: refused before memory is taken.

Every test runs with 300 MB more address space than the process has when it begins.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from fuzz.readers.audio import FORMS
from fuzz.readers.hdf5 import IDENTITY, fill
from fuzz.readers.recipe import SCENE

from amr.audio.read import MonoStream
from amr.errors import InputError
from amr.formats.annotations import read_annotations
from amr.formats.describe import describe
from amr.formats.exchange.forms import read_tracks
from amr.formats.features.npz import NpzTree
from amr.formats.features.open import open_features
from amr.formats.notices import Notices
from amr.formats.queries import read_queries
from amr.formats.recipes import parse_recipe_bytes
from amr.formats.untrusted.claims import ALWAYS_BELIEVED_BYTES, MOST_COMPRESSION, believable
from amr.formats.untrusted.tensor_header import read_header
from amr.formats.untrusted.torch_file import read_torch_file

MEMORY_BYTES = 300 * 2**20


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """An allocation beyond it is a MemoryError, which no reader may raise."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


# Text


def sparse(path: Path, begin: bytes, size: int) -> Path:
    """A file of ``size`` bytes, zeros behind its beginning, that takes no room on the disk."""
    with open(path, "wb") as file:
        file.write(begin)
        file.truncate(size)
    return path


@pytest.mark.parametrize("begin", [b'{"qid": "', b"a query", b""])
def test_a_line_of_a_gigabyte(tmp_path: Path, begin: bytes) -> None:
    path = sparse(tmp_path / "a.jsonl", begin, 2**30)
    for read in (read_annotations, read_queries):
        with pytest.raises(InputError, match="longer than 16777216 bytes"):
            read(path)


@pytest.mark.parametrize(
    ("ending", "form"), [("csv", "csv"), ("rttm", "rttm"), ("jams", "jams"), ("txt", "audacity")]
)
def test_label_files_of_a_gigabyte(tmp_path: Path, ending: str, form: str) -> None:
    path = sparse(tmp_path / f"x.{ending}", b"", 2**30)
    with pytest.raises(InputError, match="is longer than"):
        read_tracks(str(path), form, Notices())


DEEP = b"[" * 200_000
LONG_NUMBER = b"1" * 1_000_000


@pytest.mark.parametrize("value", [DEEP, b'{"a":' * 100_000, LONG_NUMBER, b"-" + LONG_NUMBER])
def test_deep_and_long_json(tmp_path: Path, value: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"qid": ' + value + b"}\n")
    (tmp_path / "a.jams").write_bytes(value)
    header = b'{"a": ' + value + b"}"
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(InputError, match=r"a\.jsonl:1: is not JSON"):
        read_annotations(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="is not JSON"):
        read_tracks(str(tmp_path / "a.jams"), "jams", Notices())
    with pytest.raises(InputError, match="is not JSON"):
        read_header(tmp_path / "a.safetensors")
    for path in tmp_path.iterdir():
        with pytest.raises(InputError):
            describe(path)


def test_a_recipe_of_more_samples_than_a_file_holds() -> None:
    line = json.dumps({**SCENE, "duration_s": 86_400.0, "sample_rate_hz": 384_000}).encode()
    with pytest.raises(InputError, match="more than 2147483648 samples"):
        parse_recipe_bytes(line, "r.jsonl")


# Sound


def sound(form: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    rate_hz = 48_000 if subtype in ("OPUS", "MPEG_LAYER_III") else 8_000
    soundfile.write(buffer, np.zeros(4_000, np.float32), rate_hz, format=form, subtype=subtype)
    return buffer.getvalue()


def with_claim(form: str, data: bytes) -> bytes:
    """The same sound in a file whose header claims a hundred hours or more."""
    mono_hours = 100 * 3600 * 8000 * 2
    if form in ("WAV", "WAVEX"):
        at = data.index(b"data") + 4
        return data[:at] + struct.pack("<I", min(mono_hours, 2**31 - 2**17)) + data[at + 4 :]
    if form == "RF64":
        at = data.index(b"ds64") + 8
        return data[:at] + struct.pack("<QQQ", mono_hours, mono_hours, mono_hours // 2) + data[at + 24 :]
    if form == "W64":
        at, claim = data.index(b"data") + 16, struct.pack("<Q", mono_hours)
        return data[:16] + claim + data[24:at] + claim + data[at + 8 :]
    if form == "AIFF":
        at = data.index(b"SSND") + 4
        return data[:at] + struct.pack(">I", 2**31 - 2**17) + data[at + 4 :]
    if form == "AU":
        return data[:8] + struct.pack(">I", 2**31 - 2**17) + data[12:]
    if form == "FLAC":  # 36 bits of samples, in the header's bytes 21 to 25
        return data[:21] + bytes([data[21] | 0x0F]) + b"\xff\xff\xff\xff" + data[26:]
    raise AssertionError(form)


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "FLAC"])
def test_sound_that_claims_a_hundred_hours(tmp_path: Path, form: str) -> None:
    subtype = next(subtype for name, subtype, _ in FORMS if name == form and subtype != "FLOAT")
    data = with_claim(form, sound(form, "PCM_16" if form != "AU" else subtype))
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"x\.wav"):
        list(MonoStream(path, 16_000))


def test_channels_and_rates_beyond_all_bounds(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    wav = sound("WAV", "PCM_16")
    at = wav.index(b"fmt ") + 10
    for channels, rate_hz in ((65_535, 8_000), (1, 2**31 - 1), (1, 1), (0, 8_000), (1024, 2**31 - 1)):
        path.write_bytes(wav[:at] + struct.pack("<HI", channels, rate_hz) + wav[at + 6 :])
        with pytest.raises(InputError):
            list(MonoStream(path, 16_000))


def test_sound_that_is_resampled_to_hundreds_of_times_as_much(tmp_path: Path) -> None:
    """One block of it at an encoder's rate was half a gigabyte; soxr gives it in pieces of its own."""
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros(2**18, np.int16), 100, subtype="PCM_16")
    assert 0 < len(next(iter(MonoStream(path, 48_000)))) < 2**20


# Archives


def npy_header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(path: Path, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("features.npy", content)
    return path


@pytest.mark.parametrize(
    "shape", [f"({2**60},)", f"({2**30}, {2**30})", f"({2**40}, 4)", f"({2**63}, {2**63})"]
)
def test_an_npy_header_of_exabytes(tmp_path: Path, shape: str) -> None:
    zipped(tmp_path / "x.npz", npy_header(shape) + bytes(64))
    with pytest.raises(InputError):
        NpzTree(tmp_path).frames("x")


def test_a_zip_bomb_is_refused_unopened(tmp_path: Path) -> None:
    """120 MB of zeros in 120 kB."""
    rows = 30_000
    path = zipped(tmp_path / "x.npz", npy_header(f"({rows}, 1000)") + bytes(4_000 * rows))
    assert path.stat().st_size < 2**18
    for read in (lambda path: NpzTree(path.parent).frames("x"), describe, read_torch_file):
        with pytest.raises(InputError, match="its members claim"):
            read(path)


def test_members_that_lie_over_each_other(tmp_path: Path) -> None:
    """The bomb of overlapping members: each entry of the directory points at the same bytes."""
    path = zipped(tmp_path / "x.npz", bytes(2**20), zipfile.ZIP_STORED)
    data = path.read_bytes()
    begin, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entry, count = data[begin:end], 500
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, count, count, len(entry) * count)
    path.write_bytes(data[:begin] + entry * count + bytes(tail))
    for read in (describe, read_torch_file):
        with pytest.raises(InputError, match=r"its members claim|Overlapped|damaged"):
            read(path)


def test_what_is_believed() -> None:
    assert believable(1000, 1000, compressed=False)
    assert not believable(1001, 1000, compressed=False)
    assert believable(ALWAYS_BELIEVED_BYTES, 1, compressed=True)
    assert not believable(ALWAYS_BELIEVED_BYTES + 1, 1, compressed=True)
    assert believable(MOST_COMPRESSION * 2**30, 2**30, compressed=True)
    assert not believable(MOST_COMPRESSION * 2**30 + 1, 2**30, compressed=True)


# Checkpoints


@pytest.mark.parametrize("claim", [2**30, 2**63 - 1, 2**64 - 1])
def test_a_safetensors_header_of_a_gigabyte(tmp_path: Path, claim: int) -> None:
    path = sparse(tmp_path / "m.safetensors", struct.pack("<Q", claim) + b'{"a":', 2**31)
    for read in (read_header, describe):
        with pytest.raises(InputError):
            read(path)


def test_a_tensor_of_a_terabyte(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    [problem] = describe(path).problems
    assert "its header asks for" in problem


# HDF5


def features(path: Path, change: Callable[[h5py.File], None], dimension: int = 3) -> Path:
    with h5py.File(path, "w", libver=("v108", "v110")) as file:
        fill(file, {})
        file.attrs["encoder"] = json.dumps({**IDENTITY, "dimension": dimension})
        change(file)
    return path


def swap(name: str, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return change


def read_all(path: Path) -> None:
    with open_features(path) as reader:
        for recording in reader.ids:
            reader.frames(recording)
        reader.packed()
        for query in reader.queries:
            reader.text(query)


HUGE: dict[str, dict[str, Any]] = {
    "2^60 rows": {"name": "audio/frames", "shape": (2**60, 3), "chunks": (64, 3), "dtype": "f2"},
    "2^60 rows, packed": {
        "name": "audio/frames", "shape": (2**60, 3), "chunks": (64, 3), "dtype": "f2", "compression": "gzip",
    },
    "2^60 offsets": {"name": "audio/start", "shape": (2**60,), "chunks": (64,), "dtype": "i8"},
    "2^60 ids": {"name": "audio/id", "shape": (2**60,), "chunks": (64,), "dtype": "S8"},
    "2^60 texts": {"name": "text/query", "shape": (2**60,), "chunks": (64,), "dtype": h5py.string_dtype()},
    "ids of 2^30 letters": {"name": "audio/id", "shape": (2,), "chunks": (1,), "dtype": f"S{2**30}"},
}  # fmt: skip


@pytest.mark.parametrize("kind", HUGE)
def test_an_hdf5_that_claims_the_moon(tmp_path: Path, kind: str) -> None:
    options = dict(HUGE[kind])
    name = options.pop("name")

    def change(file: h5py.File) -> None:
        swap(name, **options)(file)
        if name == "audio/frames":
            file["audio/start"][:] = [0, 2, 2**60]

    path = features(tmp_path / "f.h5", change)
    for read in (read_all, describe):
        with pytest.raises(InputError):
            read(path)


def zeros_packed(chunk_rows: int) -> Callable[[h5py.File], None]:
    """128 MB of zeros, packed to a thousandth; two recordings of a row each, or all."""

    def change(file: h5py.File) -> None:
        del file["audio/frames"]
        options = {"chunks": (chunk_rows, 1024), "compression": "gzip", "compression_opts": 1}
        frames = file.create_dataset("audio/frames", (2**15, 1024), "f4", **options)
        for first in range(0, 2**15, chunk_rows):
            frames[first : first + chunk_rows] = np.zeros((chunk_rows, 1024), np.float32)

    return change


def test_zeros_packed_in_small_chunks(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        zeros_packed(2**10)(file)
        file["audio/start"][:] = [0, 2**15, 2**15]

    path = features(tmp_path / "f.h5", change, dimension=1024)
    assert path.stat().st_size < 2**20
    with pytest.raises(InputError, match="more than"):
        read_all(path)


def test_zeros_packed_in_one_chunk(tmp_path: Path) -> None:
    """Two rows are asked for, and the whole chunk would be unpacked."""
    path = features(tmp_path / "f.h5", zeros_packed(2**15), dimension=1024)
    with pytest.raises(InputError, match="compressed chunks of 134217728 bytes"):
        read_all(path)


@pytest.mark.parametrize("chunks", [None, (4096,)])
def test_many_texts_that_are_one_long_text(tmp_path: Path, chunks: tuple[int] | None) -> None:
    """Sixteen bytes each, all pointing at the same megabyte."""
    path = features(tmp_path / "f.h5", lambda _: None)
    rows, long = 4096, "x" * 2**20
    with h5py.File(path, "r+") as file:
        del file["text/query"], file["text/start"], file["text/pooled"]
        file.create_dataset("text/query", (rows,), h5py.string_dtype(), chunks=chunks)[0] = long
        file["text/start"] = np.zeros(rows + 1, np.int64)
        file["text/pooled"] = np.zeros((rows, 2), np.float32)
        query = file["text/query"].id
        at = query.get_offset() if chunks is None else query.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[at : at + 16 * rows] = bytes(data[at : at + 16]) * rows
    path.write_bytes(data)
    with pytest.raises(InputError, match="claims strings of"):
        read_all(path)
