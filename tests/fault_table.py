"""Faults that tests inject, and the page that tells of them: ``docs/faults.md`` is made from the tests.

A test under ``@fault(...)`` brings the fault about, asserts that nothing is lost, and gives back the exit
code and what was printed, which must be what the table says. ``python tests/fault_table.py`` writes the page
anew.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr.errors import ExitCode

REPOSITORY = Path(__file__).parent.parent
PAGE = REPOSITORY / "docs" / "faults.md"
IMPORT = re.compile(r"^from fault_table import ", flags=re.MULTILINE)

INTRODUCTION = """# Faults

Every line is a test that brings the fault about and looks at what is left. The page is made from the tests
by `python tests/fault_table.py`; a test keeps it true. "Lost" is what the same command, as a rule with
`--resume`, cannot give any more. Messages are on stderr; `…` stands for a name or a number. Exit codes
are in [cli.md](cli.md); a process that was killed has none of its own.
"""
ROOMS = {
    "signals": "Ctrl-C, SIGTERM, SIGKILL",
    "disk": "Disks",
    "input": "What is read",
    "machine": "Memory, clock, other processes",
    "group": "Several processes and machines",
}


@dataclass(frozen=True)
class Seen:
    """How a command ended.

    Args:
        code: its exit code; None: it goes on.
        text: what it printed for people.
    """

    code: int | None
    text: str


@dataclass(frozen=True)
class Fault:
    """One line of the table.

    Args:
        room: a key of ``ROOMS``.
        what: the fault, in words.
        code: the exit code; None: there is none, the work goes on or was killed.
        says: what is printed; ``…`` stands for anything on the line.
        left: what there is afterwards.
        lost: what is not.
    """

    room: str
    what: str
    code: int | None
    says: str
    left: str
    lost: str
    where: str


TABLE: dict[str, Fault] = {}


def fault(
    room: str, what: str, *, code: int | None, says: str, left: str, lost: str = "nothing"
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Put a test under the table; where it gives back a :class:`Seen`, that must be what the table says."""

    def register(test: Callable[..., Any]) -> Callable[..., None]:
        line = Fault(room, what, code, says, left, lost, test.__name__)
        assert room in ROOMS
        TABLE[what] = line

        @functools.wraps(test)
        def checked(*arguments: Any, **named: Any) -> None:
            seen = test(*arguments, **named)
            if seen is not None:
                require_told(line, seen)

        return checked

    return register


def require_told(line: Fault, seen: Seen) -> None:
    """Assert that what happened is what the table says."""
    assert seen.code == line.code, seen
    pattern = ".*".join(map(re.escape, line.says.split("…")))
    assert not line.says or re.search(pattern, seen.text), f"{line.says!r} is not in {seen.text!r}"
    assert "Traceback" not in seen.text, seen.text


def load_all() -> None:
    """Import every test module that has lines of the table, in order."""
    for path in sorted(Path(__file__).parent.rglob("test_*.py")):
        if IMPORT.search(path.read_text(encoding="utf-8")):
            sys.path.append(str(path.parent))
            importlib.import_module(path.stem)


def page() -> str:
    """The page, from the tests."""
    load_all()
    parts = [INTRODUCTION]
    for room, title in ROOMS.items():
        lines = [line for line in TABLE.values() if line.room == room]
        parts.append(f"\n## {title}\n\n| fault | message, exit code | left | lost |\n|---|---|---|---|\n")
        parts += [row(line) for line in sorted(lines, key=lambda line: (line.where, line.what))]
    parts.append(f"\n{len(TABLE)} faults.\n")
    return "".join(parts)


def row(line: Fault) -> str:
    unsaid = "the file is named" if line.code == ExitCode.BAD_INPUT else "nothing"
    said = f"`{line.says}`" if line.says else unsaid
    code = "" if line.code is None else f", {line.code}"
    cells = [line.what, f"{said}{code}", line.left, line.lost]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.modules["fault_table"] = sys.modules["__main__"]
    PAGE.write_text(page(), encoding="utf-8")
