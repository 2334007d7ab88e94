"""``amr simulate`` from the outside: same command, same bytes, however it is run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from fault_table import fault
from simulation_world import RATE_HZ, draw_options, files_of, make_world, read_lines
from waiting import wait_for

from amr.cli.main import run

SMALL_RECIPE = Path(__file__).parents[1] / "data" / "recipe_small.json"
Simulate = Callable[..., int]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return make_world(tmp_path / "world")


def simulate(*words: object) -> int:
    """The exit code of ``amr simulate``, run in this process."""
    return run(["simulate", *map(str, words)])


def test_a_set_is_drawn_rendered_and_told(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = world / "sim"
    assert simulate(*draw_options(world), "-o", out) == 0
    told = capfd.readouterr()
    recipe, annotations = read_lines(out / "recipe.jsonl"), read_lines(out / "annotations.jsonl")
    assert [json.loads(line) for line in told.out.splitlines()] == annotations
    assert "background shorter than 8 s, left out" in told.err
    assert [scene["vid"] for scene in recipe] == [
        "bg_street0_0.0_8.0",
        "bg_street0_1.0_9.0",
        "bg_street0_2.0_10.0",
        "bg_street0_3.0_11.0",
        "bg_street1_0.0_8.0",
        "bg_street1_1.0_9.0",
    ]
    assert sorted(path.name for path in (out / "audio").iterdir()) == [f"{s['vid']}.flac" for s in recipe]
    info = soundfile.info(out / "audio" / "bg_street0_0.0_8.0.flac")
    assert (info.frames, info.samplerate, info.subtype) == (8 * RATE_HZ, RATE_HZ, "PCM_16")
    assert annotations
    for annotation in annotations:
        assert list(annotation) == ["qid", "query", "duration", "vid", "relevant_windows", "label"]
        assert not (annotation["label"] == "horn" and "street0" in str(annotation["vid"]))


def test_a_moment_is_where_the_sound_is(world: Path) -> None:
    """Under the power law a foreground 10 dB above its background is heard exactly between its times."""
    out = world / "sim"
    levels = ["--foreground-level", "0", "--background-level", "-30", "--trim-below", "20"]
    assert simulate(*draw_options(world), *levels, "-o", out, "--mean-gap", "2", "--audio-format", "wav") == 0
    checked = 0
    for scene in read_lines(out / "recipe.jsonl"):
        samples, _ = soundfile.read(out / "audio" / f"{scene['vid']}.wav")
        inside = np.zeros(len(samples), bool)
        for layer in scene["foregrounds"]:  # type: ignore[attr-defined]
            first = int(layer["start_s"] * RATE_HZ)
            inside[first : first + round(layer["duration_s"] * RATE_HZ)] = True
        if 0 < inside.mean() < 1:
            ratio_db = 10 * np.log10(np.mean(samples[inside] ** 2) / np.mean(samples[~inside] ** 2))
            assert ratio_db == pytest.approx(30, abs=0.6)
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize("preset", ["clotho-moment", "castella-like"])
def test_same_command_same_bytes_whatever_the_workers(world: Path, preset: str) -> None:
    options = [
        *draw_options(world),
        "--preset",
        preset,
        "--count",
        "7",
        "--short-background",
        "repeat",
        "--seed",
        9,
    ]
    if preset == "castella-like":
        options[options.index("--mean-gap") : options.index("--mean-gap") + 2] = []
    for name, workers in (("a", 0), ("b", 1), ("c", 3)):
        assert simulate(*options, "-o", world / name, "--workers", workers) == 0
    assert files_of(world / "a") == files_of(world / "b") == files_of(world / "c")
    assert len(files_of(world / "a")) == 9
    assert simulate(*options, "-o", world / "d", "--seed", 10) == 0
    assert files_of(world / "d") != files_of(world / "a")


def test_a_recipe_alone_renders_the_same_bytes(world: Path) -> None:
    options = [*draw_options(world), "--count", "5", "--mean-gap", "4", "--absent", "1"]
    options += ["--distractors", "0.3", "--length", "uniform:0.2:1"]
    assert simulate(*options, "-o", world / "a") == 0
    sources = ["--foreground", world / "fg.csv", "--background", world / "bg.csv"]
    assert simulate("--recipe", world / "a" / "recipe.jsonl", *sources, "-o", world / "b") == 0
    assert files_of(world / "a") == files_of(world / "b")
    roots = ["--foreground-root", world, "--background-root", world]
    assert simulate("--recipe", world / "a" / "recipe.jsonl", *roots, "-o", world / "c", "--force") == 0
    assert files_of(world / "a") == files_of(world / "c")
    assert any(not line["relevant_windows"] for line in read_lines(world / "a" / "annotations.jsonl"))


def test_a_plan_is_the_recipe_without_the_sound(world: Path) -> None:
    assert simulate(*draw_options(world), "-o", world / "a") == 0
    assert simulate(*draw_options(world), "-o", world / "b", "--plan") == 0
    rendered, planned = files_of(world / "a"), files_of(world / "b")
    assert set(planned) == {"recipe.jsonl", "annotations.jsonl"}
    assert all(rendered[name] == data for name, data in planned.items())


def test_shards_in_order_are_the_whole(world: Path) -> None:
    options = [*draw_options(world), "--count", "7"]
    assert simulate(*options, "-o", world / "whole") == 0
    for part in (2, 3, 1):
        assert simulate(*options, "-o", world / "parts", "--shard", f"{part}/3") == 0
    whole, parts = files_of(world / "whole"), files_of(world / "parts")
    for kind in ("recipe", "annotations"):
        joined = b"".join(parts.pop(f"{kind}-{part}-of-3.jsonl") for part in (1, 2, 3))
        assert joined == whole.pop(f"{kind}.jsonl")
    assert parts == whole


@fault(
    "signals",
    "SIGKILL while `simulate` renders",
    code=None,
    says="",
    left="every finished recording; `--resume` ends with the bytes of an uninterrupted run",
)
def test_killed_and_resumed_ends_as_uninterrupted(world: Path) -> None:
    options = [*draw_options(world), "--count", "400", "--duration", "9", "--quiet"]
    command = [sys.executable, "-m", "amr", "simulate", *options, "-o", str(world / "a"), "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(lambda: len(list((world / "a").glob("audio/*.flac"))) >= 5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = len(list((world / "a").glob("audio/*.flac")))
    assert 5 <= finished < 400
    assert not (world / "a" / "annotations.jsonl").exists()
    (world / "a" / "audio" / ".sim-00399.flac.77.part").write_bytes(b"what a kill may leave")
    before = (world / "a" / "audio" / "sim-00000.flac").stat().st_mtime_ns
    assert simulate(*options, "-o", world / "a") == 3
    assert simulate(*options, "-o", world / "a", "--resume") == 0
    assert (world / "a" / "audio" / "sim-00000.flac").stat().st_mtime_ns == before
    assert simulate(*options, "-o", world / "b") == 0
    assert files_of(world / "a") == files_of(world / "b")


def test_resume_goes_on_with_the_same_plan_only(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert simulate(*draw_options(world), "-o", world / "a") == 0
    assert simulate(*draw_options(world), "-o", world / "a", "--resume", "--seed", 1) == 3
    assert "holds another plan" in capfd.readouterr().err
    assert simulate(*draw_options(world), "-o", world / "a", "--resume") == 0


def test_an_output_is_replaced_only_when_forced(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert simulate(*draw_options(world), "-o", world / "a") == 0
    before = files_of(world / "a")
    assert simulate(*draw_options(world), "-o", world / "a", "--seed", 1) == 3
    assert "exists already" in capfd.readouterr().err
    assert files_of(world / "a") == before
    assert simulate(*draw_options(world), "-o", world / "a", "--seed", 1, "--force") == 0
    assert files_of(world / "a") != before


def test_annotations_flow_through_a_pipe_and_a_table_is_for_people(
    world: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert simulate(*draw_options(world), "--plan", "--format", "table") == 0
    assert capfd.readouterr().out.startswith("recordings  6, ")
    command = [
        sys.executable,
        "-m",
        "amr",
        "simulate",
        *draw_options(world),
        "--count",
        "5000",
        "--plan",
        "-q",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["vid"].startswith("sim-")
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_published_recipes_need_no_audio(capfd: pytest.CaptureFixture[str]) -> None:
    assert simulate("--recipe", SMALL_RECIPE, "--plan") == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["qid"], line["vid"]) for line in lines] == [
        ("00007", "Harbour_0.0_60.0"),
        ("00008", "Harbour_2.0_62.0"),
        ("00009", "Harbour_2.0_62.0"),
    ]


def test_splits_share_no_source(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert simulate(*draw_options(world), "-o", world / "train") == 0
    other = [*draw_options(world), "--disjoint-from", world / "train" / "recipe.jsonl", "-o", world / "test"]
    assert simulate(*other) == 3
    assert "is used in" in capfd.readouterr().err
    only = ["--count", "2", "--background-where", "file=bg/street0.flac"]
    for name, label in (("bells", "bell"), ("saws", "saw")):
        options = [*draw_options(world), *only, "--where", f"label={label}", "-o", world / name]
        assert simulate(*options) == 0
        labels = {line["label"] for line in read_lines(world / name / "annotations.jsonl")}
        assert labels <= {label}


def test_features_are_what_extract_would_make(world: Path) -> None:
    options = [*draw_options(world), "--count", "4"]
    encoder = ["--encoder", "simulation_world:ToyEncoder"]
    assert simulate(*options, "-o", world / "sim") == 0
    assert simulate(*options, *encoder, "--features", world / "a.h5", "--workers", 3, "-o", world / "f") == 0
    assert not (world / "f" / "audio").exists()
    annotations = world / "sim" / "annotations.jsonl"
    assert (world / "f" / "annotations.jsonl").read_bytes() == annotations.read_bytes()
    extract = ["extract", world / "sim" / "audio", "--queries", annotations, *encoder, "-o", world / "b.h5"]
    assert run([*map(str, extract), "-q"]) == 0
    with h5py.File(world / "a.h5") as made, h5py.File(world / "b.h5") as extracted:
        names = ["audio/id", "audio/start", "audio/frames", "audio/duration_s", "text/query", "text/tokens"]
        for name in names:
            np.testing.assert_array_equal(made[name][...], extracted[name][...], err_msg=name)
        assert json.loads(made.attrs["history"])[0]["sha256"].keys() == {"recipe"}


def test_features_resume_with_the_same_plan(
    world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    options = [*draw_options(world), "--count", "4", "--encoder", "simulation_world:ToyEncoder", "--features"]
    assert simulate(*options, world / "whole.h5") == 0
    monkeypatch.setenv("TOY_FAILS", "1")
    assert simulate(*options, world / "a.h5") == 3
    monkeypatch.delenv("TOY_FAILS")
    assert not (world / "a.h5").exists()
    assert simulate(*options, world / "a.h5", "--resume", "--seed", 5) == 3
    assert "another plan" in capfd.readouterr().err
    assert simulate(*options, world / "a.h5", "--resume") == 0
    assert (world / "a.h5").read_bytes() == (world / "whole.h5").read_bytes()


def test_without_features_nothing_heavy_is_imported(world: Path) -> None:
    code = "import sys; from amr.cli.main import run; sys.exit(run(sys.argv[1:]) or 'torch' in sys.modules)"
    command = [
        sys.executable,
        "-c",
        code,
        "simulate",
        *draw_options(world),
        "--count",
        "1",
        "-o",
        str(world / "a"),
    ]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0
