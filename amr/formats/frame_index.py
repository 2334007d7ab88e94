"""A compact copy of all frames of a feature file in some space, for searching many of them at once.

The index of ``feats.h5`` in the joint space is the folder ``feats.h5.index``, in the own space of a model the
folder ``feats.h5.MODEL.index``: a ``manifest.json`` and one segment a 262,144 rows. A segment keeps each axis
of the space in one piece, as bytes: a query that looks at few axes reads few bytes, and a query that looks at
all of them reads a quarter of the features. Within a block of 4096 rows the 256 levels of an axis spread
evenly from its least to its greatest value.

A segment, in order: a head of 4096 bytes (JSON), then float32 ``low``, ``step`` and ``mean``, each
``(blocks, axes)``, then uint8 ``levels (axes, rows)``. Everything appears under its name when it is complete,
and the manifest last; it says of each segment which stored frames it was made of.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from amr.errors import InputError
from amr.formats.streams import open_output

FORMAT = "frame index"
SCHEMA = 1
SUFFIX = ".index"
MANIFEST = "manifest.json"
SEGMENT_ROWS = 2**18
BLOCK_ROWS = 4096  # its float32 copy of 32 axes fits a processor's own cache
AXES_AT_ONCE = 32
HEAD_BYTES = 4096
MOST_AXES = 2**16
LARGEST_MANIFEST_BYTES = 2**26

Vector = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]


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
    """Where the index of a feature file lies: of the joint space, or of the own space of ``model``."""
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
    record = {"amr_format": FORMAT, "schema": SCHEMA, **asdict(manifest)}
    with open_output(folder / MANIFEST, force=True) as file:
        file.write(json.dumps(record).encode("ascii") + b"\n")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest; None where there is none.

    Raises:
        InputError: it is none of this schema, or damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST_MANIFEST_BYTES:
        raise damaged(path, f"is larger than {LARGEST_MANIFEST_BYTES} bytes")
    try:
        record = json.loads(path.read_bytes())
        return parse_manifest(record, path)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise damaged(path, f"is no manifest ({type(error).__name__}: {error})") from error


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
        head = {"amr_format": FORMAT, "schema": SCHEMA, "rows": rows, "axes": axes, "sha256": sha256}
        with open_output(segment_path(folder, number), force=True) as file:
            file.write(json.dumps(head).encode("ascii").ljust(HEAD_BYTES - 1) + b"\n")
            for values in self.table:
                file.write(values.astype("<f4").tobytes())
            file.write(self.levels.data)
        return SegmentKey(rows, sha256)


class Segment:
    """One segment, open for reading.

    Raises:
        InputError: it is missing, damaged, or of other frames than ``key`` says.
    """

    def __init__(self, path: Path, key: SegmentKey, axes: int) -> None:
        self.path, self.rows, self.axes = path, key.rows, axes
        try:
            self.handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError as error:
            raise damaged(path, "no such file") from error
        try:
            self.table = self._load(key)
        except BaseException:
            self.close()
            raise

    def _load(self, key: SegmentKey) -> Table:
        head = {"amr_format": FORMAT, "schema": SCHEMA, "rows": key.rows, "axes": self.axes}
        if self._head() != {**head, "sha256": key.sha256}:
            raise damaged(self.path, "is not the segment that the manifest names")
        table_bytes = num_blocks(self.rows) * self.axes * 4
        self.levels_at = HEAD_BYTES + 3 * table_bytes
        if os.fstat(self.handle).st_size != self.levels_at + self.rows * self.axes:
            raise damaged(self.path, "is cut, or longer than it should be")
        data = np.empty((3, num_blocks(self.rows), self.axes), dtype="<f4")
        self._read([data.data.cast("B")], HEAD_BYTES)
        if not np.isfinite(data).all():
            raise damaged(self.path, "holds values that are not finite numbers")
        return Table(*data)

    def _head(self) -> object:
        try:
            return json.loads(os.pread(self.handle, HEAD_BYTES, 0))
        except (ValueError, RecursionError):
            return None

    def _read(self, views: list[memoryview], offset: int) -> None:
        for view in views:
            done = 0
            while done < len(view):
                count = os.preadv(self.handle, [view[done:]], offset + done)
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
                self._read([levels[row].data], self.levels_at + int(axis) * self.rows)
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
