"""A compact copy of all frames of a feature file in some space, for searching many of them at once.

The index of ``feats.h5`` in the joint space is the folder ``feats.h5.index``, in the space of a model the
folder ``feats.h5.MODEL.index``: a ``manifest.json`` and one segment a 262,144 rows. A segment keeps each axis
of the space in one piece, as bytes: a query that looks at few axes reads few bytes, and a query that looks at
all of them reads a quarter of the features. Within a block of 4096 rows the 256 levels of an axis spread
evenly from its least to its greatest value.

A segment, in order: a head of 4096 bytes (JSON), then float32 ``low``, ``step`` and ``mean``, each
``(blocks, axes)``, then uint8 ``levels (axes, rows)``, then uint64 ``sums (axes,)``, the exclusive or of each
axis's levels. The head has the CRC-32 of the three tables and the sums, the manifest that of itself; indexes
of earlier versions have neither. Everything appears under its name when it is complete, and the manifest
last; it says of each segment which stored frames it was made of.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amr.arrays import Float32Array, UInt8Array, UInt64Array
from amr.errors import InputError
from amr.formats.features.sums import sum_of_frames
from amr.formats.side_files import open_side_file, read_into
from amr.formats.streams import open_side_output

FORMAT = "frame index"
SCHEMA = 1
CRC = "crc32"
SUFFIX = ".index"
MANIFEST = "manifest.json"
SEGMENT_ROWS = 2**18
BLOCK_ROWS = 4096  # its float32 copy of 32 axes fits a processor's own cache
AXES_AT_ONCE = 32
HEAD_BYTES = 4096
MOST_AXES = 2**16
LARGEST_MANIFEST_BYTES = 2**26

Vector = Float32Array
Levels = UInt8Array


@dataclass(frozen=True)
class SegmentKey:
    """What a segment was made of: ``rows`` stored frames of this ``sha256``."""

    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an index is of, and whether it still is.

    Args:
        encoder: the JSON of the encoder's identity.
        probe: what a few fixed frames become in the space, ``(frames, dimensions)``: another version of it is
            recognised by them.
        segments: one a run of ``SEGMENT_ROWS`` rows.
        source_bytes: size of the feature file that was last compared with the index.
        source_mtime_ns: when that file was changed.
        basis: ``(axes, dimensions)``, orthonormal: the directions of the space that are the axes of the
            index. None: its own dimensions are.
    """

    encoder: str
    probe: list[list[float]]
    segments: list[SegmentKey]
    source_bytes: int
    source_mtime_ns: int
    basis: list[list[float]] | None = None

    @property
    def rows(self) -> int:
        return sum(segment.rows for segment in self.segments)

    @property
    def axes(self) -> int:
        return len(self.probe[0] if self.basis is None else self.basis)


class Table(NamedTuple):
    """How the bytes of a segment become values: ``low + step * level``, each ``(blocks, axes)``."""

    low: Vector
    step: Vector
    mean: Vector


def index_folder(features: Path, model: str = "") -> Path:
    """Where the index of a feature file lies: of the joint space, or of the space of ``model``."""
    return features.with_name(features.name + (f".{model}" if model else "") + SUFFIX)


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.segment"


def num_blocks(rows: int) -> int:
    return -(-rows // BLOCK_ROWS)


def blocks_of(rows: int) -> Iterator[slice]:
    """The rows of each block."""
    for start in range(0, rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, rows))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest. Raises ``OSError``."""
    record: dict[str, Any] = {"amr_format": FORMAT, "schema": SCHEMA, **asdict(manifest)}
    record[CRC] = sum_of_record(record)
    with open_side_output(folder / MANIFEST) as file:
        file.write(json.dumps(record).encode("ascii") + b"\n")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest; None where there is none.

    Raises:
        InputError: it is none of this schema, or damaged.
    """
    path = folder / MANIFEST
    try:
        handle = open_side_file(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with open(handle, "rb") as file:
        data = file.read(LARGEST_MANIFEST_BYTES + 1)
    if len(data) > LARGEST_MANIFEST_BYTES:
        raise damaged(path, f"is larger than {LARGEST_MANIFEST_BYTES} bytes")
    try:
        record = json.loads(data)
        crc = record.pop(CRC, None)
        if crc is not None and crc != sum_of_record(record):
            raise damaged(path, "is damaged: its checksum does not match")
        return parse_manifest(record, path)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise damaged(path, f"is not a manifest ({type(error).__name__}: {error})") from error


def sum_of_record(record: Mapping[str, Any]) -> int:
    """CRC-32 of a manifest."""
    return zlib.crc32(json.dumps(record, sort_keys=True).encode("ascii"))


def parse_manifest(record: Any, path: Path) -> Manifest:
    """Raises ``KeyError``, ``TypeError`` or ``ValueError`` where something is missing or of another kind."""
    if record["amr_format"] != FORMAT or record["schema"] != SCHEMA:
        raise damaged(path, f"is not of schema {SCHEMA}")
    segments = [SegmentKey(positive(each["rows"]), str(each["sha256"])) for each in record["segments"]]
    if any(segment.rows != SEGMENT_ROWS for segment in segments[:-1]) or any(
        segment.rows > SEGMENT_ROWS for segment in segments
    ):
        raise ValueError("a segment of another length")
    probe = parse_table(record["probe"])
    basis = record.get("basis")
    if basis is not None:
        basis = parse_table(basis)
        if len(basis[0]) != len(probe[0]):
            raise ValueError("the basis is not of the probe's dimensions")
    return Manifest(
        encoder=str(record["encoder"]),
        probe=probe,
        segments=segments,
        source_bytes=int(record["source_bytes"]),
        source_mtime_ns=int(record["source_mtime_ns"]),
        basis=basis,
    )


def parse_table(rows: Any) -> list[list[float]]:
    """Rows of equally many finite numbers, at least one of each."""
    table = [[float(value) for value in row] for row in rows]
    if len({len(row) for row in table}) != 1 or not table[0]:
        raise ValueError("rows of a table differ in length, or there are none")
    if not np.isfinite(np.array(table)).all():
        raise ValueError("a table holds values that are not finite numbers")
    return table


def positive(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a positive whole number")
    return value


def damaged(path: Path, what: str) -> InputError:
    """The error for a file of an index that is not what it should be."""
    return InputError(what, where=path, hint="amr predict --index makes it again")


class SegmentWriter:
    """Collects the blocks of one segment, in any order and from several threads, and writes it.

    Args:
        rows: rows of the segment.
        axes: axes of the index.
    """

    def __init__(self, rows: int, axes: int) -> None:
        shape = (num_blocks(rows), axes)
        self.levels: Levels = np.empty((axes, rows), dtype=np.uint8)
        self.table = Table(*(np.empty(shape, dtype=np.float32) for _ in range(3)))

    def put(self, block: slice, joint: Vector) -> None:
        """The values ``(rows, axes)`` of one of :func:`blocks_of`."""
        number = block.start // BLOCK_ROWS
        low = joint.min(axis=0)
        step = (joint.max(axis=0) - low) / np.float32(255)
        self.table.low[number], self.table.step[number] = low, step
        self.table.mean[number] = joint.mean(axis=0)
        scaled = (joint - low) / np.where(step > 0, step, np.float32(1))
        self.levels[:, block] = np.rint(scaled).astype(np.uint8).T

    def write(self, folder: Path, number: int, sha256: str) -> SegmentKey:
        """The segment under its name. Raises ``OSError``."""
        axes, rows = self.levels.shape
        tables = b"".join(values.astype("<f4").tobytes() for values in self.table)
        sums = np.array([sum_of_frames(axis) for axis in self.levels], dtype="<u8").tobytes()
        head = {"amr_format": FORMAT, "schema": SCHEMA, "rows": rows, "axes": axes, "sha256": sha256}
        head[CRC] = zlib.crc32(sums, zlib.crc32(tables))
        with open_side_output(segment_path(folder, number)) as file:
            file.write(json.dumps(head).encode("ascii").ljust(HEAD_BYTES - 1) + b"\n")
            file.write(tables)
            file.write(self.levels.data)
            file.write(sums)
        return SegmentKey(rows, sha256)


class Segment:
    """One segment, open for reading.

    Raises:
        InputError: it is missing, damaged, or of other frames than ``key`` says.
    """

    def __init__(self, path: Path, key: SegmentKey, axes: int) -> None:
        self.path, self.rows, self.axes = path, key.rows, axes
        self.sums: UInt64Array | None = None
        try:
            self.handle = open_side_file(path, os.O_RDONLY)
        except FileNotFoundError as error:
            raise damaged(path, "no such file") from error
        try:
            self.table = self._load(key)
        except BaseException:
            self.close()
            raise

    def _load(self, key: SegmentKey) -> Table:
        wanted = {"amr_format": FORMAT, "schema": SCHEMA, "rows": key.rows, "axes": self.axes}
        head = self._head()
        crc = head.pop(CRC, None)
        if head != {**wanted, "sha256": key.sha256}:
            raise damaged(self.path, "is not the segment that the manifest names")
        table_bytes = num_blocks(self.rows) * self.axes * 4
        self.levels_at = HEAD_BYTES + 3 * table_bytes
        sums_at = self.levels_at + self.rows * self.axes
        if os.fstat(self.handle).st_size != sums_at + (8 * self.axes if crc is not None else 0):
            raise damaged(self.path, "is cut, or longer than it should be")
        data = np.empty((3, num_blocks(self.rows), self.axes), dtype="<f4")
        self._read([data.data.cast("B")], HEAD_BYTES)
        if not np.isfinite(data).all():
            raise damaged(self.path, "holds values that are not finite numbers")
        if crc is not None:
            sums = np.empty(self.axes, dtype="<u8")
            self._read([sums.data.cast("B")], sums_at)
            if crc != zlib.crc32(sums.tobytes(), zlib.crc32(data.tobytes())):
                raise damaged(self.path, "is damaged: its checksum does not match")
            self.sums = sums
        return Table(*data)

    def _head(self) -> dict[str, Any]:
        try:
            head = json.loads(os.pread(self.handle, HEAD_BYTES, 0))
        except (ValueError, RecursionError):
            return {}
        return head if isinstance(head, dict) else {}

    def _read_axis(self, axis: int, levels: Levels) -> None:
        """The levels ``(rows,)`` of an axis. Raises ``InputError`` where they are not those written."""
        self._read([levels.data], self.levels_at + axis * self.rows)
        if self.sums is not None and sum_of_frames(levels) != int(self.sums[axis]):
            raise damaged(self.path, "is damaged: the checksum of an axis is another")

    def require_whole(self) -> None:
        """Look at all levels. Raises ``InputError``."""
        levels = np.empty(self.rows, dtype=np.uint8)
        for axis in range(self.axes):
            self._read_axis(axis, levels)

    def _read(self, views: list[memoryview], offset: int) -> None:
        for view in views:
            done = 0
            while done < len(view):
                count = read_into(self.handle, view[done:], offset + done)
                if count == 0:
                    raise damaged(self.path, "ends early")
                done += count
            offset += len(view)

    def dot(self, vector: Vector, axes: Sequence[int], out: Vector) -> None:
        """``out (rows,)`` becomes the inner products of all rows with ``vector (axes,)``.

        Only ``axes`` (rising) are looked at; of the others each block's mean stands for all of its rows.
        """
        kept = np.asarray(axes, dtype=np.intp)
        others = np.setdiff1d(np.arange(self.axes), kept)
        low, step, mean = self.table
        base = low[:, kept] @ vector[kept] + mean[:, others] @ vector[others]
        out[:] = np.repeat(base, BLOCK_ROWS)[: self.rows]
        levels = np.empty((AXES_AT_ONCE, self.rows), dtype=np.uint8)
        values = np.empty((AXES_AT_ONCE, BLOCK_ROWS), dtype=np.float32)
        for start in range(0, len(kept), AXES_AT_ONCE):
            some = kept[start : start + AXES_AT_ONCE]
            for row, axis in enumerate(some):
                self._read_axis(int(axis), levels[row])
            weights = step[:, some] * vector[some]
            for number, block in enumerate(blocks_of(self.rows)):
                tile = values[: len(some), : block.stop - block.start]
                np.copyto(tile, levels[: len(some), block])
                out[block] += weights[number] @ tile

    def close(self) -> None:
        os.close(self.handle)

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def digest_of(blocks: Sequence[bytes]) -> str:
    """One sha256 of the blocks' own."""
    import hashlib

    return hashlib.sha256(b"".join(blocks)).hexdigest()
