"""What an HDF5 feature file must look like before anything in it is believed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from amr.errors import InputError
from amr.formats.claims import believable
from amr.formats.encoder_names import checked_name
from amr.formats.features import FORMAT, SCHEMA
from amr.formats.features_damage import damage_told

AUDIO_COLUMNS = ("frames", "start", "id", "duration_s", "source")
MOST_CHUNK_BYTES = 64 * 2**20
"""A compressed chunk is unpacked as a whole, whatever is read of it; ours have 256 kB and no filter."""
MOST_ATTRIBUTE_BYTES = 2**16
"""HDF5 itself holds no larger attribute; of texts of varying length it is the pointer's size."""

HEAP_POINTER = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
"""A string of varying length as a dataset stores it: its length, and where in the file's heaps it is."""


@dataclass(frozen=True)
class StoredIdentity:
    """The part of the encoder's identity that decides the layout.

    Args:
        json: the whole identity as stored.
    """

    json: str
    window_s: float
    hop_s: float
    dimension: int
    text_dimension: int

    @staticmethod
    def parse(text: object, where: str | Path) -> StoredIdentity:
        """Raises ``InputError`` when ``text`` is not the JSON of an encoder's identity."""
        try:
            fields = json.loads(str(text))
            checked_name(fields["name"])
            rate_hz = positive(fields["sample_rate_hz"])
            return StoredIdentity(
                json=str(text),
                window_s=positive(positive(fields["window_samples"]) / rate_hz),
                hop_s=positive(positive(fields["hop_samples"]) / rate_hz),
                dimension=int(positive(fields["dimension"])),
                text_dimension=int(positive(fields["text_dimension"])),
            )
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InputError(
                f"the attribute 'encoder' is not an encoder's identity ({type(error).__name__}: {error})",
                where=where,
            ) from error


def positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError(f"{value!r} is not a positive number")
    return float(value)


def attribute(file: h5py.File, name: str, where: Path) -> Any:
    """An attribute of the whole file, a text or a whole number; None where there is none.

    Raises:
        InputError: it is damaged or something else. HDF5 is not asked for its value then: sequences of odd
            types end the process.
    """
    with damage_told(where):
        if name not in file.attrs:
            return None
        found = h5py.h5a.open(file.id, name.encode())
        kind = found.get_type()
        is_plain = found.shape == () and kind.get_class() in (h5py.h5t.STRING, h5py.h5t.INTEGER)
        if not is_plain or kind.get_size() > MOST_ATTRIBUTE_BYTES:
            raise InputError(f"the attribute {name!r} is neither a text nor a whole number", where=where)
        return file.attrs[name]


def check_root(file: h5py.File, where: Path) -> None:
    """Refuse an HDF5 file that is something else, or of another schema."""
    kind, schema = attribute(file, "amr_format", where), attribute(file, "schema", where)
    if not isinstance(kind, str) or kind != FORMAT:
        with damage_told(where):
            found = ", ".join(sorted(file.keys())[:8]) or "nothing"
        raise InputError(
            f"an HDF5 file, but not of features of amr (attribute amr_format is {kind!r}; it holds {found})",
            where=where,
            hint="amr extract makes feature files; a folder of .npz files is read as it is",
        )
    if not isinstance(schema, (int, np.integer)) or int(schema) != SCHEMA:
        raise InputError(
            f"feature schema {schema}, this version reads schema {SCHEMA}", where=where, hint="update amr"
        )


def dataset(file: h5py.File, name: str, where: Path, *, ndim: int) -> h5py.Dataset:
    """A dataset that lies in this very file, with the wanted number of axes.

    Raises:
        InputError: it is missing, a link elsewhere, or its data are kept in other files.
    """
    group_name, _, column = name.partition("/")
    with damage_told(where):
        refuse_link(file, group_name, where)
        group = file[group_name]
        if not isinstance(group, h5py.Group):
            raise InputError(f"/{group_name} is not a group", where=where)
        refuse_link(group, column, where)
        found = group[column]
        if not isinstance(found, h5py.Dataset) or found.ndim != ndim:
            raise InputError(f"/{name} is not a dataset of {ndim} axes", where=where)
        _ = found.dtype  # a type that numpy lacks is told here
        if found.is_virtual or found.external:
            raise InputError(f"/{name} keeps its data in other files, which is refused", where=where)
        return found


def refuse_link(group: h5py.Group, name: str, where: Path) -> None:
    """Refuse a name that is missing, or that leads anywhere else than into this file."""
    link = group.get(name, getlink=True)
    if link is None:
        raise InputError(f"{group.name.rstrip('/')}/{name} is missing", where=where)
    if not isinstance(link, h5py.HardLink):
        path = f"{group.name.rstrip('/')}/{name}"
        raise InputError(f"{path} is a {type(link).__name__}, which is refused", where=where)


def check_claim(column: h5py.Dataset, rows: int, file_bytes: int, where: Path) -> None:
    """Refuse to allocate for rows that a file of this size cannot hold."""
    per_row = math.prod(column.shape[1:]) * column.dtype.itemsize
    compressed = column.id.get_create_plist().get_nfilters() > 0
    chunk = math.prod(column.chunks or ()) * column.dtype.itemsize
    if not believable(rows * per_row, file_bytes, compressed=compressed):
        what = f"claims {rows} rows of {per_row} bytes, more than {file_bytes} bytes of file hold"
    elif compressed and chunk > MOST_CHUNK_BYTES:
        what = f"has compressed chunks of {chunk} bytes, expected at most {MOST_CHUNK_BYTES}"
    else:
        return
    hint = "the file is damaged, or not what it claims to be"
    raise InputError(f"{column.name} {what}", where=where, hint=hint)


def read_column(column: h5py.Dataset, kinds: str, file_bytes: int, where: Path) -> npt.NDArray[Any]:
    """A whole small column, after a look at its type (numpy kinds) and size."""
    with damage_told(where):
        if column.dtype.kind not in kinds:
            raise InputError(f"{column.name} is of type {column.dtype}, which is not expected", where=where)
        check_claim(column, column.shape[0], file_bytes, where)
        if column.dtype.kind == "O":
            return read_heap(column, file_bytes, where)
        values: npt.NDArray[Any] = column[:]
        return values


def read_heap(column: h5py.Dataset, file_bytes: int, where: Path) -> npt.NDArray[Any]:
    """A column of strings of varying length, which lie elsewhere in the file.

    A million rows can all point at one long string: they are counted before they are copied.
    """
    stored_plainly = column.chunks and column.id.get_create_plist().get_nfilters() == 0
    if not stored_plainly:  # not of our making
        return read_heap_slowly(column, file_bytes, where)
    total = 0

    def count(chunk: Any) -> None:
        nonlocal total
        _, raw = column.id.read_direct_chunk(chunk.chunk_offset)
        total += int(np.frombuffer(raw, HEAP_POINTER)["length"].sum(dtype=np.int64))

    column.id.chunk_iter(count)
    refuse_copies(column, total, file_bytes, where)
    values: npt.NDArray[Any] = column[:]
    return values


def read_heap_slowly(column: h5py.Dataset, file_bytes: int, where: Path) -> npt.NDArray[Any]:
    """Row by row, as far as the rows together are not longer than the file."""
    values = np.empty(column.shape[0], dtype=object)
    total = 0
    for row in range(len(values)):
        values[row] = column[row]
        total += len(values[row]) if isinstance(values[row], bytes) else 0
        refuse_copies(column, total, file_bytes, where)
    return values


def refuse_copies(column: h5py.Dataset, total: int, file_bytes: int, where: Path) -> None:
    if not believable(total, file_bytes, compressed=False):
        raise InputError(
            f"{column.name} claims strings of {total} bytes, more than {file_bytes} bytes of file hold",
            where=where,
        )


def read_strings(column: h5py.Dataset, file_bytes: int, where: Path) -> list[str]:
    """A column of UTF-8 strings, of fixed or of varying length."""
    values = read_column(column, "SO", file_bytes, where)
    try:
        if values.dtype.kind == "S" and len(values):
            # One decoding for all of them: our own strings of fixed length hold no NUL.
            strings = b"\0".join(values.tolist()).decode("utf-8").split("\0")
            if len(strings) == len(values):
                return strings
        return [str(value, "utf-8") for value in values.tolist()]
    except (TypeError, UnicodeDecodeError) as error:
        raise InputError(f"{column.name} holds something other than UTF-8 text", where=where) from error


def read_offsets(column: h5py.Dataset, rows: int, file_bytes: int, where: Path) -> npt.NDArray[np.int64]:
    """A ``start`` column: rising from 0 and ending inside the ``rows`` that it points into."""
    start = read_column(column, "iu", file_bytes, where).astype(np.int64)
    if len(start) == 0 or start[0] != 0 or np.any(np.diff(start) < 0) or start[-1] > rows:
        raise InputError(
            f"{column.name} does not rise from 0 to at most {rows}", where=where, hint="the file is damaged"
        )
    return start


def require_length(column: h5py.Dataset, count: int, where: Path) -> None:
    if column.shape[0] != count:
        raise InputError(
            f"{column.name} has {column.shape[0]} rows, expected {count}",
            where=where,
            hint="the file is damaged",
        )
