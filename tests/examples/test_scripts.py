"""Examples and benchmarks: each can be imported, and a page says what it is for."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
BENCHMARKS = REPOSITORY / "tests" / "benchmarks"
SCRIPTS = sorted([*EXAMPLES.glob("*.py"), *(EXAMPLES / "reproduce").glob("*.py"), *BENCHMARKS.glob("*.py")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_only_what_there_is(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many take hours, so that no test runs them whole; a name that the package lost is seen all the same."""
    monkeypatch.syspath_prepend(script.parent)
    name = f"script_{script.stem}"
    spec = importlib.util.spec_from_file_location(name, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)


def test_the_page_of_examples_names_every_file() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in EXAMPLES.iterdir() if not path.name.startswith((".", "__"))}
    assert [name for name in sorted(files - {"README.md"}) if name not in page] == []


def test_a_page_names_every_benchmark() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "docs").rglob("*.md"))
    named = set(re.findall(r"\b(\w+)\.py\b", pages))
    commands = [path for path in sorted(BENCHMARKS.glob("*.py")) if "__main__" in path.read_text("utf-8")]
    assert [path.name for path in commands if path.stem not in named] == []
