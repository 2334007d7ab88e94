"""The joint-space index of a feature file (``amr.formats.frame_index``): made, kept up to date, searched.

An index is known by content. When size and time of the feature file are those that were last compared, it is
taken to be the index of that file; otherwise every segment is compared with the frames by their sha256, and
what differs or is new is made. Adding recordings to a file therefore makes the last segments only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from amr.encoders.base import Encoder
from amr.errors import InputError
from amr.formats.features_rows import FeatureRows
from amr.formats.frame_index import (
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
from amr.processors import free_processors

Vector = npt.NDArray[np.float32]

# Axes are left out, the least first, while all of them together could move a similarity by at most this share
# of what all axes could: of a yamnet query's 521 weights about a hundred count.
LEFT_OUT = 0.02
PROBE_FRAMES = 4
PROBE_TOLERANCE = 1e-3  # processors differ in the last bits, versions of a joint space by far more
UNFINISHED = (-1, -1)  # stands for size and time of a file while its index is being made

OnSegment = Callable[[int, int], None]


@dataclass(frozen=True)
class JointIndex:
    """An index that is up to date.

    Args:
        folder: where it lies.
        manifest: what it holds.
        spread: ``(axes,)``, how far each axis of the joint space reaches.
    """

    folder: Path
    manifest: Manifest
    spread: Vector

    @property
    def rows(self) -> int:
        return self.manifest.rows

    def similarity(self, vector: Vector) -> Vector:
        """``(rows,)`` inner products of all frames with a query ``(axes,)`` of the joint space.

        Raises:
            InputError: a segment is damaged.
        """
        axes = axes_that_count(vector, self.spread)
        out = np.empty(self.rows, dtype=np.float32)
        with ThreadPoolExecutor(free_processors()) as pool:
            list(pool.map(lambda number: self._segment(number, vector, axes, out), range(self.num_segments)))
        return out

    @property
    def num_segments(self) -> int:
        return len(self.manifest.segments)

    def _segment(self, number: int, vector: Vector, axes: npt.NDArray[np.intp], out: Vector) -> None:
        start = number * SEGMENT_ROWS
        key = self.manifest.segments[number]
        with open_segment(self.folder, number, key, len(vector)) as segment:
            segment.dot(vector, axes.tolist(), out[start : start + key.rows])


def open_segment(folder: Path, number: int, key: SegmentKey, axes: int) -> Segment:
    return Segment(segment_path(folder, number), key, axes)


def axes_that_count(vector: Vector, spread: Vector) -> npt.NDArray[np.intp]:
    """The axes, rising, that together make up all but ``LEFT_OUT`` of what the query can tell apart."""
    reach = np.abs(vector.astype(np.float64)) * spread
    order = np.argsort(-reach, kind="stable")
    tail = np.cumsum(reach[order][::-1])[::-1]  # what an axis and all lesser ones make up
    kept = order[tail > LEFT_OUT * reach.sum()]
    return np.sort(kept)


def find_index(features: FeatureRows, encoder: Encoder) -> JointIndex | None:
    """The index of a feature file; None where there is none, or one of another file, state or encoder."""
    folder = index_folder(features.path)
    try:
        manifest = read_manifest(folder)
        if manifest is None or not is_of(manifest, features, encoder) or not is_current(manifest, features):
            return None
        return opened(folder, manifest)
    except InputError:
        return None  # damaged, or of a newer version: as good as none


def opened(folder: Path, manifest: Manifest) -> JointIndex:
    """The index, after a look at every segment. Raises ``InputError``."""
    axes = len(manifest.probe[0])
    spread = np.zeros(axes, dtype=np.float32)
    for number, key in enumerate(manifest.segments):
        with open_segment(folder, number, key, axes) as segment:
            spread = np.maximum(spread, segment.table.step.mean(axis=0))
    return JointIndex(folder, manifest, spread)


def is_of(manifest: Manifest, features: FeatureRows, encoder: Encoder) -> bool:
    """Whether the index is in this encoder's joint space."""
    probe = probe_of(encoder, features.dimension)
    known = np.array(manifest.probe, dtype=np.float32)
    same_space = known.shape == probe.shape and np.allclose(known, probe, atol=PROBE_TOLERANCE)
    return same_space and manifest.encoder == features.identity_json


def is_current(manifest: Manifest, features: FeatureRows) -> bool:
    """Whether the feature file is as it was when it was last compared."""
    return (manifest.source_bytes, manifest.source_mtime_ns, manifest.rows) == (
        *stamp(features),
        features.total_frames,
    )


def stamp(features: FeatureRows) -> tuple[int, int]:
    """Size and time of change of the file."""
    stat = features.path.stat()
    return stat.st_size, stat.st_mtime_ns


def probe_of(encoder: Encoder, dimension: int) -> Vector:
    """What the joint space makes of a few fixed frames."""
    frames = np.random.default_rng(0).random((PROBE_FRAMES, dimension), dtype=np.float32)
    return encoder.joint_audio(frames)


def build_index(features: FeatureRows, encoder: Encoder, on_segment: OnSegment | None = None) -> JointIndex:
    """Make the index of a feature file, or what is missing of it. Killed, it goes on where it was.

    Args:
        on_segment: called with how many segments are done, of how many.

    Raises:
        InputError: the features hold values that are not finite, or there is nothing in them.
        OSError: it cannot be written.
    """
    folder = index_folder(features.path)
    if features.total_frames == 0:
        raise InputError("holds no frame, there is nothing to index", where=features.path)
    probe = probe_of(encoder, features.dimension)
    if probe.shape[1] > MOST_AXES:
        raise InputError(f"a joint space of {probe.shape[1]} axes cannot be indexed", where=features.path)
    before = stamp(features)
    folder.mkdir(exist_ok=True)
    old = old_segments(folder, features, encoder)
    starts = range(0, features.total_frames, SEGMENT_ROWS)
    segments: list[SegmentKey] = []
    for number, start in enumerate(starts):
        rows = min(SEGMENT_ROWS, features.total_frames - start)
        known = old[number] if number < len(old) else None
        segments.append(updated(folder, number, features, start, rows, encoder, known))
        if segments[-1] is not known:
            write_manifest(folder, Manifest(features.identity_json, probe.tolist(), segments, *UNFINISHED))
        if on_segment is not None:
            on_segment(number + 1, len(starts))
    manifest = Manifest(features.identity_json, probe.tolist(), segments, *before)
    write_manifest(folder, manifest)
    return opened(folder, manifest)


def old_segments(folder: Path, features: FeatureRows, encoder: Encoder) -> list[SegmentKey | None]:
    """The segments that are there, None for what is damaged; what they were made of is not compared.

    A manifest of another joint space is removed first: its segments would be taken for those that replace
    them.
    """
    try:
        manifest = read_manifest(folder)
    except InputError:
        manifest = None
    if manifest is None or not is_of(manifest, features, encoder):
        (folder / MANIFEST).unlink(missing_ok=True)
        return []
    axes = len(manifest.probe[0])
    return [
        key if is_whole(folder, number, key, axes) else None for number, key in enumerate(manifest.segments)
    ]


def is_whole(folder: Path, number: int, key: SegmentKey, axes: int) -> bool:
    """Whether a segment is there and is the one that was meant."""
    try:
        with open_segment(folder, number, key, axes):
            return True
    except InputError:
        return False


def updated(
    folder: Path,
    number: int,
    features: FeatureRows,
    start: int,
    rows: int,
    encoder: Encoder,
    known: SegmentKey | None,
) -> SegmentKey:
    """The segment of ``rows`` rows from ``start`` on; made only where it is not there already."""
    if known is not None and known.rows == rows and known.sha256 == read_digest(features, start, rows):
        return known
    writer = SegmentWriter(rows, len(probe_of(encoder, features.dimension)[0]))

    def digest(block: slice) -> bytes:
        stored = features.rows(start + block.start, start + block.stop)
        joint = encoder.joint_audio(stored.astype(np.float32))
        if not np.isfinite(joint).all():
            raise InputError("holds frames that are not finite numbers", where=features.path)
        writer.put(block, joint)
        return hashlib.sha256(stored.data).digest()

    return writer.write(folder, number, digest_of(in_threads(digest, rows)))


def read_digest(features: FeatureRows, start: int, rows: int) -> str:
    """The sha256 of a segment's stored frames."""
    return digest_of(
        in_threads(
            lambda block: hashlib.sha256(
                features.rows(start + block.start, start + block.stop).data
            ).digest(),
            rows,
        )
    )


def in_threads(work: Callable[[slice], bytes], rows: int) -> list[bytes]:
    """``work`` on every block, in order; the kernels leave Python's lock."""
    with ThreadPoolExecutor(free_processors()) as pool:
        return list(pool.map(work, blocks_of(rows)))
