"""Reads one HDF5 feature file: a recording is one slice, a training set one sequential read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from amr.errors import InputError
from amr.formats.features import (
    FloatFrames,
    PackedFrames,
    Recording,
    StoredFrames,
    StoredText,
    read_packed,
    unknown_query,
    unknown_recording,
)
from amr.formats.features_damage import damage_told
from amr.formats.features_hdf5 import (
    AUDIO_COLUMNS,
    StoredIdentity,
    attribute,
    check_claim,
    check_root,
    dataset,
    read_column,
    read_offsets,
    read_strings,
    require_length,
)
from amr.formats.features_journal import commit_state
from amr.formats.features_open import open_hdf5
from amr.moments import FrameGrid

BLOCK_BYTES = (
    32 * 2**20
)  # read at a time when everything is read: large enough for any disk, small beside a model
ROWS = ("audio/frames", "text/tokens", "text/pooled")  # columns that only numbers can be in
TEXT_COLUMNS = {"tokens": 2, "start": 1, "query": 1, "pooled": 2}
OPEN_ATTEMPTS = 50  # a writer commits for about a millisecond; as often as this we look again


class FeatureFile:
    """One feature file; satisfies :class:`amr.formats.features.FeatureReader`.

    A file that is being written, or whose writer was killed, reads as of its last commit, and stays so while
    it is open. (HDF5 shares what it knows of a file within a process: to see later commits, close every
    reader of it and open it again.)

    Raises:
        InputError: it is not a feature file of this schema, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        for attempt in range(OPEN_ATTEMPTS):
            before = commit_state(self.path)
            try:
                if self._open(before):
                    return
            except InputError:
                if before == commit_state(self.path):
                    raise
            time.sleep(0.002 * (attempt + 1))
        raise InputError("changes all the time, it cannot be read now", where=self.path)

    def _open(self, state: tuple[object, ...]) -> bool:
        """Whether the file was opened in ``state``, and not while a writer went on from there.

        Which rows there are is settled within that time; columns that grow with the file are read behind it,
        since a later commit adds to them and changes no row.
        """
        self._file = open_hdf5(self.path)
        self._columns: dict[str, h5py.Dataset] = {}
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
        check_root(self._file.texts, self.path)
        self._bytes = self.path.stat().st_size
        history = attribute(self._file.texts, "history", self.path)
        self._history = "[]" if history is None else str(history)
        self.identity = StoredIdentity.parse(attribute(self._file.texts, "encoder", self.path), self.path)
        self._frames = self._dataset("audio/frames", ndim=2)
        if self._frames.shape[1] != self.identity.dimension:
            raise InputError(
                f"/audio/frames has {self._frames.shape[1]} columns, the encoder has"
                f" {self.identity.dimension}",
                where=self.path,
            )
        for name in AUDIO_COLUMNS[1:]:
            self._dataset(f"audio/{name}")
        for name, ndim in TEXT_COLUMNS.items():
            with suppress(InputError):  # told when the text is asked for
                self._dataset(f"text/{name}", ndim)

    def _load_columns(self) -> None:
        self._start = read_offsets(
            self._dataset("audio/start"), self._frames.shape[0], self._bytes, self.path
        )
        for name in AUDIO_COLUMNS[2:]:
            require_length(self._dataset(f"audio/{name}"), len(self._start) - 1, self.path)
        self._durations_s = read_column(self._dataset("audio/duration_s"), "f", self._bytes, self.path)
        if not np.all(np.isfinite(self._durations_s) & (self._durations_s >= 0)):
            raise InputError("/audio/duration_s holds negative or undefined seconds", where=self.path)

    def _dataset(self, name: str, ndim: int = 1) -> h5py.Dataset:
        """A column, opened once: it stays as long as it was then, whatever a writer adds."""
        if name not in self._columns:
            file = self._file.rows if name in ROWS else self._file.texts
            column = dataset(file, name, self.path, ndim=ndim)
            if name in ROWS and column.dtype.kind != "f":
                what = f"/{name} is {column.dtype} of {column.shape[1]} columns, expected numbers"
                raise InputError(what, where=self.path)
            self._columns[name] = column
        return self._columns[name]

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def identity_json(self) -> str:
        return self.identity.json

    @property
    def window_s(self) -> float:
        return self.identity.window_s

    @property
    def hop_s(self) -> float:
        return self.identity.hop_s

    @property
    def dimension(self) -> int:
        return self.identity.dimension

    @property
    def history(self) -> list[Any]:
        """The command lines that made the file, oldest first; see ``docs/features.md``."""
        import json

        try:
            history = json.loads(self._history)
        except (ValueError, RecursionError):
            history = None
        if not isinstance(history, list):
            raise InputError("the attribute 'history' is not a JSON list", where=self.path)
        return history

    @cached_property
    def ids(self) -> Sequence[str]:
        return read_strings(self._dataset("audio/id"), self._bytes, self.path)

    @cached_property
    def _index(self) -> dict[str, int]:
        index = dict(zip(self.ids, range(len(self.ids)), strict=True))
        if len(index) < len(self.ids):
            double = next(i for row, i in enumerate(self.ids) if index[i] != row)
            raise InputError(f"recording {double!r} is there twice", where=self.path)
        return index

    @cached_property
    def sources(self) -> Sequence[str]:
        """The path of each recording's audio, as it was given to ``extract``."""
        return read_strings(self._dataset("audio/source"), self._bytes, self.path)

    @cached_property
    def queries(self) -> Sequence[str]:
        return read_strings(self._dataset("text/query"), self._bytes, self.path)

    @cached_property
    def _query_index(self) -> dict[str, int]:
        return {query: index for index, query in enumerate(self.queries)}

    @cached_property
    def _text_columns(self) -> tuple[h5py.Dataset, npt.NDArray[np.int64], h5py.Dataset]:
        tokens, pooled = self._dataset("text/tokens", 2), self._dataset("text/pooled", 2)
        start = read_offsets(self._dataset("text/start"), tokens.shape[0], self._bytes, self.path)
        require_length(pooled, len(start) - 1, self.path)
        require_length(self._dataset("text/query"), len(start) - 1, self.path)
        return tokens, start, pooled

    def __len__(self) -> int:
        return len(self._start) - 1

    def __contains__(self, recording_id: object) -> bool:
        return recording_id in self._index

    def _at(self, recording_id: str) -> int:
        try:
            return self._index[recording_id]
        except KeyError:
            raise unknown_recording(self, recording_id) from None

    def _read(
        self, column: h5py.Dataset, first: int, stop: int, into: StoredFrames | None = None
    ) -> StoredFrames:
        """Rows ``first..stop - 1`` of a two-dimensional column, ``into`` memory that is there if given.

        Memory that is new costs as much as the reading: the kernel clears and maps every page of it.
        """
        check_claim(column, stop - first, self._bytes, self.path)
        with damage_told(self.path):
            if into is None:
                rows: StoredFrames = column[first:stop]
                return rows
            if stop > first:
                column.read_direct(into, np.s_[first:stop], np.s_[: stop - first])
        return into[: stop - first]

    def frames(self, recording_id: str) -> FloatFrames:
        index = self._at(recording_id)
        return self._read(self._frames, int(self._start[index]), int(self._start[index + 1])).astype(
            np.float32
        )

    @property
    def total_frames(self) -> int:
        return int(self._start[-1])

    def num_frames(self, recording_id: str) -> int:
        index = self._at(recording_id)
        return int(self._start[index + 1] - self._start[index])

    def duration_s(self, recording_id: str) -> float:
        return float(self._durations_s[self._at(recording_id)])

    def source(self, recording_id: str) -> str:
        return self.sources[self._at(recording_id)]

    def grid(self, recording_id: str) -> FrameGrid:
        return FrameGrid(self.window_s, self.hop_s, self.num_frames(recording_id))

    def has_text(self, query: str, *, qid: int | str | None = None) -> bool:  # noqa: ARG002  # trees need qid
        return query in self._query_index

    def text(self, query: str, *, qid: int | str | None = None) -> StoredText:
        if not self.has_text(query, qid=qid):
            raise unknown_query(self, query)
        index = self._query_index[query]
        tokens, start, pooled = self._text_columns
        return StoredText(
            tokens=self._read(tokens, int(start[index]), int(start[index + 1])).astype(np.float32),
            pooled=self._read(pooled, index, index + 1)[0].astype(np.float32),
        )

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Runs of recordings ``first..stop - 1`` of about ``BLOCK_BYTES``, at least one recording each."""
        rows = max(1, BLOCK_BYTES // max(1, self._frames.dtype.itemsize * self.dimension))
        first = 0
        while first < len(self):
            stop = int(np.searchsorted(self._start, self._start[first] + rows, side="right")) - 1
            stop = max(stop, first + 1)
            yield first, stop
            first = stop

    def blocks(self) -> Iterator[tuple[int, int, StoredFrames]]:
        """Everything in file order: ``(first, stop, rows)`` of the recordings ``first..stop - 1``, as stored.

        The rows are overwritten by the next block.
        """
        buffer: StoredFrames = np.empty((0, self.dimension), dtype=self._frames.dtype)
        for first, stop in self._blocks():
            begin, end = int(self._start[first]), int(self._start[stop])
            check_claim(self._frames, end - begin, self._bytes, self.path)
            if len(buffer) < end - begin:
                buffer = np.empty((end - begin, self.dimension), dtype=self._frames.dtype)
            yield first, stop, self._read(self._frames, begin, end, buffer)

    def __iter__(self) -> Iterator[Recording]:
        for first, stop, block in self.blocks():
            offset = int(self._start[first])
            for index in range(first, stop):
                rows = block[int(self._start[index]) - offset : int(self._start[index + 1]) - offset]
                yield Recording(self.ids[index], rows.astype(np.float32), float(self._durations_s[index]))

    def packed(self, ids: Sequence[str] | None = None) -> PackedFrames:
        if ids is not None:
            return read_packed(self, ids, self._frames.dtype)
        total = int(self._start[-1])
        check_claim(self._frames, total, self._bytes, self.path)
        frames: StoredFrames = np.empty((total, self.dimension), dtype=self._frames.dtype)
        for first, stop in self._blocks():
            begin, end = int(self._start[first]), int(self._start[stop])
            self._read(self._frames, begin, end, frames[begin:end])
        return PackedFrames(list(self.ids), self._start.copy(), frames, self._durations_s.copy())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> FeatureFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
