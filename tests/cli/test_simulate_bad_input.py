"""What a user may get wrong: one line, the right exit code, nothing written outside, no traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from simulation_world import RATE_HZ, draw_options, files_of, make_world, read_lines, tone, write_csv

from amr.cli.main import run

Change = Callable[[Path], "list[object]"]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return make_world(tmp_path / "world")


def foregrounds(world: Path, **columns: object) -> None:
    """Append a row to the foregrounds' table."""
    row = {"file": "fg/new.wav", "label": "new", "captions": "something new", "group": "new", "size": 9}
    lines = (world / "fg.csv").read_text(encoding="utf-8")
    values = ",".join(str({**row, **columns}[key]) for key in row)
    (world / "fg.csv").write_text(lines + values + "\n", encoding="utf-8")


def sound(world: Path, samples: object, name: str = "new.wav") -> None:
    soundfile.write(world / "fg" / name, samples, RATE_HZ, subtype="FLOAT")


def missing_table(world: Path) -> list[object]:
    (world / "fg.csv").unlink()
    return []


def no_file_column(world: Path) -> list[object]:
    write_csv(world / "fg.csv", [{"name": "fg/bell_0.wav", "captions": "x"}])
    return []


def no_caption(world: Path) -> list[object]:
    foregrounds(world, captions="  | ")
    sound(world, tone(1.0, 440.0))
    return ["--where", "label=new"]


def file_twice(world: Path) -> list[object]:
    foregrounds(world, file="fg/horn_2.wav")
    return []


def missing_clip(world: Path) -> list[object]:
    foregrounds(world)
    return []


def clip_is_text(world: Path) -> list[object]:
    foregrounds(world)
    (world / "fg" / "new.wav").write_text("no sound", encoding="utf-8")
    return []


def clip_is_cut(world: Path) -> list[object]:
    path = world / "fg" / "horn_2.wav"
    path.write_bytes(path.read_bytes()[:-4000])
    return []


def clip_is_empty(world: Path) -> list[object]:
    foregrounds(world)
    (world / "fg" / "new.wav").write_bytes(b"")
    return []


def clip_is_nan(world: Path) -> list[object]:
    foregrounds(world)
    sound(world, np.full(RATE_HZ, np.nan, np.float32))
    return []


def climbing_path(world: Path) -> list[object]:
    foregrounds(world, file="../secret.wav")
    return []


def absolute_path(world: Path) -> list[object]:
    foregrounds(world, file="/etc/passwd")
    return []


def link_out(world: Path) -> list[object]:
    soundfile.write(world.parent / "secret.wav", tone(1.0, 440.0), RATE_HZ)
    (world / "fg" / "new.wav").symlink_to(world.parent / "secret.wav")
    foregrounds(world)
    return []


def all_too_long(world: Path) -> list[object]:
    return ["--duration", "1", "--where", "label=drill"]


def no_background_long_enough(world: Path) -> list[object]:
    return ["--duration", "40"]


def silent_background(world: Path) -> list[object]:
    soundfile.write(world / "bg" / "street0.flac", np.zeros(11 * RATE_HZ), RATE_HZ)
    return []


def split_shared(world: Path) -> list[object]:
    rows = [
        {"file": f"fg/bell_{n}.wav", "captions": "x", "group": "one", "split": split}
        for n, split in enumerate(("train", "test"))
    ]
    write_csv(world / "fg.csv", rows)
    return ["--split", "train"]


def output_is_a_file(world: Path) -> list[object]:
    (world / "file").write_text("mine", encoding="utf-8")
    return ["-o", world / "file"]


def output_has_no_folder(world: Path) -> list[object]:
    return ["-o", world / "none" / "sim"]


def audio_is_a_link(world: Path) -> list[object]:
    (world / "elsewhere").mkdir()
    (world / "sim").mkdir()
    (world / "sim" / "audio").symlink_to(world / "elsewhere")
    return []


def not_utf8(world: Path) -> list[object]:
    (world / "fg.csv").write_bytes(b"file,captions\nfg/horn_2.wav,\xe9t\xe9\n")
    return []


def same_names(world: Path) -> list[object]:
    soundfile.write(world / "bg" / "street0.wav", np.ones(11 * RATE_HZ) * 0.1, RATE_HZ)
    return ["--background", world / "bg"]


BAD_INPUTS: list[tuple[Change, int, str]] = [
    (missing_table, 3, "no such file or folder"),
    (no_file_column, 3, "no column names the files"),
    (no_caption, 3, "has no caption"),
    (file_twice, 3, "is here and at"),
    (missing_clip, 3, "no file 'fg/new.wav'"),
    (clip_is_text, 3, "new.wav"),
    (clip_is_cut, 3, "is cut"),
    (clip_is_empty, 3, "is empty"),
    (clip_is_nan, 3, "NaN|not finite"),
    (climbing_path, 3, "outside its source folder"),
    (absolute_path, 3, "outside its source folder"),
    (link_out, 3, "link that leads outside"),
    (all_too_long, 3, "longer than a recording of 1 s"),
    (no_background_long_enough, 3, "no background of 40 s"),
    (silent_background, 3, "digital silence"),
    (split_shared, 3, "'one' is in split"),
    (output_is_a_file, 3, "exists"),
    (output_has_no_folder, 3, "folder of this output does not exist"),
    (audio_is_a_link, 3, "is a link"),
    (not_utf8, 3, "is not UTF-8"),
    (same_names, 3, "recordings of one name"),
]


@pytest.mark.parametrize(("change", "code", "message"), BAD_INPUTS, ids=lambda x: getattr(x, "__name__", ""))
def test_bad_input_is_told_in_one_line(
    world: Path, capfd: pytest.CaptureFixture[str], change: Change, code: int, message: str
) -> None:
    extra = change(world)
    options = draw_options(world)
    if "--background" in extra:
        place = options.index("--background")
        options[place : place + 2] = []
    outside = set(files_of(world.parent)) - set(files_of(world / "sim"))
    assert run(["simulate", *options, "-o", str(world / "sim"), *map(str, extra)]) == code
    told = capfd.readouterr()
    errors = [line for line in told.err.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert errors[0].startswith("amr simulate: error: ")
    assert re.search(message, errors[0]), errors[0]
    assert "Traceback" not in told.err
    left = {name for name in set(files_of(world.parent)) - outside if not name.startswith("world/sim/")}
    assert left == set(), "something was written beside the output folder"


USAGE: list[tuple[list[str], str]] = [
    (["--preset", "clotho"], "no preset 'clotho'"),
    (["--law", "loud"], "no law 'loud'"),
    (["--layout", "random"], "'random' is none of"),
    (["--gap", "poisson:3"], "not a distribution"),
    (["--gap", "3", "--mean-gap", "3"], "set the same thing"),
    (["--duration", "0"], "--duration"),
    (["--duration", "uniform:5:8"], "give the number of recordings"),
    (["--background-hop", "0"], "--background-hop"),
    (["--distractors", "1.5"], "--distractors"),
    (["--where", "label"], "not a condition"),
    (["--count", "2", "--name-prefix", "../x"], "cannot be the name"),
    (["--name-prefix", "x"], "say --count"),
    (["--column", "file"], "not WHAT=NAME"),
    (["--column", "file=nope"], "no column 'nope'"),
    (["--shard", "3/2"], "--shard"),
    (["--resume", "--force"], "--resume"),
    (["--plan", "--features", "x.h5"], "--features"),
    (["--recipe", "x.jsonl"], "a recipe is rendered as it is"),
    (["--qid-offset", "-1"], "qid-offset"),
    (["--sample-rate", "5"], "sample-rate"),
]


@pytest.mark.parametrize(
    ("words", "message"), USAGE, ids=lambda x: " ".join(x) if isinstance(x, list) else ""
)
def test_options_that_make_no_sense_are_usage_errors(
    world: Path, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    options = draw_options(world)
    if "--gap" in words and "--mean-gap" not in words:
        options = options[:-2]
    assert run(["simulate", *options, "-o", str(world / "sim"), *words]) == 2
    assert message in capfd.readouterr().err
    assert not (world / "sim").exists()


def test_sources_and_output_must_be_named(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "-o", str(world / "sim")]) == 2
    assert "--foreground" in capfd.readouterr().err
    assert run(["simulate", *draw_options(world)]) == 2
    assert "-o FOLDER" in capfd.readouterr().err


def test_silent_and_short_clips_are_left_out_and_counted(
    world: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, samples in enumerate([np.zeros(RATE_HZ), np.zeros(RATE_HZ), np.ones(RATE_HZ // 2)]):
        foregrounds(world, file=f"fg/n{number}.wav", group=f"n{number}")
        sound(world, samples.astype(np.float32), f"n{number}.wav")
    assert run(["simulate", *draw_options(world), "--plan", "--preset", "clotho-moment"]) == 0
    told = capfd.readouterr().err
    assert "fg/n0.wav: foreground of digital silence, left out (2 times, this is the first)" in told
    assert "fg/n2.wav: foreground shorter than one trimming block of 1 s, left out" in told


def test_keep_going_does_the_rest_and_says_so(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip_is_text(world)
    silent_background(world)
    out = world / "sim"
    assert run(["simulate", *draw_options(world), "-o", str(out), "--keep-going"]) == 5
    told = capfd.readouterr().err
    assert "new.wav" in told
    assert told.count("digital silence") == 4
    made = {path.stem for path in (out / "audio").iterdir()}
    assert made == {"bg_street1_0.0_8.0", "bg_street1_1.0_9.0"}
    assert {line["vid"] for line in read_lines(out / "annotations.jsonl")} <= made


@pytest.mark.parametrize(
    ("key", "value"),
    [("vid", "../escaped"), ("vid", "/tmp/escaped"), ("path", "../../secret.wav"), ("path", "/etc/passwd")],
)
def test_hostile_recipes_write_and_read_nothing(
    world: Path, capfd: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    assert run(["simulate", *draw_options(world), "-o", str(world / "a"), "--plan"]) == 0
    scene = read_lines(world / "a" / "recipe.jsonl")[0]
    (scene if key == "vid" else scene["background"])[key] = value  # type: ignore[index]
    recipe = world / "hostile.jsonl"
    recipe.write_text(json.dumps(scene) + "\n", encoding="utf-8")
    before = files_of(world.parent)
    roots = ["--foreground-root", str(world), "--background-root", str(world)]
    assert run(["simulate", "--recipe", str(recipe), *roots, "-o", str(world / "b")]) == 3
    assert f"{recipe}:1: " in capfd.readouterr().err
    assert files_of(world.parent) == before
