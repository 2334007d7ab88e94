"""Exit codes, one line an error, and quiet ends."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_table import fault

from amr import __version__
from amr.cli import main
from amr.errors import ExitCode, InputError, MissingError, UsageError


def fail_with(error: BaseException) -> Callable[..., None]:
    def tool(*_: object, **__: object) -> None:
        raise error

    return tool


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("is empty", where="a.wav"), ExitCode.BAD_INPUT, "amr: error: a.wav: is empty"),
        (UsageError("no", where="--x"), ExitCode.USAGE, "amr: error: --x: no"),
        (MissingError("no GPU"), ExitCode.MISSING, "amr: error: no GPU"),
        (
            OSError(errno.ENOSPC, "No space left on device", "f"),
            ExitCode.MISSING,
            "amr: error: f: No space left",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "f"),
            ExitCode.BAD_INPUT,
            "amr: error: f: Permission",
        ),
        (MemoryError(), ExitCode.MISSING, "amr: error: not enough memory"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "amr: error: interrupted"),
        (ZeroDivisionError("x"), ExitCode.BUG, "amr: error: a fault of amr itself: ZeroDivisionError: x"),
        (InputError("bad\x1b[31m\nname"), ExitCode.BAD_INPUT, "amr: error: bad [31m name"),
    ],
)
def test_every_failure_is_one_line_and_a_code(
    error: BaseException,
    code: ExitCode,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(main, "app", fail_with(error))
    assert main.run(["-h"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0].startswith(line)
    assert all(rest.startswith("hint: ") for rest in lines[1:])
    assert len(lines) <= 2


def test_the_command_alone_shows_its_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == ExitCode.COMPLETE
    captured = capfd.readouterr()
    assert captured.err == ""
    assert captured.out.startswith("Usage: amr")
    assert all(f"\n  {tool} " in captured.out for tool in main.TOOLS)


def test_verbose_shows_where_a_fault_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "app", fail_with(ZeroDivisionError("x")))
    assert main.run(["score", "-v"]) == ExitCode.BUG
    assert "Traceback" in capsys.readouterr().err


def test_version_and_help(amr: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert amr("--version").stdout == f"amr {__version__}\n"
    for flag in ("-h", "--help"):
        assert "predict" in amr(flag).stdout
    assert amr().stdout == amr("-h").stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["predict", "--nonsense"], ["score"]])
def test_wrong_usage(arguments: list[str], amr: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = amr(*arguments)
    assert done.returncode == ExitCode.USAGE
    first, second = done.stderr.splitlines()
    assert ": error: " in first
    assert second.startswith("hint: see amr")


@fault(
    "disk",
    "the disk behind standard output is full (`predict > FILE`)",
    code=4,
    says="No space left on device",
    left="the answers that were written; the exit code tells",
)
def test_a_full_disk_behind_standard_output(tmp_path: Path) -> None:
    queries = tmp_path / "q.jsonl"
    queries.write_text('{"query": "x", "vid": "a", "duration": 60}\n' * 200)
    command = [sys.executable, "-m", "amr", "predict", "--model", "prior", "--queries", str(queries)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == ExitCode.MISSING
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@fault(
    "signals",
    "whoever reads standard output goes away (`predict | head`)",
    code=141,
    says="",
    left="what was read",
)
def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    queries = tmp_path / "q.jsonl"
    queries.write_text('{"query": "x", "vid": "a", "duration": 60}\n' * 5000)
    command = [sys.executable, "-m", "amr", "predict", "--model", "prior", "--queries", str(queries)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('{"qid"')
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == ExitCode.READER_GONE
