"""The program that is to be run on a GPU runs, in toy size, on a processor."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> Namespace:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "path", list(sys.path))
    import gpu

    return gpu.parse(["--device", "cpu", "--small"])


def test_every_check_holds_and_every_figure_is_given(
    options: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gpu_fast
    import gpu_right

    # One preset each: all six take half a minute.
    monkeypatch.setattr(gpu_right, "PRESETS", ("am-detr", "best", "curves"))
    monkeypatch.setattr(gpu_fast, "PRESETS", ("am-detr",))
    for name, job in gpu_right.CHECKS.items():
        rows = list(job(options))
        assert rows, name
        assert [row for row in rows if not row["right"]] == []
    [trained] = gpu_fast.train(options)
    assert trained["samples/s"] > 0
    assert [row["encoder"] for row in gpu_fast.encode(options)][:2] == ["yamnet", "clap, float32"]
    [extracted] = gpu_fast.extract(options)
    assert extracted["whole s"] > 0
    assert list(gpu_fast.beside_lighthouse(options)) == []


def test_what_is_wrong_or_left_out_is_said(
    options: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gpu
    import gpu_fast
    import gpu_right

    wrong = gpu_right.row("a number", 2.0, 1.0)
    monkeypatch.setattr(gpu_right, "CHECKS", {"numbers": lambda _: iter([wrong])})
    monkeypatch.setattr(gpu_fast, "FIGURES", {"speed": lambda _: iter([{"samples/s": 3.0}])})
    out = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--small", "-o", str(out)]) == 1
    found = json.loads(out.read_text())
    assert found["right"] == [{"part": "numbers", **wrong}]
    assert found["fast"] == [{"part": "speed", "samples/s": 3.0}]
    table = "\n".join(gpu.table(found))
    assert "| a number | 2 | 1 | False |" in table
    assert gpu.main(["--device", "cpu", "--small", "--minutes", "-1", "-o", str(out)]) == 0
    assert json.loads(out.read_text())["left out"] == ["numbers", "speed"]
