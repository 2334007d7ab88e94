"""The log of a run: JSON Lines, one record an epoch, that goes on where a resumed run stood."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amr.formats.jsonl import json_text
from amr.formats.side_files import open_side_file
from amr.formats.streams import named_in_errors


class RunLog:
    """Appends records to a file.

    Args:
        path: the log; None writes nothing (the other processes of a distributed run).
        keep_bytes: what is behind the first so many bytes was written after the state that is resumed, and is
            written again.
    """

    def __init__(self, path: Path | None, keep_bytes: int = 0) -> None:
        self._file = None
        self._path = path or Path()
        if path is not None:
            handle = open_side_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            # No buffer: on a full disk its rest would be tried again, and fail again, on the way out.
            self._file = open(handle, "ab", buffering=0)  # noqa: SIM115  # closed by close()
            self._file.truncate(keep_bytes)

    def add(self, record: Mapping[str, Any]) -> None:
        """Write one record, so that it survives the process."""
        if self._file is not None:
            with named_in_errors(self._path):
                line = (json_text(dict(record)) + "\n").encode()
                while line:
                    line = line[self._file.write(line) :]

    def sync(self) -> int:
        """Length of the log in bytes, once they are on the disk."""
        if self._file is None:
            return 0
        with named_in_errors(self._path):
            os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
