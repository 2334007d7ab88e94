"""docs/training.md takes the published data to a submission: its commands, on made-up data of that layout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amr.models.checkpoint import read_checkpoint

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
SECTION = "## The published data, in two stages"
DIM = 768
SOUNDS = ["A car horn blares", "someone is talking", "Rain falls on a roof", "Birds sing"]
SMALL_NETWORK = ["hidden_dim=16", "heads=2", "feedforward_dim=16", "cross_layers=1", "encoder_layers=1"]
"""For speed alone; the second stage takes its network from the first."""
BRIEF = "--epochs 1 --threads 1 -q"

Record = dict[str, Any]


def recipe() -> list[str]:
    """The commands of the section, lines that go on joined."""
    section = PAGE.read_text(encoding="utf-8").split(SECTION)[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def record(
    qid: str, sound: int, vid: str, duration_s: int, windows: list[list[float]], **more: Any
) -> Record:
    named = {"qid": qid, "query": SOUNDS[sound], "duration": duration_s, "vid": vid}
    return {**named, "relevant_windows": windows, **more}


def clotho_moment(split: str, first: int, count: int) -> list[Record]:
    """One-minute recordings with dots in their names, one window of tenths each, zero-padded qids."""
    return [
        record(
            f"{first + i:05}",
            i % len(SOUNDS),
            f"{split}_{i}.0_{i + 60}.0",
            60,
            [[4.1 + i, 20.000000000000004 + i]],
            fg_dB=-2.5,
        )
        for i in range(count)
    ]


def castella(split: str, count: int) -> list[Record]:
    """Recordings of other lengths whose names begin with a dash; several windows of whole seconds each."""
    return [
        record(f"-{split}{i}_1", i % len(SOUNDS), f"-{split}{i}", 70 + 40 * i, [[30, 42], [3, 9], [41, 50]])
        for i in range(count)
    ]


def evaluation(count: int) -> list[Record]:
    """The evaluation list has no windows."""
    names = [(f"dcase2026_evaluation_q{i:03}", f"dcase2026_evaluation_audio_{i:03}") for i in range(count)]
    listed = [record(qid, i % len(SOUNDS), vid, 80 + 11 * i, []) for i, (qid, vid) in enumerate(names)]
    return [{key: value for key, value in each.items() if key != "relevant_windows"} for each in listed]


def write_dataset(folder: Path, name: str, files: dict[str, list[Record]], *, shorter: int) -> None:
    """Annotation files and a tree ``features/NAME``.

    Args:
        folder: where the commands run.
        name: of the dataset.
        files: records by file name.
        shorter: frames that each recording lacks, measured by its annotated duration.
    """
    audio, text = (folder / "features" / name / part for part in ("clap", "clap_text"))
    for part in (audio, text):
        part.mkdir(parents=True)
    for file, records in files.items():
        (folder / file).write_text("".join(json.dumps(each) + "\n" for each in records))
        for each in records:
            values = frames(each, shorter)
            np.savez(audio / f"{each['vid']}.npz", features=values)
            np.savez(text / f"qid{each['qid']}.npz", last_hidden_state=tokens(each["query"]))


def frames(each: Record, shorter: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Noise, and the direction of the query's sound in its windows."""
    generator = np.random.default_rng(len(each["vid"]))
    values = generator.normal(0, 0.3, (each["duration"] - shorter, DIM)).astype(np.float32)
    for start_s, end_s in each.get("relevant_windows", []):
        values[int(start_s) : int(end_s), SOUNDS.index(each["query"].strip())] += 5
    return values


def tokens(query: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A vector a word; a blank at the end is a word more, as in the published files."""
    words = query.split(" ")
    values = np.random.default_rng(len(query)).normal(size=(len(words), DIM)).astype(np.float32)
    values[:, SOUNDS.index(query.strip())] += 5
    return values


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder as it is before the first command, with the oddities of the published files."""
    train, test = clotho_moment("Venice", 0, 10), clotho_moment("Istanbul", 90, 2)
    train[3]["query"] += " "
    test[1]["query"] += " "
    splits = {"train": train, "val": clotho_moment("Singapore", 60, 4), "test": test}
    write_dataset(
        tmp_path,
        "clotho-moment",
        {f"clotho_moment_{split}_release.jsonl": each for split, each in splits.items()},
        shorter=0,
    )
    np.savez(  # a mixture without foreground, which no query names
        tmp_path / "features" / "clotho-moment" / "clap" / "Venice_99.0_159.0.npz",
        features=np.ones((60, DIM), np.float32),
    )
    train = castella("a", 8)
    train[0]["relevant_windows"] = [[299, 4800], [60, 71]]
    splits = {"train": train, "val": castella("b", 3), "test": castella("c", 3)}
    write_dataset(
        tmp_path,
        "castella",
        {f"castella_{split}_release.jsonl": each for split, each in splits.items()},
        shorter=1,
    )
    listed = {"dcase2026_evaluation.jsonl": evaluation(3)}
    write_dataset(tmp_path, "dcase2026_evaluation", listed, shorter=1)
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7 made up")
    return tmp_path


def shortened(command: str) -> str:
    """A training command that takes a second."""
    if not command.startswith("amr train"):
        return command
    network = "" if "--init" in command else "".join(f" --set network.{each}" for each in SMALL_NETWORK)
    return f"{command} {BRIEF}{network}"


def fill_in(form: Path) -> None:
    """What a person does between the last two commands."""
    values = {"email": "jo@example.org", "abbreviation": "doe", "institute": "UNI", "lastname": "Doe"}
    lines = []
    for line in form.read_text().splitlines():
        key, equals, value = line.partition("=")
        is_empty = bool(equals) and not value.strip() and not line.startswith("#")
        lines.append(f"{key}= {values.get(key.strip(), '7')}" if is_empty else line)
    form.write_text("\n".join(lines))


def run(command: str, folder: Path) -> str:
    """Standard output of a shell command that succeeds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_the_recipe_runs_from_the_published_trees_to_the_submission(data: Path) -> None:
    printed = {}
    for command in recipe():
        printed[command.split(" -o ")[0]] = run(shortened(command), data)
        if "--dcase-form" in command:
            fill_in(data / "form.ini")
    (figures,) = (text for command, text in printed.items() if command.startswith("amr score"))
    assert 0 <= json.loads(figures)["brief"]["MR-full-R1@0.7"] <= 100
    stages = [read_checkpoint(data / f"stage{number}.safetensors") for number in (1, 2)]
    assert stages[0].config == stages[1].config
    assert [len(stage.history) for stage in stages] == [1, 2]
    with zipfile.ZipFile(data / "submission.zip") as archive:
        names = archive.namelist()
        output = archive.read("task6/Doe_UNI_task6_1/Doe_UNI_task6_1.output.jsonl").decode()
    assert len(names) == 3
    answers = [json.loads(line) for line in output.splitlines()]
    asked = [json.loads(line) for line in (data / "dcase2026_evaluation.jsonl").read_text().splitlines()]
    assert [answer["qid"] for answer in answers] == [each["qid"] for each in asked]
    for answer, each in zip(answers, asked, strict=True):
        assert all(0 <= start < end <= each["duration"] for start, end in answer["pred_relevant_windows"])


def test_every_step_is_one_command() -> None:
    tools = [re.findall(r"\bamr (\w+)", command) for command in recipe()]
    assert [each for (each,) in tools] == [
        *["extract"] * 3,
        *["train"] * 2,
        *["predict", "score", "predict", "convert", "convert"],
    ]
