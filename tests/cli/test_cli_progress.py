"""One progress for every tool: a line a minute in a pipe, a bar at a terminal, nothing in the product."""

from __future__ import annotations

import io
import re
import sys

import pytest

from amr.cli import progress
from amr.cli.progress import LastProgress, shown_progress
from amr.tasks.callbacks import Progress, RecordingMeter, ignore_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as the only item."""
    now_s = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s[0])
    return now_s


def test_a_line_a_minute_in_a_pipe(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress("amr extract") as on_progress:
        meter = RecordingMeter(on_progress, total=4, total_bytes=4000)
        for _ in range(2):
            clock[0] += 59.0
            meter.heard(1800.0)
            meter.done(1000)
    assert capsys.readouterr() == (
        "",
        "amr extract: 1 of 4 recordings, 1:00:00 of sound, 31 x real time, about 5:54 left\n",
    )


def test_what_is_no_sound_is_counted(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress("amr simulate") as on_progress:
        on_progress(Progress("recording", 1, 400))
        clock[0] += 61.0
        on_progress(Progress("recording", 90, 400))
    assert capsys.readouterr().err == "amr simulate: 90 of 400 recordings\n"


def test_a_tool_describes_its_own_work(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    def describe(record: Progress, elapsed_s: float) -> str:
        return f"{record.done} segments in {elapsed_s:.0f} s"

    with shown_progress("amr predict: f.h5", describe=describe) as on_progress:
        on_progress(Progress("segment", 0, 9))
        clock[0] += 60.0
        on_progress(Progress("segment", 5, 9, share=0.5))
    assert capsys.readouterr().err == "amr predict: f.h5: 5 segments in 60 s, about 1:00 left\n"


def test_a_message_beside_a_bar_is_not_broken_into_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    path = "a card/2024-06-12 at night/audiomoth/20240612_002300.WAV is cut"
    with shown_progress("amr extract") as on_progress:
        on_progress(Progress("recording", 1, 63, 600.0, 0.5))
        print(path, file=sys.stderr)
    assert any(line.endswith(path) for line in re.split(r"[\r\n]|\x1b\[2K", terminal.getvalue()))
    bars = re.findall(r"[━╸╺][^\r\n]*", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()))
    assert bars
    assert max(map(len, bars)) <= 40


def test_the_last_record_is_kept() -> None:
    passed: list[Progress] = []
    last = LastProgress(passed.append)
    last(Progress("recording", 1, 2, 60.0))
    assert passed == [last.last]
    assert last.last.sound_s == 60.0


def test_nothing_where_nothing_is_wanted() -> None:
    with shown_progress("amr extract", quiet=True) as quiet, shown_progress("amr plot", lines=False) as bars:
        assert quiet is bars is ignore_progress
