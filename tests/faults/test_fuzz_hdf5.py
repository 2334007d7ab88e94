"""What fuzzing found in feature files: each made HDF5 loop for ever, or fail in a way that was not told.

The rest of what fuzzing found is in ``test_fuzz_findings.py``.
"""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fuzz.readers.hdf5 import DTYPES, IDENTITY, SHAPES, SPEC, fill, plain
from fuzz.target import load

from amr.errors import AmrError, InputError
from amr.formats.describe import describe
from amr.formats.features.hdf5 import HEAP_MAGIC, OBJECT_HEADER, is_sound_heap
from amr.formats.features.journal import journal_path, read_journal
from amr.formats.features.open import open_features
from amr.formats.features.write import FeatureWriter


def odd(path: Path, change: Callable[[h5py.File], None]) -> Path:
    """A sound feature file, changed."""
    with h5py.File(path, "w") as file:
        fill(file, {})
        change(file)
    return path


@pytest.mark.parametrize(
    "changes",
    [{"dimension": 10**320}, {"window_samples": 10**320}, {"hop_samples": 1e300, "sample_rate_hz": 1e-300}],
)
def test_an_encoder_of_endless_sizes(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = odd(
        tmp_path / "f.h5",
        lambda file: file.attrs.update({"encoder": json.dumps({**IDENTITY, **changes})}),
    )
    with pytest.raises(InputError, match="not an encoder's identity"):
        open_features(path)


def test_odd_files_are_made_at_once(tmp_path: Path) -> None:
    """The fuzzer's own maker once wrote 2^42 numbers one by one, or asked for 20 TiB to hold them."""
    huge = SHAPES.index((5, 2**40))
    for dtype in range(len(DTYPES)):
        with suppress(AmrError):
            load("hdf5").read(SPEC + bytes([1, 0, huge, dtype, 5, 0, 0, 0]), tmp_path)


def free_rest(data: bytes | bytearray) -> int:
    """Where the free object of the first heap begins."""
    at = data.index(HEAP_MAGIC) + 16
    while (head := OBJECT_HEADER.unpack_from(data, at))[0]:
        at += OBJECT_HEADER.size + -(-head[3] // 8) * 8
    return at


@pytest.mark.parametrize("size", [0, 8, 160, 2**40, 2**64 - 16])
def test_a_heap_that_is_walked_for_ever(tmp_path: Path, size: int) -> None:
    """HDF5 2.0 never came back from the first attribute."""
    data = bytearray(plain("earliest"))
    at = free_rest(data)
    struct.pack_into("<Q", data, at + 8, size)
    path = tmp_path / "f.h5"
    path.write_bytes(data)
    for read in (describe, open_features):
        with pytest.raises(InputError, match="global heap"):
            read(path)


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
def test_the_heaps_of_sound_files_are_sound(tmp_path: Path, libver: str) -> None:
    data = plain(libver)
    at = data.index(HEAP_MAGIC)
    heap = data[at : at + int.from_bytes(data[at + 8 : at + 16], "little")]
    assert is_sound_heap(heap)
    assert not is_sound_heap(heap[:-8])
    path = tmp_path / "f.h5"
    path.write_bytes(data)
    assert describe(path).problems == ()


def test_long_texts_have_heaps_of_their_own(tmp_path: Path) -> None:
    """A heap of more than a page is read in two pieces by HDF5, and as a whole by us."""
    query = "rain " * 5000

    def change(file: h5py.File) -> None:
        del file["text/query"]
        file.create_dataset("text/query", data=[query], dtype=h5py.string_dtype(), chunks=(1,))

    with open_features(odd(tmp_path / "f.h5", change)) as features:
        assert list(features.queries) == [query]


def test_texts_that_lie_outside_of_the_file(tmp_path: Path) -> None:
    path = odd(tmp_path / "f.h5", lambda _: None)
    with h5py.File(path) as file:
        offset = file["audio/id"].id.get_offset()
    data = path.read_bytes()
    assert data.count(struct.pack("<Q", offset)) == 1
    path.write_bytes(data.replace(struct.pack("<Q", offset), struct.pack("<Q", 2**40)))
    with pytest.raises(InputError, match="is a damaged HDF5 file"):
        describe(path)


@pytest.mark.parametrize("name", ["audio/frames", "text/tokens", "text/pooled"])
@pytest.mark.parametrize("dtype", ["S4", "i4", h5py.string_dtype(), np.dtype([("a", "f4")])], ids=str)
def test_rows_of_something_else_than_numbers(tmp_path: Path, name: str, dtype: Any) -> None:
    def change(file: h5py.File) -> None:
        shape = file[name].shape
        del file[name]
        file.create_dataset(name, shape, dtype)

    path = odd(tmp_path / "f.h5", change)
    with pytest.raises(InputError, match="expected numbers"):
        describe(path)


@pytest.mark.parametrize("history", ["{", "{}", 7, "", np.arange(3)], ids=str)
def test_a_file_without_a_sound_history_is_not_continued(tmp_path: Path, history: object) -> None:
    path = odd(tmp_path / "f.h5", lambda file: file.attrs.update({"history": history}))
    with pytest.raises(InputError, match=r"not a JSON list|neither a text"):
        FeatureWriter(path, identity_json=json.dumps(IDENTITY))
    with pytest.raises(InputError, match=r"not a JSON list|neither a text"):
        describe(path)


@pytest.mark.parametrize("name", ["history", "encoder", "schema", "amr_format"])
def test_attributes_of_odd_types_are_not_read(tmp_path: Path, name: str) -> None:
    """A sequence of varying length, whose type had been changed, ended the process inside HDF5."""

    def change(file: h5py.File) -> None:
        del file.attrs[name]
        value = np.empty((), dtype=object)
        value[()] = np.arange(3, dtype="i4")
        file.attrs.create(name, value, dtype=h5py.vlen_dtype("i4"))

    path = odd(tmp_path / "f.h5", change)
    for read in (describe, open_features):
        with pytest.raises(InputError, match=f"'{name}' is neither a text nor a whole number"):
            read(path)


@pytest.mark.parametrize("fields", [(15, 10, 5, 0, 10), (31, 23, 8, 0, 23)])
def test_numbers_that_numpy_lacks(tmp_path: Path, fields: tuple[int, int, int, int, int]) -> None:
    """They were told as a bug of ours."""

    def change(file: h5py.File) -> None:
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_fields(*fields)
        kind.set_ebias(10**6)
        shape = file["text/pooled"].shape
        del file["text/pooled"]
        space = h5py.h5s.create_simple(shape)
        h5py.h5d.create(file["text"].id, b"pooled", kind, space)

    path = odd(tmp_path / "f.h5", change)
    for read in (describe, open_features):
        with suppress(InputError):
            read(path)


def test_a_short_journal_takes_little_memory(tmp_path: Path) -> None:
    """Python takes memory for all that it is asked to read, however little is there."""
    path = tmp_path / "f.h5"
    path.write_bytes(plain("earliest"))
    journal_path(path).write_bytes(b"no journal")
    tracemalloc.start()
    try:
        assert read_journal(path) is None
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
