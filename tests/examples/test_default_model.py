"""The model that comes with the package: what it is, and that it is what answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from conftest import Amr

from amr.encoders.registry import identity_of
from amr.formats.untrusted.tensor_header import METADATA_KEY, read_header
from amr.moments import interval_iou
from amr.tasks.networks import CURVES, OTHER_FEATURES, SHIPPED, shipped_path

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
LARGEST_BYTES = 16_000_000


def answers(amr: Amr, *words: object) -> list[dict[str, Any]]:
    done = amr("predict", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_is_small_takes_the_embedded_encoder_and_names_its_recipe() -> None:
    path = shipped_path()
    assert path.stat().st_size <= LARGEST_BYTES
    metadata = read_header(path)[METADATA_KEY]
    assert json.loads(metadata["encoder"]) == json.loads(identity_of().to_json())
    assert metadata["preset"] == SHIPPED
    assert json.loads(metadata["history"])[0].startswith("amr train train_all.jsonl ")
    assert json.loads(metadata["data_sha256"]).keys() >= {
        "train_all.jsonl",
        "val.jsonl",
        "features (training)",
    }


def test_reading_it_starts_no_compiler() -> None:
    """An eye on the meta device had torch import its compiler and sympy: a second and a half a process."""
    code = (
        "import sys; from amr.retrieval.trained.model import load_model; load_model(sys.argv[1]); "
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, shipped_path()], check=True)


def test_it_answers_where_no_model_is_named(amr: Amr) -> None:
    asked = ("--query", "someone chops wood", AUDIO)
    unnamed = answers(amr, *asked)
    assert unnamed == answers(amr, *asked, "--model", SHIPPED)
    assert unnamed != answers(amr, *asked, "--model", "window")


def test_it_finds_the_axe(amr: Amr) -> None:
    """The annotation of examples/queries.jsonl, true to half a second."""
    found = answers(amr, "--query", "someone chops wood", AUDIO)
    tops = {each["vid"]: each["pred_relevant_windows"][0] for each in found}
    assert max(tops, key=lambda vid: tops[vid][2]) == "lumberjack"
    assert interval_iou(np.array(tops["lumberjack"][:2]), np.array([(26.6, 43.0)]))[0] > 0.8


def test_window_options_still_mean_the_window(amr: Amr) -> None:
    asked = ("--query", "someone chops wood", "--fraction", 0.5, AUDIO / "lumberjack.ogg")
    assert answers(amr, *asked) == answers(amr, *asked, "--model", "window")


def test_a_table_leaves_out_what_is_unlikely_and_says_so(amr: Amr) -> None:
    asked = ("--query", "a jet engine at full thrust", AUDIO / "lumberjack.ogg", "--format", "table")
    assert "--min-score 0 shows what comes nearest" in amr("predict", *asked).stdout
    assert "0:" in amr("predict", *asked, "--min-score", 0).stdout


def test_features_of_another_hop_are_searched_by_curves_and_it_is_said(amr: Amr) -> None:
    asked = ("--query", "someone chops wood", AUDIO / "lumberjack.ogg", "--hop", 0.96)
    done = amr("predict", *asked)
    assert done.returncode == 0
    assert done.stderr == f"amr predict: {OTHER_FEATURES}\n"
    assert done.stdout == amr("predict", *asked, "--model", CURVES).stdout


def test_a_name_that_is_none_says_which_there_are(amr: Amr) -> None:
    done = amr("predict", "--query", "x", "--model", "bset", AUDIO)
    assert done.returncode == 2
    assert "best, curves, window, prior:whole" in done.stderr
