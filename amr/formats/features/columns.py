"""Columns of a feature file: HDF5 datasets that grow at their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from amr.errors import InputError

CHUNK_BYTES = 2**18  # large enough to read at the disk's rate, small enough that a short file stays short
LONGEST_STRING_BYTES = 4096  # a path cannot be longer


def chunk_rows(row_bytes: int) -> int:
    return max(1, CHUNK_BYTES // max(1, row_bytes))


def create_matrix(group: h5py.Group, name: str, dimension: int, dtype: str) -> None:
    """An empty ``(0, dimension)`` column."""
    chunks = (chunk_rows(dimension * np.dtype(dtype).itemsize), dimension)
    group.create_dataset(
        name, (0, dimension), maxshape=(None, dimension), chunks=chunks, dtype=dtype, track_times=False
    )


def create_vector(group: h5py.Group, name: str, dtype: npt.DTypeLike, values: Sequence[Any]) -> h5py.Dataset:
    """A column of single values."""
    chunks = (chunk_rows(np.dtype(dtype).itemsize) // 8,)
    column = group.create_dataset(name, (0,), maxshape=(None,), chunks=chunks, dtype=dtype, track_times=False)
    append_rows(column, values)
    return column


def create_strings(group: h5py.Group, name: str, width: int) -> h5py.Dataset:
    """An empty column of UTF-8 strings of up to ``width`` bytes, which are read as one block."""
    return create_vector(group, name, h5py.string_dtype("utf-8", width), [])


def append_rows(column: h5py.Dataset, rows: Any) -> None:
    """Add rows at the end."""
    if len(rows) == 0:
        return
    first = column.shape[0]
    column.resize(first + len(rows), axis=0)
    column[first:] = rows


def append_sums(group: h5py.Group, name: str, present: int, values: Sequence[int]) -> None:
    """Add checksums of rows behind ``present`` ones, where there are sums of all of those."""
    if name in group and len(group[name]) == present:
        append_rows(group[name], values)


def append_strings(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    """Add strings; a column that is too narrow for them is first replaced by one twice as wide, or more.

    Raises:
        InputError: a string is longer than any path.
    """
    encoded = [value.encode("utf-8", "backslashreplace") for value in values]
    longest = max(map(len, encoded), default=0)
    if longest > LONGEST_STRING_BYTES:
        raise InputError(f"a name of {longest} bytes is longer than {LONGEST_STRING_BYTES}", where=name)
    column = group[name]
    if longest > column.dtype.itemsize:
        column = widen_strings(group, name, longest)
    append_rows(column, np.array(encoded, dtype=column.dtype))


def widen_strings(group: h5py.Group, name: str, longest: int) -> h5py.Dataset:
    """Replace a string column by one whose strings may be ``longest`` bytes.

    The old one stays in the file as ``.NAME.WIDTH``: were its room given back, the next data would be written
    there, under the eyes of readers who have the file open. All old ones together are shorter than the new.
    """
    old = group[name]
    width = old.dtype.itemsize
    values = old[:]
    group[f".{name}.{width}"] = old
    del group[name]
    while width < longest:
        width *= 2
    column = create_strings(group, name, width)
    append_rows(column, values.astype(column.dtype))
    return column
