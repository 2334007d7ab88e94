"""Every tool does what it did when its transcript was recorded: see ``golden/commands.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden.commands import CASES, Case
from golden.inputs import make_world
from golden.runner import Runner
from golden.transcript import MACHINE, difference, path_of, perform


@pytest.fixture(scope="module")
def world(warm: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world") / "world", warm)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_transcript(case: Case, warm: Runner, world: Path, tmp_path: Path) -> None:
    if case.needs:
        pytest.importorskip(case.needs)
    seen = perform(case, warm, world, tmp_path / "folder")
    expected = path_of(case).read_text(encoding="utf-8")
    same_machine = warm.machine == MACHINE.read_text(encoding="utf-8")
    changed = difference(case, expected, seen, same_machine=same_machine)
    if changed:
        pytest.fail(f"{case.name} is not as recorded:\n{changed}", pytrace=False)
