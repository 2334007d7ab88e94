"""A file whose changes arrive all together or not at all, so that it is whole when its writer dies.

HDF5 rewrites its inner bookkeeping in place, so a writer that is killed between two such writes leaves a
file that does not open. Here HDF5 writes into a :class:`JournaledFile` instead. Bytes beyond the end of the
last committed state go straight to the disk, where nothing refers to them yet; changed bytes *inside* the
committed state are kept in memory. ``commit`` writes those few pages to a journal beside the file, then
into the file, then empties the journal but for a count of commits, by which a reader knows that there was
one while it opened the file. Killed before the journal is complete, the file is in its old
state; killed after, the next reader or writer finds the journal and sees the new state.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from amr.formats.features.journal import (
    Pages,
    carry_out,
    finish_commit,
    journal_path,
    lock_journal,
    pack_journal,
    rest,
    write_at,
)
from amr.formats.lock import require_alone
from amr.formats.side_files import open_plain, read_into

PAGE_BYTES = 4096


class PatchedFile(io.RawIOBase):
    """A file read through changes that are held in memory; the base of the journaled one.

    Args:
        path: the file.
        size: its length with the changes; None: as it is.
        pages: the changes.
    """

    is_open = False  # Python closes what it drops, a file too whose making was refused

    def __init__(self, path: Path, *, size: int | None = None, pages: Pages | None = None) -> None:
        super().__init__()
        self.path = path
        self.handle = self.opened()
        self.size = os.fstat(self.handle).st_size if size is None else size
        self.pages: dict[int, bytearray] = {o: bytearray(data) for o, data in (pages or {}).items()}
        self.position = 0
        self.is_open = True

    def opened(self) -> int:
        return os.open(self.path, os.O_RDONLY)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = base + offset
        return self.position

    def readinto(self, buffer: Any, /) -> int:  # typeshed's Buffer needs Python 3.12
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self.size - self.position))
        self.read_disk(view[:wanted], self.position)
        self.patch(view[:wanted], self.position)
        self.position += wanted
        return wanted

    def read_disk(self, view: memoryview, offset: int) -> None:
        """Fill ``view`` from the disk; what lies beyond its end reads as zeros."""
        done = 0
        while done < len(view):
            count = read_into(self.handle, view[done:], offset + done)
            if count == 0:
                view[done:] = bytes(len(view) - done)
                return
            done += count

    def patch(self, view: memoryview, offset: int) -> None:
        """Lay the pages in memory over what was read at ``offset``."""
        first = offset - offset % PAGE_BYTES
        for start in range(first, offset + len(view), PAGE_BYTES):
            page = self.pages.get(start)
            if page is None:
                continue
            low, high = max(start, offset), min(start + len(page), offset + len(view))
            if low < high:
                view[low - offset : high - offset] = page[low - start : high - start]

    def close(self) -> None:
        if self.is_open and not self.closed:
            os.close(self.handle)
        super().close()


class JournaledFile(PatchedFile):
    """A file that is changed by whole commits only, by one writer at a time.

    A journal that an earlier writer left is carried out first.

    Raises:
        InputError: another process is writing the file.
        OSError: it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.journal = lock_journal(path)
        try:
            finish_commit(path, self.journal)
            super().__init__(path)
        except BaseException:
            os.close(self.journal)
            raise
        self.committed_size = self.size
        self.commits = 0
        self.is_pending = False  # a commit is decided on, and not yet carried out
        self.failure: OSError | None = None

    def opened(self) -> int:
        handle = open_plain(self.path, os.O_RDWR)
        try:
            if os.fstat(handle).st_nlink > 1:  # under its other name it has another journal and another lock
                require_alone(handle, self.path)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def writable(self) -> bool:
        return True

    @property
    def safe_from(self) -> int:
        """Offsets from here on are not part of the committed state, to the next whole page."""
        return -(-self.committed_size // PAGE_BYTES) * PAGE_BYTES

    def write(self, data: Any, /) -> int:  # typeshed's Buffer needs Python 3.12
        view = memoryview(data).cast("B")
        if len(view):
            self.grow(self.position)
            self.put(view, self.position)
            self.position += len(view)
            self.size = max(self.size, self.position)
        return len(view)

    def grow(self, size: int) -> None:
        """Make the file at least this long; what an earlier, longer file had there reads as zeros."""
        stale = min(size, os.fstat(self.handle).st_size) - self.size
        if stale > 0:
            self.put(memoryview(bytes(stale)), self.size)
        self.size = max(self.size, size)

    def put(self, view: memoryview, offset: int) -> None:
        """Keep what lies inside the committed state, write what lies beyond."""
        inside = max(0, min(len(view), self.safe_from - offset))
        self.keep(view[:inside], offset)
        self.write_beyond(view[inside:], offset + inside)

    def write_beyond(self, view: memoryview, offset: int) -> None:
        """Write at once what no committed state refers to.

        HDF5 does not recover from a failed write, so the bytes are kept and the failure is
        raised by the next ``check`` or ``commit``.
        """
        if not self.failure:
            try:
                write_at(self.handle, view, offset)
                return
            except OSError as error:
                self.failure = error
        self.keep(view, offset)

    def keep(self, view: memoryview, offset: int) -> None:
        """Hold changed bytes in memory, page by page."""
        end = offset + len(view)
        first = offset - offset % PAGE_BYTES if len(view) else end
        for start in range(first, end, PAGE_BYTES):
            low, high = max(start, offset), min(start + PAGE_BYTES, end)
            page = self.pages.get(start)
            if page is None:
                page = self.pages[start] = bytearray(PAGE_BYTES)
                if high - low < PAGE_BYTES:
                    self.read_disk(memoryview(page), start)
            page[low - start : high - start] = view[low - offset : high - offset]

    def truncate(self, size: int | None = None, /) -> int:
        wanted = self.position if size is None else size
        self.grow(wanted)
        self.size = wanted
        for start in [start for start in self.pages if start >= self.size]:
            del self.pages[start]
        for start, page in self.pages.items():  # what is cut off must not come back when the file grows
            end = self.size - start
            page[end:] = bytes(max(0, len(page) - end))
        return self.size

    def forget_beyond(self, size: int) -> None:
        """Cut off what a killed writer left behind the committed state, before anything is written."""
        if size < self.size:
            os.ftruncate(self.handle, size)
            self.size = self.committed_size = size

    def flush(self) -> None:
        """Nothing: what HDF5 calls a flush is one half of a commit."""

    def check(self) -> None:
        """Raise the failure of an earlier write, if there was one."""
        if self.failure:
            raise self.failure

    def commit(self) -> None:
        """Make everything written so far the file's state. Raises ``OSError``; the old state then stands."""
        self.check()
        if os.fstat(self.handle).st_size < self.size:
            os.ftruncate(self.handle, self.size)
        pages = self.changed_pages()
        if not pages and self.size == self.committed_size:
            os.ftruncate(self.handle, self.size)
            return
        os.fsync(self.handle)
        self.decide(pages)
        self.is_pending = True
        carry_out(self.handle, self.size, pages)
        os.fsync(self.handle)
        self.commits += 1
        rest(self.journal, self.commits)
        self.is_pending = False
        self.pages.clear()
        self.committed_size = self.size

    def decide(self, pages: Pages) -> None:
        """Write the journal: from its last byte on, the new state is the file's state."""
        try:
            write_at(self.journal, pack_journal(self.size, pages), 0)
            os.fsync(self.journal)
        except OSError:
            os.ftruncate(self.journal, 0)
            raise

    def changed_pages(self) -> Pages:
        """The pages in memory that differ from the disk, cut at the end of the file."""
        changed = {}
        for start, page in sorted(self.pages.items()):
            data = bytes(page[: max(0, self.size - start)])
            if data != os.pread(self.handle, len(data), start):
                changed[start] = data
        return changed

    def close(self) -> None:
        """Leave; changes that were not committed are dropped, and a journal that holds none is removed."""
        if self.is_open and not self.closed:
            if not self.is_pending:
                journal_path(self.path).unlink(missing_ok=True)
            os.close(self.journal)
        super().close()
