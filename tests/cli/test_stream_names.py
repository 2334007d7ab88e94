"""Names on standard input: as they come, whatever ends them, and never more of them than are wanted."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.errors import InputError
from amr.tasks import names
from amr.tasks.names import NameStream, split_names


@settings(max_examples=100)
@given(
    st.lists(st.text(st.characters(exclude_characters="\0\n\r", codec="utf-8"), min_size=1), min_size=1),
    st.sampled_from([b"\0", b"\n", b"\r\n"]),
    st.integers(1, 9),
    st.booleans(),
)
def test_names_whatever_ends_them_and_however_they_arrive(
    wanted: list[str], end: bytes, chunk: int, last_has_end: bool
) -> None:
    data = end.join(os.fsencode(name) for name in wanted) + (end if last_has_end else b"")
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    assert list(split_names(pieces)) == [name for name in wanted if os.fsencode(name).strip()]


def test_a_name_may_hold_a_line_end_where_nul_ends_it() -> None:
    assert list(split_names([b"a\nb.wav\0c.wav\0"])) == ["a\nb.wav", "c.wav"]


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    assert [os.fsencode(name) for name in split_names([b"caf\xe9.wav\n"])] == [b"caf\xe9.wav"]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The writing end of what is standard input meanwhile."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "r") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield writing


def test_a_name_is_there_as_soon_as_its_end_is(pipe: int) -> None:
    ahead = NameStream(["first.wav", "-"])
    assert ahead.wait(lambda: False)
    assert list(ahead.at_hand()) == ["first.wav"]
    os.write(pipe, b"a.wav\nb.w")
    assert ahead.wait(lambda: False)
    assert list(ahead.at_hand()) == ["a.wav"]
    os.write(pipe, b"av\n")
    assert ahead.wait(lambda: False)
    assert list(ahead.at_hand()) == ["b.wav"]
    os.close(pipe)
    assert not ahead.wait(lambda: False)


def test_whoever_writes_faster_than_names_are_taken_has_to_wait(pipe: int) -> None:
    """Some 64 names, a chunk and a pipe wait at most; the writer is then held up."""
    written = 0

    def produce() -> None:
        nonlocal written
        for number in range(100_000):
            os.write(pipe, b"%06d.wav\n" % number)
            written = number + 1
        os.close(pipe)

    threading.Thread(target=produce, daemon=True).start()
    ahead = NameStream(["-"])
    before = -1
    while written > before:
        before = written
        time.sleep(0.5)
    assert written <= names.NAMES_WAITING + (2 * names.CHUNK_BYTES + 65_536) // len("000000.wav\n") + 2
    taken = []
    while ahead.wait(lambda: False):
        taken += ahead.at_hand()
    assert len(taken) == 100_000
    assert taken == sorted(taken)


def test_waiting_ends_when_the_work_is_to_stop(pipe: int) -> None:
    answers = iter([False, False, True])
    assert not NameStream(["-"]).wait(lambda: next(answers))
    os.close(pipe)


def test_a_list_of_nothing_is_told(pipe: int) -> None:
    os.write(pipe, b"\n\n")
    os.close(pipe)
    with pytest.raises(InputError, match="lists no file"):
        NameStream(["-"]).wait(lambda: False)
