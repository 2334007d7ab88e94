"""Reads one HDF5 feature file: a recording is one slice, a training set one sequential read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from amr.arrays import AnyArray, Float32Array, Float64Array, Int64Array
from amr.audio.names import Spellings
from amr.errors import InputError
from amr.formats.features.base import (
    FeatureReader,
    PackedFrames,
    StoredFrames,
    StoredRecording,
    StoredText,
    read_packed,
    unknown_query,
)
from amr.formats.features.hdf5 import damage_explained
from amr.formats.features.journal import commit_state
from amr.formats.features.layout import AUDIO_COLUMNS, CheckedColumns, StoredIdentity
from amr.formats.features.origin import folder_of, path_from_here
from amr.formats.features.sums import FRAMES_SUM, RowSums, RunningSum, sum_of_frames

# Read at a time when everything is read: large enough for any disk, small beside a model.
BLOCK_BYTES = 32 * 2**20
TEXT_COLUMNS = {"tokens": 2, "start": 1, "query": 1, "pooled": 2}
OPEN_ATTEMPTS = 50  # a writer commits for about a millisecond; as often as this we look again


class FeatureFile(FeatureReader):
    """One feature file.

    A file that is being written, or whose writer was killed, reads as of its last commit, and stays so while
    it is open. (HDF5 shares what it knows of a file within a process: to see later commits, close every
    reader of it and open it again.)

    Attributes:
        start: ``(recordings + 1,)`` offsets: recording ``i`` has the rows ``start[i]`` to ``start[i + 1]``.
        durations_s: ``(recordings,)``.

    Raises:
        InputError: it is not a feature file of this schema, or damaged.
    """

    identity_json: str
    start: Int64Array
    durations_s: Float64Array

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = str(path)
        for attempt in range(OPEN_ATTEMPTS):
            before = commit_state(self.path)
            try:
                if self._open(before):
                    return
            except InputError:
                if before == commit_state(self.path):
                    raise
            time.sleep(0.002 * (attempt + 1))
        raise InputError(
            "keeps changing while it is read; try again when no program writes to it", where=self.path
        )

    def _open(self, state: tuple[object, ...]) -> bool:
        """Whether the file was opened in ``state``, and not while a writer went on from there.

        Which rows there are is settled within that time; columns that grow with the file are read behind it,
        since a later commit adds to them and changes no row.
        """
        self._columns = CheckedColumns(self.path)
        try:
            self._load_head()
            if commit_state(self.path) != state:
                self.close()
                return False
            self._load_columns()
        except BaseException:
            self.close()
            raise
        return True

    def _load_head(self) -> None:
        history = self._columns.attribute("history")
        self._history = "[]" if history is None else str(history)
        identity = StoredIdentity.parse(self._columns.attribute("encoder"), self.path)
        self.identity_json, self._dimension = identity.json, identity.dimension
        self.window_s, self.hop_s = identity.window_s, identity.hop_s
        self._frames = self._columns.column("audio/frames", ndim=2)
        if (columns := self._frames.shape[1]) != self.dimension:
            what = f"/audio/frames has {columns} columns, the encoder has {self.dimension}"
            raise InputError(what, where=self.path)
        for name in AUDIO_COLUMNS[1:]:
            self._columns.column(f"audio/{name}")
        for name, ndim in TEXT_COLUMNS.items():
            with suppress(InputError):  # raised again when the text is read
                self._columns.column(f"text/{name}", ndim)

    def _load_columns(self) -> None:
        self.start = self._columns.offsets("audio/start", self._frames.shape[0])
        for name in AUDIO_COLUMNS[2:]:
            self._columns.require_length(f"audio/{name}", len(self.start) - 1)
        self.durations_s = self._columns.values("audio/duration_s", "f")
        if not np.all(np.isfinite(self.durations_s) & (self.durations_s >= 0)):
            raise InputError("/audio/duration_s holds negative or undefined seconds", where=self.path)

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def history(self) -> list[Any]:
        """The command lines that made the file, oldest first; see ``docs/features.md``."""
        try:
            history = json.loads(self._history)
        except (ValueError, RecursionError):
            history = None
        if not isinstance(history, list):
            raise InputError("the attribute 'history' is not a JSON list", where=self.path)
        return history

    @cached_property
    def ids(self) -> Sequence[str]:
        return self._columns.strings("audio/id")

    @cached_property
    def _by_id(self) -> dict[str, int]:
        index = dict(zip(self.ids, range(len(self.ids)), strict=True))
        if len(index) < len(self.ids):
            double = next(i for row, i in enumerate(self.ids) if index[i] != row)
            raise InputError(f"recording {double!r} is in the file twice", where=self.path)
        return index

    @cached_property
    def sources(self) -> Sequence[str]:
        """The path of each recording's audio, as it was given to ``extract``."""
        return self._columns.strings("audio/source")

    @cached_property
    def queries(self) -> Sequence[str]:
        return self._columns.strings("text/query")

    @cached_property
    def _query_index(self) -> dict[str, int]:
        return {query: index for index, query in enumerate(self.queries)}

    @cached_property
    def _query_spellings(self) -> Spellings:
        return Spellings(self._query_index)

    @cached_property
    def _text_columns(self) -> tuple[h5py.Dataset, Int64Array, h5py.Dataset]:
        tokens, pooled = (self._columns.column(f"text/{name}", ndim=2) for name in ("tokens", "pooled"))
        start = self._columns.offsets("text/start", tokens.shape[0])
        self._columns.require_length("text/pooled", len(start) - 1, ndim=2)
        self._columns.require_length("text/query", len(start) - 1)
        return tokens, start, pooled

    def __len__(self) -> int:
        return len(self.start) - 1

    def _read(
        self, column: h5py.Dataset, first: int, stop: int, into: StoredFrames | None = None
    ) -> StoredFrames:
        """Rows ``first..stop - 1`` of a two-dimensional column, ``into`` memory that is there if given.

        Memory that is new costs as much as the reading: the kernel clears and maps every page of it.
        """
        self._columns.check_claim(column, stop - first)
        with damage_explained(self.path):
            if into is None:
                rows: StoredFrames = column[first:stop]
                return rows
            if stop > first:
                column.read_direct(into, np.s_[first:stop], np.s_[: stop - first])
        return into[: stop - first]

    def frames(self, recording_id: str) -> Float32Array:
        index = self._find(recording_id)
        return self.part(index, 0, int(self.start[index + 1] - self.start[index])).astype(np.float32)

    def part(self, index: int, first: int, stop: int) -> StoredFrames:
        """Frames ``first..stop - 1`` of the recording of this number, as stored.

        Raises:
            InputError: they are all of it, and not those that were written.
        """
        begin, end = int(self.start[index]), int(self.start[index + 1])
        rows = self.rows(begin + first, begin + stop)
        if len(rows) == end - begin:
            self._require_sum(index, rows)
        return rows

    def pieces(self, recording_id: str, most_rows: int) -> Iterator[StoredFrames]:
        """A recording as stored, so many rows at a time.

        Raises:
            InputError: behind the last of them: they are not those that were written.
        """
        rows, seen = self.rows_of(recording_id), RunningSum()
        for first in range(rows.start, rows.stop, most_rows):
            piece = self.rows(first, min(first + most_rows, rows.stop))
            seen.add(piece)
            yield piece
        self._require_sum(self._find(recording_id), seen)

    def row_sums(self) -> RowSums:
        """What sees to it that rows are those that were written, for who reads blocks of them."""
        return RowSums(self.start, self.dimension * self._frames.dtype.itemsize)

    def require_sums(self, seen: RowSums) -> None:
        """Refuse frames that were seen and are not those that were written, of recordings seen whole."""
        known = self._frames_sums
        whole = (seen.rows == np.diff(self.start)) & (seen.rows > 0)
        changed = np.flatnonzero(whole[: len(known)] & (seen.sums[: len(known)] != known[: len(whole)]))
        if len(changed):
            raise self._changed(int(changed[0]))

    @cached_property
    def _frames_sums(self) -> AnyArray:
        return self._columns.optional(FRAMES_SUM, "u")

    def _require_sum(self, index: int, seen: StoredFrames | RunningSum) -> None:
        """Refuse a recording whose frames are not those that were written; where there is no sum of them
        none is made."""
        if index < len(self._frames_sums):
            found = seen.value if isinstance(seen, RunningSum) else sum_of_frames(seen)
            if found != int(self._frames_sums[index]):
                raise self._changed(index)

    def _changed(self, index: int) -> InputError:
        what = f"recording {self.ids[index]!r} is damaged: its checksum does not match"
        return InputError(what, where=self.path, hint="extract it again")

    @property
    def columns(self) -> CheckedColumns:
        """What is stored, for those who look at more than features."""
        return self._columns

    def rows_of(self, recording_id: str) -> range:
        """The rows that are the recording's frames."""
        index = self._find(recording_id)
        return range(int(self.start[index]), int(self.start[index + 1]))

    def rows(self, first: int, stop: int, into: StoredFrames | None = None) -> StoredFrames:
        """``(stop - first, dimension)`` in the type that is stored, whatever recordings they belong to.

        Args:
            into: memory that is there already and takes the rows.
        """
        return self._read(self._frames, first, stop, into)

    @property
    def stored_type(self) -> str:
        """The number type of the frames, ``float16`` or ``float32``."""
        return str(self._frames.dtype)

    @property
    def total_frames(self) -> int:
        return int(self.start[-1])

    def num_frames(self, recording_id: str) -> int:
        return len(self.rows_of(recording_id))

    def duration_s(self, recording_id: str) -> float:
        return float(self.durations_s[self._find(recording_id)])

    def source(self, recording_id: str) -> str:
        return str(self.sources[self._find(recording_id)])

    @cached_property
    def folder(self) -> str:
        """The folder that stored paths begin at, as seen from the file's own."""
        return folder_of(self.history)

    def audio_path(self, recording_id: str) -> str:
        index: int = self._find(recording_id)
        return path_from_here(self.sources[index], self.ids[index], self.path, self.folder)

    def has_text(self, query: str, *, qid: int | str | None = None) -> bool:  # noqa: ARG002  # trees need qid
        return self._query_spellings.of(query) in self._query_index

    def text(self, query: str, *, qid: int | str | None = None) -> StoredText:
        if not self.has_text(query, qid=qid):
            raise unknown_query(self, query)
        tokens, pooled = self.stored_text(query)
        return StoredText(tokens=tokens.astype(np.float32), pooled=pooled.astype(np.float32))

    def stored_text(self, query: str) -> tuple[StoredFrames, StoredFrames]:
        """Tokens ``(tokens, text_dim)`` and sentence ``(text_dim,)`` of a query that is there, as stored."""
        index = self._query_index[self._query_spellings.of(query)]
        tokens, start, pooled = self._text_columns
        return (
            self._read(tokens, int(start[index]), int(start[index + 1])),
            self._read(pooled, index, index + 1)[0],
        )

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Runs of recordings ``first..stop - 1`` of about ``BLOCK_BYTES``, at least one recording each."""
        rows = max(1, BLOCK_BYTES // max(1, self._frames.dtype.itemsize * self.dimension))
        first = 0
        while first < len(self):
            stop = int(np.searchsorted(self.start, self.start[first] + rows, side="right")) - 1
            stop = max(stop, first + 1)
            yield first, stop
            first = stop

    def blocks(self) -> Iterator[tuple[int, int, StoredFrames]]:
        """Everything in file order: ``(first, stop, rows)`` of the recordings ``first..stop - 1``, as stored.

        The rows are overwritten by the next block.
        """
        buffer: StoredFrames = np.empty((0, self.dimension), dtype=self._frames.dtype)
        for first, stop in self._blocks():
            begin, end = int(self.start[first]), int(self.start[stop])
            self._columns.check_claim(self._frames, end - begin)
            if len(buffer) < end - begin:
                buffer = np.empty((end - begin, self.dimension), dtype=self._frames.dtype)
            yield first, stop, self.rows(begin, end, buffer)

    def __iter__(self) -> Iterator[StoredRecording]:
        for first, stop, block in self.blocks():
            offset = int(self.start[first])
            for index in range(first, stop):
                rows = block[int(self.start[index]) - offset : int(self.start[index + 1]) - offset]
                frames = rows.astype(np.float32)
                self._require_sum(index, rows)  # now that they are in the processor's cache
                yield StoredRecording(self.ids[index], frames, float(self.durations_s[index]))

    def packed(self, ids: Sequence[str] | None = None) -> PackedFrames:
        if ids is not None:
            return read_packed(self, ids, self._frames.dtype)
        total = self.total_frames
        self._columns.check_claim(self._frames, total)
        frames: StoredFrames = np.empty((total, self.dimension), dtype=self._frames.dtype)
        for first, stop in self._blocks():
            begin, end = int(self.start[first]), int(self.start[stop])
            self.rows(begin, end, frames[begin:end])
        return PackedFrames(list(self.ids), self.start.copy(), frames, self.durations_s.copy())

    def close(self) -> None:
        self._columns.close()
