"""Writes one HDF5 feature file, recording by recording; a kill at any moment loses nothing finished."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from amr import __version__
from amr.arrays import Float32Array
from amr.errors import InputError
from amr.formats.features.atomic import JournaledFile
from amr.formats.features.base import FORMAT, SCHEMA, TextVectors
from amr.formats.features.columns import (
    append_rows,
    append_strings,
    append_sums,
    create_matrix,
    create_strings,
    create_vector,
)
from amr.formats.features.layout import StoredIdentity
from amr.formats.features.read import FeatureFile
from amr.formats.features.sums import CRC, RunningSum, sum_of_head, sum_of_query, sum_of_recording
from amr.formats.streams import open_side_output

# What a kill may cost: a second of yamnet's work, or ten of a slower encoder's. A commit takes milliseconds.
COMMIT_FRAMES = 256
COMMIT_RECORDINGS = 16
COMMIT_S = 10.0
# Superblock 2: it carries no "open for writing" mark, which a killed writer would leave behind.
LIBRARY_VERSIONS = ("v108", "v110")
SUPERBLOCK_BYTES = 48
OUR_SUPERBLOCK = b"\x02\x08\x08"  # version 2, offsets and lengths of 8 bytes


def create_feature_file(path: Path, *, identity_json: str, store: str) -> None:
    """An empty feature file under its name, complete from its first moment, in place of what was there.

    Args:
        identity_json: the encoder, ``EncoderIdentity.to_json()``.
        store: ``float16`` or ``float32``, the type of frames and text tokens.

    Raises:
        InputError: something else than a file stands under the name.
        OSError: it cannot be written.
    """
    identity = StoredIdentity.parse(identity_json, path)
    image = io.BytesIO()
    with h5py.File(image, "w", libver=LIBRARY_VERSIONS) as file:
        file.attrs.update({"amr_format": FORMAT, "amr_version": __version__, "schema": SCHEMA})
        file.attrs.update({"encoder": identity_json, "history": "[]"})
        audio, text = file.create_group("audio"), file.create_group("text")
        create_matrix(audio, "frames", identity.dimension, store)
        create_vector(audio, "start", "int64", [0])
        create_strings(audio, "id", 32)
        create_vector(audio, "duration_s", "float64", [])
        create_strings(audio, "source", 64)
        create_vector(audio, "xor64", "uint64", [])
        create_vector(audio, CRC, "uint32", [])
        create_matrix(text, "tokens", identity.text_dimension, store)
        create_vector(text, "start", "int64", [0])
        create_vector(text, "query", h5py.string_dtype(), [])
        create_matrix(text, "pooled", identity.text_dimension, "float32")
        create_vector(text, CRC, "uint32", [])
        file.attrs[CRC] = sum_of_head(file.attrs)
    with open_side_output(path) as output:
        output.write(image.getvalue())


class FeatureWriter:
    """Appends to a feature file that exists. Only whole recordings are ever seen by a reader.

    A recording is *finished* when ``committed`` counts it: from then on no kill can lose it. That happens
    every ``COMMIT_FRAMES`` frames, ``COMMIT_RECORDINGS`` recordings or ``COMMIT_S`` seconds, on ``commit``
    and on ``close``.

    Args:
        path: the file.
        identity_json: the encoder at work; the file must have been made by the same.

    Raises:
        InputError: another process writes the file, it is damaged, or was made by another encoder.
    """

    def __init__(self, path: Path, *, identity_json: str) -> None:
        self.path = path
        self._journaled = JournaledFile(path)
        try:
            with FeatureFile(path) as present:
                require_identity(present, identity_json)
                self.sources = dict(zip(present.ids, present.sources, strict=True))
                self._queries = set(present.queries)
                self._rows = present.total_frames
                self._history = present.history
            self._journaled.forget_beyond(end_of_hdf5(path))
            self._file = h5py.File(self._journaled, "r+", libver=LIBRARY_VERSIONS)
        except BaseException:
            self._journaled.close()
            raise
        self._frames = self._file["audio/frames"]
        self._frames.resize(self._rows, axis=0)
        self._pending: list[tuple[str, str, float, int, int, int]] = []
        self._pending_text: list[tuple[str, TextVectors]] = []
        self._committed_rows = self._rows
        self._committed_at_s = time.monotonic()
        self.committed = len(self.sources)

    @property
    def is_empty(self) -> bool:
        """Whether the file has neither recordings nor queries, finished or not."""
        return not self.sources and not self._queries

    @property
    def history(self) -> list[Any]:
        """How the file was made, so far."""
        return list(self._history)

    @property
    def store(self) -> str:
        """The type in which frames are stored."""
        return str(self._frames.dtype)

    def add(self, recording_id: str, frames: Float32Array, *, duration_s: float, source: str = "") -> None:
        """Append a recording that is in memory as a whole; see :meth:`recording`."""
        with self.recording(recording_id, source=source) as recording:
            recording.append(frames)
            recording.finish(duration_s)

    @contextmanager
    def recording(self, recording_id: str, *, source: str = "") -> Iterator[RecordingWriter]:
        """Append a recording piece by piece; it counts when the block ends well after ``finish``.

        Raises:
            InputError: the id is there already, or is no name; the frames do not fit the file.
            OSError: the disk is full.
        """
        check_id(recording_id, source or self.path)
        if recording_id in self.sources:
            raise InputError(f"recording {recording_id!r} is in the file already", where=self.path)
        recording = RecordingWriter(self, source or recording_id)
        try:
            yield recording
            if recording.duration_s is None:
                raise ValueError(f"recording {recording_id!r} was not finished")
        except BaseException:
            self._frames.resize(self._rows, axis=0)
            raise
        first, self._rows = self._rows, self._frames.shape[0]
        self.sources[recording_id] = source
        crc = sum_of_recording(
            recording.frames_sum, self._rows - first, recording.duration_s, recording_id, source
        )
        self._pending.append(
            (recording_id, source, recording.duration_s, self._rows, recording.frames_sum, crc)
        )
        if self._is_due():
            self.commit()

    def _is_due(self) -> bool:
        """Whether enough would be lost by a kill to pay for a commit."""
        return (
            self._rows - self._committed_rows >= COMMIT_FRAMES
            or len(self._pending) >= COMMIT_RECORDINGS
            or time.monotonic() - self._committed_at_s >= COMMIT_S
        )

    def has_text(self, query: str) -> bool:
        return query in self._queries

    def add_text(self, query: str, vectors: TextVectors) -> None:
        """Append a query's vectors; a query that is there already is left as it is."""
        if query in self._queries:
            return
        if not (np.all(np.isfinite(vectors.tokens)) and np.all(np.isfinite(vectors.pooled))):
            raise InputError(
                f"the encoder gave undefined values (NaN or infinite) for the query {query!r}",
                where=self.path,
            )
        self._queries.add(query)
        self._pending_text.append((query, vectors))

    def add_history(self, entry: dict[str, Any]) -> None:
        """Note how the file was made. An entry like the last one (a resumed command) is not repeated."""
        if not self._history or self._history[-1] != entry:
            self._history.append(entry)
            self._file.attrs["history"] = json.dumps(self._history, sort_keys=True)
            if CRC in self._file.attrs:
                self._file.attrs.modify(CRC, sum_of_head(self._file.attrs))

    def commit(self) -> None:
        """Make every recording and query added so far part of the file, against kill and power cut.

        Raises:
            OSError: the disk is full; the file is as after the commit before.
        """
        self._append_pending()
        self._file.flush()
        self._journaled.commit()
        self._committed_rows = self._rows
        self._committed_at_s = time.monotonic()
        self.committed = len(self.sources)

    def _append_pending(self) -> None:
        audio, text = self._file["audio"], self._file["text"]
        if self._pending:
            ids, sources, durations_s, ends, *sums = zip(*self._pending, strict=True)
            present = len(audio["id"])
            append_strings(audio, "id", ids)
            append_strings(audio, "source", sources)
            append_rows(audio["duration_s"], durations_s)
            append_rows(audio["start"], ends)
            for name, values in zip(("xor64", CRC), sums, strict=True):
                append_sums(audio, name, present, values)
        if self._pending_text:
            tokens = [vectors.tokens for _, vectors in self._pending_text]
            token_ends = int(text["start"][-1]) + np.cumsum([len(rows) for rows in tokens])
            append_rows(text["tokens"], np.concatenate(tokens))
            pooled = [vectors.pooled.astype(np.float32) for _, vectors in self._pending_text]
            texts = [query for query, _ in self._pending_text]
            stored = [rows.astype(text["tokens"].dtype) for rows in tokens]
            append_rows(text["pooled"], np.stack(pooled))
            append_sums(text, CRC, len(text["query"]), list(map(sum_of_query, texts, stored, pooled)))
            append_rows(text["query"], texts)
            append_rows(text["start"], token_ends)
        self._pending, self._pending_text = [], []

    def close(self, *, commit: bool = True) -> None:
        """Commit, and let go of the file.

        Args:
            commit: False drops what is not committed yet, e.g. because the disk is full.
        """
        try:
            if commit:
                self.commit()
        finally:
            self._file.close()
            self._journaled.close()

    def check(self) -> None:
        """Raise the failure of an earlier write (a full disk), if there was one."""
        self._journaled.check()


class RecordingWriter:
    """One recording on its way into the file; see :meth:`FeatureWriter.recording`."""

    def __init__(self, writer: FeatureWriter, source: str | Path) -> None:
        self._writer = writer
        self._source = source
        self.duration_s: float | None = None
        self._sum = RunningSum()

    @property
    def frames_sum(self) -> int:
        """Of what was written so far."""
        return self._sum.value

    def append(self, frames: Float32Array) -> None:
        """Write the next frames ``(n, dim)``."""
        column = self._writer._frames
        check_frames(frames, column.shape[1], str(column.dtype), self._source)
        stored = np.ascontiguousarray(frames, dtype=column.dtype)
        append_rows(column, stored)
        self._sum.add(stored)
        self._writer.check()

    def finish(self, duration_s: float) -> None:
        """Say that all frames are written, and how many seconds of sound they stand for."""
        if not (np.isfinite(duration_s) and duration_s >= 0):
            raise ValueError(f"duration_s {duration_s} is not a length")
        self.duration_s = duration_s


def check_frames(frames: Float32Array, dimension: int, store: str, where: str | Path) -> None:
    """Refuse frames of another width, undefined values, and values that the stored type cannot hold."""
    if frames.ndim != 2 or frames.shape[1] != dimension:
        raise InputError(f"frames of shape {frames.shape}, expected (n, {dimension})", where=where)
    largest = float(np.max(np.abs(frames), initial=0.0))
    if not np.isfinite(largest):
        raise InputError(
            "the encoder gave undefined values (NaN or infinite) for this recording", where=where
        )
    if largest > float(np.finfo(store).max):
        raise InputError(
            f"frame values up to {largest:.3g} do not fit into {store}",
            where=where,
            hint="use --store float32",
        )


def check_id(recording_id: str, where: str | Path) -> None:
    """Refuse an id that could not be stored and found again."""
    if not recording_id or "\0" in recording_id:
        raise InputError(f"{recording_id!r} cannot name a recording", where=where)
    try:
        recording_id.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            "the file's name is not UTF-8, so no JSON could name the recording", where=where, hint="rename it"
        ) from error


def end_of_hdf5(path: Path) -> int:
    """The length that an HDF5 file of our making says it has; its size where it is of foreign making."""
    with open(path, "rb") as file:
        superblock = file.read(SUPERBLOCK_BYTES)
    if superblock[8:11] != OUR_SUPERBLOCK:
        return path.stat().st_size
    return int.from_bytes(superblock[28:36], "little")


def require_identity(present: FeatureFile, identity_json: str) -> None:
    """Refuse to mix encoders in one file. Raises ``InputError`` with both identities."""
    if json.loads(present.identity_json) != json.loads(identity_json):
        raise InputError(
            f"was made by encoder {present.identity_json}, this run uses {identity_json}",
            where=present.path,
            hint="use the same --encoder, --hop and --window, or another -o",
        )
