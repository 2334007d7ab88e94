"""What a stranger installs: names, systems, and what a release carries."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import amr
from amr.errors import DISTRIBUTION, ExitCode, MissingError, install_command, require_posix
from amr.formats.side_files import read_into

REPOSITORY = Path(__file__).parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WITHOUT_POSIX = "import sys; sys.modules['fcntl'] = None; sys.argv = ['amr', '--help']; "


def test_hints_install_what_the_project_is_called() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    for text in (*(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "README.md"):
        for name, extra in re.findall(r"""pip install ["']?([\w-]+)\[(\w+)\]""", text.read_text("utf-8")):
            assert (name, extra in PROJECT["optional-dependencies"]) == (DISTRIBUTION, True), text.name
    assert install_command("plot") == 'pip install "audio-moment-retrieval[plot]"'


def test_a_system_without_posix_locks_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    code = WITHOUT_POSIX + "from amr.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == ExitCode.MISSING
    assert done.stderr.splitlines() == [
        "amr: error: amr runs on Linux and macOS; this system has no POSIX file locks",
        "hint: on Windows, install it inside WSL (wsl --install)",
    ]
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.delitem(vars(amr), "read_annotations", raising=False)
    with pytest.raises(MissingError, match="POSIX"):
        _ = amr.read_annotations
    monkeypatch.undo()
    require_posix()


def test_reads_where_python_has_no_preadv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ten"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        for _ in range(2):
            buffer = bytearray(4)
            assert read_into(file.fileno(), memoryview(buffer), 3) == 4
            assert buffer == b"3456"
            assert read_into(file.fileno(), memoryview(buffer), 8) == 2
            assert buffer == b"8956"
            assert read_into(file.fileno(), memoryview(buffer), 10) == 0
            monkeypatch.delattr(os, "preadv", raising=False)


def test_the_versions_that_are_promised_are_those_that_were_tried() -> None:
    assert PROJECT["requires-python"] == ">=3.11"
    named = {each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: 3." in each}
    page = (REPOSITORY / "docs" / "installing.md").read_text(encoding="utf-8")
    assert named == set(re.findall(r"^\| (3\.\d+) \|", page, flags=re.MULTILINE))


def test_the_page_of_settings_has_every_variable_and_exit_code() -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text("utf-8") for path in (REPOSITORY / "amr").rglob("*.py"))
    variables = set(re.findall(r'"(AMR_[A-Z_]+|[A-Z]+_NUM_THREADS|HF_[A-Z_]+)"', code))
    assert {"AMR_FEATURES", "AMR_ENCODERS"} <= variables
    assert [name for name in variables - {"HF_HUB_DISABLE_TELEMETRY"} if f"`{name}`" not in page] == []
    assert {int(each) for each in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)} == set(ExitCode)
