"""``examples/understanding.py``: the table of what is said not to be understood."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from test_judge_default import load


def test_the_table_counts_by_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, captions = tmp_path / "q.csv", tmp_path / "captions.jsonl"
    table.write_text(
        "part,kind,query\ntune,order,rain and then thunder\ntune,order,rain\ntest,number,two dogs\n"
    )
    captions.write_text(
        "".join(json.dumps({"query": text}) + "\n" for text in ("a dog barks", "ein Hund bellt"))
    )
    monkeypatch.setattr(sys, "argv", ["understanding.py", str(table), str(captions), "--misses"])
    next(load("understanding")).main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| queries | number | words | language | negation | number | order | any |"
    assert lines[2:5] == [
        "| order, tune | 2 | 0.0 | 0.0 | 0.0 | 0.0 | 50.0 | 50.0 |",
        "| number, test | 1 | 0.0 | 0.0 | 0.0 | 100.0 | 0.0 | 100.0 |",
        "| captions | 2 | 0.0 | 50.0 | 0.0 | 0.0 | 0.0 | 50.0 |",
    ]
    assert "order, tune: rain []" in lines
