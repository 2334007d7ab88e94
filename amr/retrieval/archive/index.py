"""The index of a feature file in some space (``index_file``): made, kept up to date, searched.

An index is known by content. When size and time of the feature file are those that were last compared, it is
taken to be the index of that file, by those who search and by those who bring it up to date; otherwise every
segment is compared with the frames by their sha256, and what differs or is new is made. Adding recordings to
a file therefore makes the last segments only. Which space it is in is known by what a few fixed frames become
there.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from amr.arrays import IntpArray
from amr.errors import InputError
from amr.formats.features.base import StoredFrames
from amr.formats.features.read import FeatureFile
from amr.formats.features.sums import RowSums
from amr.formats.lock import sole_writer_in
from amr.formats.side_files import require_plain
from amr.processors import free_processors
from amr.retrieval.archive.index_file import (
    MANIFEST,
    MOST_AXES,
    SEGMENT_ROWS,
    Manifest,
    Segment,
    SegmentKey,
    SegmentWriter,
    blocks_of,
    digest_of,
    index_folder,
    read_manifest,
    segment_path,
    write_manifest,
)
from amr.retrieval.archive.spaces import Space, Vector

# Axes are left out, the least first, while all of them together could move a similarity by at most this share
# of what all axes could: of a yamnet query's 521 weights about a hundred count.
LEFT_OUT = 0.02
PROBE_TOLERANCE = 1e-3  # processors differ in the last bits, versions of a space by far more
UNFINISHED = (-1, -1)  # stands for size and time of a file while its index is being made

OnSegment = Callable[[int, int], None]


@dataclass(frozen=True)
class FrameIndex:
    """An index that is up to date.

    Args:
        folder: where it lies.
        manifest: what it holds.
        spread: ``(axes,)``, how far each axis of the index reaches.
    """

    folder: Path
    manifest: Manifest
    spread: Vector

    @property
    def rows(self) -> int:
        return self.manifest.rows

    def similarity(self, vector: Vector, left_out: float = LEFT_OUT) -> Vector:
        """``(rows,)`` inner products of all frames with a query ``(dimensions,)`` of the space.

        Args:
            vector: the query.
            left_out: see :func:`axes_that_count`.

        Raises:
            InputError: a segment is damaged.
        """
        vector = on_axes(vector, basis_of(self.manifest))
        axes = axes_that_count(vector, self.spread, left_out)
        out = np.empty(self.rows, dtype=np.float32)
        with ThreadPoolExecutor(free_processors()) as pool:
            list(pool.map(lambda number: self._segment(number, vector, axes, out), range(self.num_segments)))
        return out

    @property
    def num_segments(self) -> int:
        return len(self.manifest.segments)

    def _segment(self, number: int, vector: Vector, axes: IntpArray, out: Vector) -> None:
        start = number * SEGMENT_ROWS
        key = self.manifest.segments[number]
        with open_segment(self.folder, number, key, len(vector)) as segment:
            segment.dot(vector, axes.tolist(), out[start : start + key.rows])


def open_segment(folder: Path, number: int, key: SegmentKey, axes: int) -> Segment:
    return Segment(segment_path(folder, number), key, axes)


def axes_that_count(vector: Vector, spread: Vector, left_out: float = LEFT_OUT) -> IntpArray:
    """The axes, rising, that together make up all but the share ``left_out`` of what a query tells apart."""
    reach = np.abs(vector.astype(np.float64)) * spread
    order = np.argsort(-reach, kind="stable")
    tail = np.cumsum(reach[order][::-1])[::-1]  # what an axis and all lesser ones make up
    kept = order[tail > left_out * reach.sum()]
    return np.sort(kept)


def basis_of(manifest: Manifest) -> Vector | None:
    """``(axes, dimensions)`` of an index that keeps other axes than the dimensions of its space."""
    return None if manifest.basis is None else np.array(manifest.basis, dtype=np.float32)


def on_axes(vectors: Vector, basis: Vector | None) -> Vector:
    """``(..., dimensions)`` of the space to ``(..., axes)`` of its index."""
    return vectors if basis is None else vectors @ basis.T


def find_index(features: FeatureFile, space: Space) -> FrameIndex | None:
    """The index of a feature file; None where there is none, or one of another file, state or space; one that
    is damaged or no index is reported once."""
    folder = index_folder(features.path, space.model)
    try:
        manifest = read_manifest(folder)
        if manifest is None or not is_of(manifest, features, space) or not is_current(manifest, features):
            return None
        return opened(folder, manifest)
    except InputError as error:
        warn_once(f"{error}; searched without this index")
        return None


@functools.cache
def warn_once(what: str) -> None:
    """Once a process."""
    logging.getLogger("amr").warning("%s", what)


def opened(folder: Path, manifest: Manifest) -> FrameIndex:
    """The index, after a look at every segment. Raises ``InputError``."""
    axes = manifest.axes
    spread = np.zeros(axes, dtype=np.float32)
    for number, key in enumerate(manifest.segments):
        with open_segment(folder, number, key, axes) as segment:
            spread = np.maximum(spread, segment.table.step.mean(axis=0))
    return FrameIndex(folder, manifest, spread)


def is_of(manifest: Manifest, features: FeatureFile, space: Space) -> bool:
    """Whether the index is in this space, of this encoder's frames."""
    probe = space.probe(features.dimension)
    known = np.array(manifest.probe, dtype=np.float32)
    same_space = known.shape == probe.shape and np.allclose(known, probe, atol=PROBE_TOLERANCE)
    return same_space and manifest.encoder == features.identity_json


def is_current(manifest: Manifest, features: FeatureFile) -> bool:
    """Whether the feature file is as it was when it was last compared."""
    return (manifest.source_bytes, manifest.source_mtime_ns, manifest.rows) == (
        *stamp(features),
        features.total_frames,
    )


def stamp(features: FeatureFile) -> tuple[int, int]:
    """Size and time of change of the file."""
    stat = features.path.stat()
    return stat.st_size, stat.st_mtime_ns


def build_index(features: FeatureFile, space: Space, on_segment: OnSegment | None = None) -> FrameIndex:
    """Make the index of a feature file, or what is missing of it. Killed, it goes on where it was.

    Args:
        on_segment: called with how many segments are done, of how many.

    Raises:
        InputError: the features hold values that are not finite, or there is nothing in them.
        OSError: it cannot be written.
    """
    folder = index_folder(features.path, space.model)
    if features.total_frames == 0:
        raise InputError("holds no frame, there is nothing to index", where=features.path)
    probe = space.probe(features.dimension)
    if probe.shape[1] > MOST_AXES:
        raise InputError(f"a space of {probe.shape[1]} dimensions cannot be indexed", where=features.path)
    with held_index(folder):
        return make_index(folder, features, space, probe, on_segment)


@contextmanager
def held_index(folder: Path) -> Iterator[None]:
    """Make the folder of an index and keep other writers out.

    Raises:
        InputError: something else stands under its name, a link too; another process writes it.
    """
    if folder.is_symlink():
        raise InputError("is a link, its target is left as it is", where=folder)
    folder.mkdir(exist_ok=True)
    with sole_writer_in(folder):
        yield


def make_index(
    folder: Path, features: FeatureFile, space: Space, probe: Vector, on_segment: OnSegment | None
) -> FrameIndex:
    """What is missing of an index, in its folder."""
    before = stamp(features)
    old, basis, unchanged = what_is_left(folder, features, space)
    axes = probe.shape[1] if basis is None else len(basis)
    making = IndexMaking(folder, features, space, basis, axes, unchanged, features.row_sums())
    starts = range(0, features.total_frames, SEGMENT_ROWS)
    segments: list[SegmentKey] = []

    def manifest(source: tuple[int, int]) -> Manifest:
        kept = None if basis is None else basis.tolist()
        return Manifest(features.identity_json, probe.tolist(), segments, *source, kept)

    with space.working():
        for number, start in enumerate(starts):
            rows = range(start, min(start + SEGMENT_ROWS, features.total_frames))
            known = old[number] if number < len(old) else None
            segments.append(making.updated(number, rows, known))
            if segments[-1] is not known:
                write_manifest(folder, manifest(UNFINISHED))
            if on_segment is not None:
                on_segment(number + 1, len(starts))
    features.require_sums(making.seen)
    made = manifest(before)
    write_manifest(folder, made)
    return opened(folder, made)


def what_is_left(
    folder: Path, features: FeatureFile, space: Space
) -> tuple[list[SegmentKey | None], Vector | None, bool]:
    """The segments that are there, None for what is damaged; the basis that they are in; whether the feature
    file is as it was when they were made.

    What they were made of is not compared. A manifest of another space is removed first: its segments would
    be taken for those that replace them.

    Raises:
        InputError: what stands under the manifest's name is no file.
    """
    require_plain(folder / MANIFEST)
    try:
        manifest = read_manifest(folder)
    except InputError:
        manifest = None
    if manifest is None or not is_of(manifest, features, space):
        (folder / MANIFEST).unlink(missing_ok=True)
        return [], space.basis(), False
    keys = enumerate(manifest.segments)
    whole = [key if is_whole(folder, number, key, manifest.axes) else None for number, key in keys]
    return whole, basis_of(manifest), is_current(manifest, features)


def is_whole(folder: Path, number: int, key: SegmentKey, axes: int) -> bool:
    """Whether a segment is there and is the one that was meant."""
    try:
        with open_segment(folder, number, key, axes) as segment:
            segment.require_whole()
            return True
    except InputError:
        return False


@dataclass(frozen=True)
class IndexMaking:
    """What the segments of an index are made of: see :func:`build_index`."""

    folder: Path
    features: FeatureFile
    space: Space
    basis: Vector | None
    axes: int
    unchanged: bool
    seen: RowSums

    def updated(self, number: int, rows: range, known: SegmentKey | None) -> SegmentKey:
        """The segment of these rows of the file; made only where it is not there already."""
        as_long = known is not None and known.rows == len(rows)
        if known is not None and as_long and (self.unchanged or known.sha256 == self.digest(rows)):
            return known
        writer = SegmentWriter(len(rows), self.axes)

        def make(block: slice) -> bytes:
            frames = self.read(rows, block)
            self.seen.add(rows.start + block.start, frames)
            values = on_axes(self.space.values(frames), self.basis)
            if not np.isfinite(values).all():
                raise InputError("holds frames that are not finite numbers", where=self.features.path)
            writer.put(block, values)
            return sha256(frames.data).digest()

        return writer.write(self.folder, number, digest_of(in_threads(make, len(rows))))

    def digest(self, rows: range) -> str:
        """The sha256 of what a segment is made of."""
        return digest_of(in_threads(lambda block: sha256(self.read(rows, block).data).digest(), len(rows)))

    def read(self, rows: range, block: slice) -> StoredFrames:
        return self.features.rows(rows.start + block.start, rows.start + block.stop)


def in_threads(work: Callable[[slice], bytes], rows: int) -> list[bytes]:
    """``work`` on every block, in order; the kernels leave Python's lock."""
    with ThreadPoolExecutor(free_processors()) as pool:
        return list(pool.map(work, blocks_of(rows)))
