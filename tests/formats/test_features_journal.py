"""The journaled file: a plain file after each commit, and never anything but one of two whole states."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_table import fault
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amr.errors import InputError
from amr.formats.features.atomic import PAGE_BYTES, JournaledFile, PatchedFile
from amr.formats.features.journal import journal_path, pack_journal, read_journal, unpack_journal

OLD = bytes(range(256)) * 50


def visible(path: Path) -> bytes:
    """What a reader sees: the file through the journal of a dead writer."""
    journal = read_journal(path)
    size, pages = journal if journal else (None, {})
    with PatchedFile(path, size=size, pages=pages) as file:
        return file.read()


operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 40_000), st.binary(min_size=0, max_size=9000)),
        st.tuples(st.just("truncate"), st.integers(0, 40_000), st.just(b"")),
        st.tuples(st.just("commit"), st.just(0), st.just(b"")),
    ),
    max_size=12,
)


def truncate_like_disk(model: bytearray, size: int) -> None:
    model[:] = model[:size] + bytes(max(0, size - len(model)))


CUT_INSIDE_A_PAGE = [
    ("truncate", 1, b""),
    ("commit", 0, b""),
    ("write", 1, b"\x01"),
    ("truncate", 1, b""),
    ("write", 2, b"\x00"),
]


@settings(max_examples=150)
@given(operations)
@example(CUT_INSIDE_A_PAGE)
def test_is_a_plain_file_that_changes_by_commits(
    tmp_path_factory: pytest.TempPathFactory, todo: list[tuple[str, int, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "file"
    path.write_bytes(OLD)
    model, committed = bytearray(OLD), OLD
    with JournaledFile(path) as file:
        for kind, at, data in todo:
            if kind == "write" and data:
                truncate_like_disk(model, max(len(model), at))
                model[at : at + len(data)] = data
                file.seek(at)
                assert file.write(data) == len(data)
            elif kind == "truncate":
                truncate_like_disk(model, at)
                file.truncate(at)
            elif kind == "commit":
                file.commit()
                committed = bytes(model)
                assert path.read_bytes() == committed
            assert visible(path)[: len(committed)] == committed
            file.seek(0)
            assert file.read() == model
    assert path.read_bytes()[: len(committed)] == committed
    assert not journal_path(path).exists()


class Killed(BaseException):
    """Stands for the process's end at a system call."""


def die_at(moment: int, *, torn: bool) -> Callable[[pytest.MonkeyPatch], None]:
    """Let the ``moment``-th change of the disk be the last; ``torn``: half of it still happens."""
    count = 0

    def install(monkeypatch: pytest.MonkeyPatch) -> None:
        write, cut = os.pwrite, os.ftruncate

        def pwrite(handle: int, data: memoryview, offset: int) -> int:
            nonlocal count
            count += 1
            if count > moment:
                raise Killed
            if count == moment:
                if torn:
                    write(handle, data[: len(data) // 2], offset)
                raise Killed
            return write(handle, data, offset)

        def ftruncate(handle: int, size: int) -> None:
            nonlocal count
            count += 1
            if count >= moment:
                raise Killed
            cut(handle, size)

        monkeypatch.setattr(os, "pwrite", pwrite)
        monkeypatch.setattr(os, "ftruncate", ftruncate)

    return install


def change_everywhere(file: JournaledFile) -> None:
    for at in (3, PAGE_BYTES - 2, 3 * PAGE_BYTES, len(OLD) - 1, len(OLD) + 5 * PAGE_BYTES):
        file.seek(at)
        file.write(b"new bytes" * 300)


@fault(
    "signals",
    "SIGKILL at any system call of a commit, or in the middle of it",
    code=None,
    says="",
    left="the state before the commit, or the one after",
)
@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("moment", range(1, 16))
def test_a_kill_at_any_system_call_leaves_the_old_state_or_the_new(
    tmp_path: Path, moment: int, torn: bool
) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(OLD)
    with JournaledFile(whole) as file:
        change_everywhere(file)
        file.commit()
    new = whole.read_bytes()

    path = tmp_path / "file"
    path.write_bytes(OLD)
    file = JournaledFile(path)
    with pytest.MonkeyPatch.context() as monkeypatch:
        die_at(moment, torn=torn)(monkeypatch)
        try:
            change_everywhere(file)
            file.commit()
            finished = True
        except Killed:
            finished = False
    os.close(file.journal)
    os.close(file.handle)
    file.close = lambda: None  # type: ignore[method-assign]  # a killed process closes nothing
    seen = visible(path)
    assert seen == new or seen[: len(OLD)] == OLD
    assert seen == new or not finished
    with JournaledFile(path) as again:  # the next writer puts it in order
        again.commit()
    assert path.read_bytes()[: len(seen)] == seen


def test_the_moments_above_cover_a_whole_commit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    with pytest.MonkeyPatch.context() as monkeypatch, JournaledFile(path) as file:
        write, cut = os.pwrite, os.ftruncate
        monkeypatch.setattr(os, "pwrite", lambda *a: (count(), write(*a))[1])
        monkeypatch.setattr(os, "ftruncate", lambda *a: (count(), cut(*a))[1])
        change_everywhere(file)
        file.commit()
    assert 5 < calls < 15


@fault(
    "disk",
    "a journal that is cut, or of which a byte is flipped",
    code=None,
    says="",
    left="the state before the commit that it was for",
)
def test_a_torn_or_altered_journal_is_no_journal() -> None:
    whole = pack_journal(12_000, {0: b"a" * PAGE_BYTES, 8192: b"b" * 100})
    assert unpack_journal(whole) == (12_000, {0: b"a" * PAGE_BYTES, 8192: b"b" * 100})
    assert all(unpack_journal(whole[:cut]) is None for cut in range(0, len(whole), 97))
    for at in range(0, len(whole), 211):
        assert unpack_journal(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]) is None
    assert unpack_journal(b"something else" * 100) is None


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    code = "import sys; from amr.formats.features.atomic import *; JournaledFile(Path(sys.argv[1]))"
    with JournaledFile(path):
        other = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
    assert "another process is writing this file" in other.stderr
    with JournaledFile(path), pytest.raises(InputError, match="another process"):
        JournaledFile(path)


def test_a_full_disk_is_told_by_commit_and_the_old_state_stands(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    write = os.pwrite

    def full(handle: int, data: memoryview, offset: int) -> int:
        if offset >= 2 * len(OLD) or offset == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data, offset)

    for at in (10, 3 * len(OLD)):  # refused in the journal; refused in the file itself
        with pytest.MonkeyPatch.context() as monkeypatch, JournaledFile(path) as file:
            monkeypatch.setattr(os, "pwrite", full)
            file.seek(at)
            file.write(b"x" * 100)
            file.seek(at)
            assert file.read(100) == b"x" * 100  # HDF5 keeps its footing
            with pytest.raises(OSError, match="No space"):
                file.commit()
        assert visible(path)[: len(OLD)] == OLD


def test_a_file_that_was_refused_is_dropped_in_silence(tmp_path: Path) -> None:
    """Python 3.13, and its development mode before, prints an error while a file is dropped."""
    path = tmp_path / "f.h5"
    path.write_bytes(b"")
    code = """
import sys
from contextlib import suppress
from pathlib import Path
from amr.audio.view import FileView
from amr.errors import InputError
from amr.formats.features.atomic import JournaledFile, PatchedFile

path, none = Path(sys.argv[1]), Path(sys.argv[1] + ".none")
with JournaledFile(path), suppress(InputError):
    JournaledFile(path)
for kind in (JournaledFile, PatchedFile, lambda path: FileView(path, [])):
    with suppress(OSError, InputError):
        kind(none)
"""
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
