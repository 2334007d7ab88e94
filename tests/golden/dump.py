"""Files as text that is the same for the same content: tables of arrays, digests, or the text itself."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import soundfile

LONGEST_TEXT = 12_000
LAYOUT = re.compile(rb'"source_(bytes|mtime_ns)": \d+')
"""What an index tells of the feature file beside it: when it was written and how HDF5 laid it out."""
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")

SUM = re.compile(rb', "crc32": \d+')
SEGMENT_HEAD_BYTES = 4096
CHECKSUMS = ("crc32", "xor64")
"""Of what is told anyway; the transcripts are from before there were any."""


def dump(path: Path) -> Iterator[str]:
    """Lines about a file, or about every file of a folder."""
    if path.is_dir():
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            yield f"[{file.relative_to(path)}]"
            yield from dump(file)
    elif not path.exists():
        yield "(is not there)"
    elif path.suffix in DUMPS:
        yield from DUMPS[path.suffix](path)
    elif path.suffix in SOUNDS:
        yield from sound(path)
    else:
        yield from text(path.read_bytes())


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def text(data: bytes) -> Iterator[str]:
    """The text itself, of long ones and of bytes the digest."""
    data = SUM.sub(b"", LAYOUT.sub(rb'"source_\1": #', data))
    try:
        written = data.decode()
    except UnicodeDecodeError:
        yield f"{len(data)} bytes, sha256 {digest(data)}"
        return
    if len(written) > LONGEST_TEXT:
        yield f"{len(written)} characters, sha256 {digest(data)}"
    else:
        yield from written.splitlines() or ["(empty)"]


def array(name: str, values: npt.NDArray[Any]) -> Iterator[str]:
    """Type, shape and digest; small arrays of other than measured numbers with their values."""
    values = np.asarray(values)
    told = f"{name}: {values.dtype} {list(values.shape)}"
    if values.dtype.kind in "SOU":
        yield f"{told} {json.dumps([each.decode() for each in values.reshape(-1)], ensure_ascii=False)}"
    elif values.size <= 16:
        yield f"{told} {values.tolist()}"
    else:
        yield f"{told} mean {values.mean(dtype=float):.4f} size {np.abs(values).mean(dtype=float):.4f}"
        yield f"  sha256 of numbers {digest(np.ascontiguousarray(values).tobytes())}"


def hdf5(path: Path) -> Iterator[str]:
    """Attributes and data sets by name."""
    with h5py.File(path) as file:
        for key in sorted(set(file.attrs) - {"crc32"}):
            yield f"@{key}: {file.attrs[key]}"
        found: dict[str, h5py.Dataset] = {}
        file.visititems(
            lambda name, each: found.update({name: each} if isinstance(each, h5py.Dataset) else {})
        )
        for name in sorted(name for name in found if not name.endswith(CHECKSUMS)):
            yield from array(name, found[name][:])


def tensors(path: Path) -> Iterator[str]:
    """The header's papers, then each tensor: name, type, shape, digest of its bytes."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    for key, value in sorted(header.pop("__metadata__", {}).items()):
        if key not in CHECKSUMS:
            yield f"@{key}: {value}"
    for name, entry in sorted(header.items()):
        first, stop = (8 + size + offset for offset in entry["data_offsets"])
        yield f"{name}: {entry['dtype']} {entry['shape']}"
        yield f"  sha256 of numbers {digest(data[first:stop])}"


def npz(path: Path) -> Iterator[str]:
    with np.load(path, allow_pickle=False) as file:
        for name in sorted(file.files):
            yield from array(name, file[name])


def npy(path: Path) -> Iterator[str]:
    yield from array("values", np.load(path, allow_pickle=False))


def sound(path: Path) -> Iterator[str]:
    """Rate, channels and samples."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    yield f"{rate_hz} Hz, {soundfile.info(path).subtype}"
    yield from array("samples", samples)


def picture(path: Path) -> Iterator[str]:
    """Width and height: what matplotlib draws is not held here."""
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    yield f"PNG {width} x {height}"


def packed(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as file:
        for entry in file.infolist():
            yield f"[{entry.filename}] {entry.date_time}"
            yield from text(file.read(entry))


def segment(path: Path) -> Iterator[str]:
    """A segment of an index without its checksums: the one in its head, and 8 bytes an axis at its end."""
    data = path.read_bytes()
    head = json.loads(data[:SEGMENT_HEAD_BYTES])
    if head.pop("crc32", None) is not None:
        data = data[: -8 * head["axes"]]
    yield from text(
        json.dumps(head).encode().ljust(SEGMENT_HEAD_BYTES - 1) + b"\n" + data[SEGMENT_HEAD_BYTES:]
    )


DUMPS = {
    ".segment": segment,
    ".h5": hdf5,
    ".safetensors": tensors,
    ".npz": npz,
    ".npy": npy,
    ".png": picture,
    ".zip": packed,
}
