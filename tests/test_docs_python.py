"""``docs/python.md`` and the notebook run, from top to bottom."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import amr

REPOSITORY = Path(__file__).parent.parent
PAGE = REPOSITORY / "docs" / "python.md"
NOTEBOOK = REPOSITORY / "examples" / "notebook.ipynb"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Here, with the examples."""
    shutil.copytree(REPOSITORY / "examples" / "audio", tmp_path / "examples" / "audio")
    shutil.copy(REPOSITORY / "examples" / "queries.jsonl", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs_block_by_block(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"python.md, block {number}", "exec"), names)  # noqa: S102  # our own page
    printed = capsys.readouterr().out
    assert names["hits"][0].recording == "sheepfield"
    assert names["hits"][0].path.endswith("sheepfield.ogg")
    assert len(names["alike"]) == 3
    assert "broken.wav" in printed
    assert "nowhere.wav: no such audio file" in printed


def test_the_readmes_three_lines_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out.startswith("[Moment(start_s=2")


def test_the_page_shows_every_public_function() -> None:
    text = PAGE.read_text(encoding="utf-8")
    stub = (REPOSITORY / "amr" / "__init__.pyi").read_text(encoding="utf-8")
    typed = set(re.findall(r"import \w+ as (\w+)", stub))
    assert typed <= set(amr.HOMES)
    assert all(f"amr.{name}" in text for name in typed if name.islower())


def test_the_notebook_runs(folder: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the outputs before committing"
    shutil.copy(NOTEBOOK, folder / "examples")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder / "examples"}}
    )
    client.execute(env=environment)
    shown = [
        output["data"].get("text/html", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    assert any("<table>" in html and "sheepfield" in html for html in shown)
