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

from amr.arrays import Int64Array
from amr.errors import InputError
from amr.formats.encoder_names import checked_name
from amr.formats.features.base import FORMAT, SCHEMA
from amr.formats.features.hdf5 import damage_explained, open_hdf5
from amr.formats.untrusted.claims import believable

AUDIO_COLUMNS = ("frames", "start", "id", "duration_s", "source")
NUMBERS = ("audio/frames", "text/tokens", "text/pooled")
"""Columns that only numbers can be in."""

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


class CheckedColumns:
    """The columns and attributes of a feature file, each checked before it is read.

    A column is opened once: it stays as long as it was then, whatever a writer adds.

    Raises:
        InputError: it is something else than features of this schema, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_hdf5(path)
        self._opened: dict[str, h5py.Dataset] = {}
        try:
            self._check_root()
            self._file_bytes = path.stat().st_size
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def _check_root(self) -> None:
        """Refuse an HDF5 file that is something else, or of another schema."""
        kind, schema = self.attribute("amr_format"), self.attribute("schema")
        if not isinstance(kind, str) or kind != FORMAT:
            with damage_explained(self.path):
                found = ", ".join(sorted(self._file.texts.keys())[:8]) or "nothing"
            raise self._error(
                f"an HDF5 file, but not of features of amr (attribute amr_format is {kind!r};"
                f" it holds {found})",
                "amr extract makes feature files; a folder of .npz files is read as it is",
            )
        if not isinstance(schema, (int, np.integer)) or int(schema) != SCHEMA:
            raise self._error(f"feature schema {schema}, this version reads schema {SCHEMA}", "update amr")

    def _error(self, what: str, hint: str = "") -> InputError:
        return InputError(what, where=self.path, hint=hint)

    def attribute(self, name: str) -> Any:
        """An attribute of the whole file, a text or a whole number; None where there is none.

        Raises:
            InputError: it is damaged or something else. Its value is not read then: sequences of odd types
                end the process.
        """
        file = self._file.texts
        with damage_explained(self.path):
            if name not in file.attrs:
                return None
            found = h5py.h5a.open(file.id, name.encode())
            kind = found.get_type()
            is_plain = found.shape == () and kind.get_class() in (h5py.h5t.STRING, h5py.h5t.INTEGER)
            if not is_plain or kind.get_size() > MOST_ATTRIBUTE_BYTES:
                raise self._error(f"the attribute {name!r} is neither a text nor a whole number")
            return file.attrs[name]

    def column(self, name: str, ndim: int = 1) -> h5py.Dataset:
        """A dataset that lies in this very file, with ``ndim`` axes, e.g. ``audio/frames``.

        Raises:
            InputError: it is missing, a link elsewhere, its data are kept in other files, or it is one of
                :data:`NUMBERS` and of another type.
        """
        if name not in self._opened:
            file = self._file.rows if name in NUMBERS else self._file.texts
            column = self._dataset(file, name, ndim)
            if name in NUMBERS and column.dtype.kind != "f":
                raise self._error(f"/{name} is {column.dtype} of {column.shape[1]} columns, expected numbers")
            self._opened[name] = column
        return self._opened[name]

    def _dataset(self, file: h5py.File, name: str, ndim: int) -> h5py.Dataset:
        group_name, _, column = name.partition("/")
        with damage_explained(self.path):
            self._refuse_link(file, group_name)
            group = file[group_name]
            if not isinstance(group, h5py.Group):
                raise self._error(f"/{group_name} is not a group")
            self._refuse_link(group, column)
            found = group[column]
            if not isinstance(found, h5py.Dataset) or found.ndim != ndim:
                raise self._error(f"/{name} is not a dataset of {ndim} axes")
            _ = found.dtype  # a type that numpy lacks is refused here
            if found.is_virtual or found.external:
                raise self._error(f"/{name} keeps its data in other files, which is refused")
            return found

    def _refuse_link(self, group: h5py.Group, name: str) -> None:
        """Refuse a name that is missing, or that leads anywhere else than into this file."""
        link = group.get(name, getlink=True)
        path = f"{group.name.rstrip('/')}/{name}"
        if link is None:
            raise self._error(f"{path} is missing")
        if not isinstance(link, h5py.HardLink):
            raise self._error(f"{path} is a {type(link).__name__}, which is refused")

    def check_claim(self, column: h5py.Dataset, rows: int) -> None:
        """Refuse to allocate for rows that a file of this size cannot hold."""
        per_row = math.prod(column.shape[1:]) * column.dtype.itemsize
        compressed = column.id.get_create_plist().get_nfilters() > 0
        chunk = math.prod(column.chunks or ()) * column.dtype.itemsize
        if not believable(rows * per_row, self._file_bytes, compressed=compressed):
            what = f"claims {rows} rows of {per_row} bytes, more than {self._file_bytes} bytes of file hold"
        elif compressed and chunk > MOST_CHUNK_BYTES:
            what = f"has compressed chunks of {chunk} bytes, expected at most {MOST_CHUNK_BYTES}"
        else:
            return
        raise self._error(f"{column.name} {what}", "the file is damaged, or not what it claims to be")

    def values(self, name: str, kinds: str) -> npt.NDArray[Any]:
        """A whole small column, after a look at its type (numpy kinds) and size."""
        column = self.column(name)
        with damage_explained(self.path):
            if column.dtype.kind not in kinds:
                raise self._error(f"{column.name} is of type {column.dtype}, which is not expected")
            self.check_claim(column, column.shape[0])
            if column.dtype.kind == "O":
                return self._heap_values(column)
            values: npt.NDArray[Any] = column[:]
            return values

    def optional(self, name: str, kinds: str) -> npt.NDArray[Any]:
        """A small column of numbers that files of earlier versions lack: empty there."""
        group_name, _, column = name.partition("/")
        with damage_explained(self.path):
            is_there = column in self._file.texts[group_name]
        return self.values(name, kinds) if is_there else np.empty(0, dtype=np.uint64)

    def _heap_values(self, column: h5py.Dataset) -> npt.NDArray[Any]:
        """A column of strings of varying length, which lie elsewhere in the file.

        A million rows can all point at one long string: they are counted before they are copied.
        """
        stored_plainly = column.chunks and column.id.get_create_plist().get_nfilters() == 0
        if not stored_plainly:  # not of our making
            return self._heap_values_by_row(column)
        total = 0

        def count(chunk: Any) -> None:
            nonlocal total
            _, raw = column.id.read_direct_chunk(chunk.chunk_offset)
            total += int(np.frombuffer(raw, HEAP_POINTER)["length"].sum(dtype=np.int64))

        column.id.chunk_iter(count)
        self._refuse_copies(column, total)
        values: npt.NDArray[Any] = column[:]
        return values

    def _heap_values_by_row(self, column: h5py.Dataset) -> npt.NDArray[Any]:
        """Row by row, as far as the rows together are not longer than the file."""
        values = np.empty(column.shape[0], dtype=object)
        total = 0
        for row in range(len(values)):
            values[row] = column[row]
            total += len(values[row]) if isinstance(values[row], bytes) else 0
            self._refuse_copies(column, total)
        return values

    def _refuse_copies(self, column: h5py.Dataset, total: int) -> None:
        if not believable(total, self._file_bytes, compressed=False):
            what = f"claims strings of {total} bytes, more than {self._file_bytes} bytes of file hold"
            raise self._error(f"{column.name} {what}")

    def strings(self, name: str) -> list[str]:
        """A column of UTF-8 strings, of fixed or of varying length."""
        values = self.values(name, "SO")
        try:
            if values.dtype.kind == "S" and len(values):
                # One decoding for all of them: our own strings of fixed length hold no NUL.
                strings = b"\0".join(values.tolist()).decode("utf-8").split("\0")
                if len(strings) == len(values):
                    return strings
            return [str(value, "utf-8") for value in values.tolist()]
        except (TypeError, UnicodeDecodeError) as error:
            raise self._error(f"/{name} holds something other than UTF-8 text") from error

    def offsets(self, name: str, rows: int) -> Int64Array:
        """A ``start`` column: rising from 0 and ending inside the ``rows`` that it points into."""
        start = self.values(name, "iu").astype(np.int64)
        if len(start) == 0 or start[0] != 0 or np.any(np.diff(start) < 0) or start[-1] > rows:
            raise self._error(f"/{name} does not rise from 0 to at most {rows}", "the file is damaged")
        return start

    def require_length(self, name: str, count: int, ndim: int = 1) -> None:
        """Refuse a column of more or fewer rows."""
        if (found := self.column(name, ndim).shape[0]) != count:
            raise self._error(f"/{name} has {found} rows, expected {count}", "the file is damaged")
