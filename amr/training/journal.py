"""The log of a run: JSON Lines, one record an epoch, that goes on where a resumed run stood."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Journal:
    """Appends records to a file.

    Args:
        path: the log; None writes nothing (the other processes of a distributed run).
        keep_bytes: what is behind the first so many bytes was written after the state that is resumed, and is
            written again.
    """

    def __init__(self, path: Path | None, keep_bytes: int = 0) -> None:
        self._file = None if path is None else open(path, "ab")  # noqa: SIM115  # closed by close()
        if self._file is not None:
            self._file.truncate(keep_bytes)

    def add(self, record: Mapping[str, Any]) -> None:
        """Write one record, so that it survives the process."""
        if self._file is not None:
            self._file.write((json.dumps(dict(record), ensure_ascii=False) + "\n").encode())
            self._file.flush()

    def sync(self) -> int:
        """Length of the log in bytes, once they are on the disk."""
        if self._file is None:
            return 0
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
