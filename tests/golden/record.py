"""Record anew what the command lines of ``commands.py`` do: ``python tests/golden/record.py [NAME...]``.

``--checkout DIR`` runs the package in another folder, ``--python PATH`` with another interpreter. Look at
``git diff tests/golden/transcripts`` before you commit: every line there is a change that users see.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden.commands import CASES
from golden.inputs import make_world
from golden.runner import Runner
from golden.transcript import FOLDER, MACHINE, REPOSITORY, path_of, perform


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="cases to record; default: all")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--checkout", type=Path, default=REPOSITORY)
    asked = parser.parse_args()
    if unknown := set(asked.names) - {case.name for case in CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        record(Path(name), asked.python, asked.checkout, asked.names)
    if not asked.names:
        for path in set(FOLDER.glob("*.txt")) - {MACHINE} - {path_of(case) for case in CASES}:
            path.unlink()


def record(scratch: Path, python: str, checkout: Path, names: list[str]) -> None:
    """Write the transcripts of the named cases, or of all."""
    with Runner(python, checkout, scratch) as runner:
        world = make_world(scratch / "world", runner)
        for case in CASES:
            if not names or case.name in names:
                began = time.monotonic()
                text = perform(case, runner, world, scratch / case.name)
                path_of(case).write_text(text, encoding="utf-8")
                print(f"{time.monotonic() - began:6.2f} s  {case.name}")
        MACHINE.write_text(runner.machine, encoding="utf-8")


if __name__ == "__main__":
    main()
