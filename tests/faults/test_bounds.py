"""Files and options beyond all bounds end in one line, before memory is taken."""

from __future__ import annotations

import io
import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_table import Seen, fault
from fault_world import World

from amr.cli.messages import MOST_LETTERS
from amr.errors import InputError
from amr.formats.exchange.forms import read_tracks
from amr.formats.notices import Notices
from amr.formats.recipes import read_recipe_bytes
from amr.formats.untrusted.bounds import (
    MAX_LINE_BYTES,
    MOST_RECIPE_BYTES,
    MOST_SETTINGS_BYTES,
    MOST_TEXT_BYTES,
    read_whole,
    require_short_keys,
)
from amr.simulation.published import parse_published
from amr.simulation.tables import read_table
from amr.tasks.names import split_names

MEMORY_BYTES = 700 * 2**20


@pytest.fixture
def little_memory() -> Iterator[None]:
    """No more address space than this process has now, and what a whole text may take."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, capfd)


@pytest.mark.usefixtures("little_memory")
@fault(
    "input",
    "a recipe without end, or a list of more than 64 MiB",
    code=3,
    says="recipe.json: is longer than … bytes",
    left="nothing was begun",
)
def test_endless_recipe(world: World) -> Seen:
    with pytest.raises(InputError, match="is longer than"):
        read_recipe_bytes("/dev/zero")
    with open("recipe.json", "wb") as file:
        file.write(b"[" + b" " * MOST_RECIPE_BYTES)
    return world.amr("simulate", "--recipe", "recipe.json", "--foreground", "audio", "-o", "out")


@pytest.mark.usefixtures("little_memory")
def test_list_of_a_recipe_is_not_parsed_when_too_long() -> None:
    with pytest.raises(InputError, match="is longer than"):
        parse_published(b"[" * (MOST_RECIPE_BYTES + 1), "recipe.json")


@pytest.mark.usefixtures("little_memory")
def test_tables_and_names_without_end() -> None:
    with pytest.raises(InputError, match="is longer than"):
        read_table(Path("/dev/zero"), {})
    with pytest.raises(InputError, match="a name is longer"):
        list(split_names(iter([b"x" * MAX_LINE_BYTES, b"y"])))


def test_limit_is_the_last_length_that_passes() -> None:
    assert len(read_whole(io.BytesIO(b"abc"), "", 3)) == 3
    with pytest.raises(InputError):
        read_whole(io.BytesIO(b"abcd"), "", 3)
    assert MAX_LINE_BYTES < MOST_RECIPE_BYTES < MOST_TEXT_BYTES


ANNOTATION = '{"qid": 1, "query": "a", "vid": "recording0", "duration": 1, "relevant_windows": [[0, 1]]}\n'


def train(world: World, *arguments: str) -> Seen:
    if not Path("f.h5").exists():
        Path("a.jsonl").write_text(ANNOTATION)
        assert world.extract("audio/recording0.wav", "-q", "-o", "f.h5", "--queries", "a.jsonl").code == 0
    return world.amr("train", "a.jsonl", "--features", "f.h5", *arguments, "-o", "m.safetensors")


@pytest.mark.parametrize("levels", [40, 500, 100_000])
def test_deep_toml(world: World, levels: int) -> None:
    for text in ("a = " + "[" * levels + "]" * levels, "a = " + "{b = " * levels + "1" + "}" * levels):
        Path("deep.toml").write_text(text)
        seen = train(world, "--config", "deep.toml")
        assert (seen.code, "deep.toml: is not TOML" in seen.text) == (3, True), seen
        assert len(seen.text.splitlines()) == 1


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("part", ["a", '"a"', "'a'", "a "])
def test_toml_with_a_key_of_many_parts(world: World, part: str) -> None:
    for text in (f"{part}." * 50_000 + "a = 1", "[" + f"{part}." * 40 + "a]\nb = 1"):
        Path("dotted.toml").write_text(text)
        seen = train(world, "--config", "dotted.toml")
        assert (seen.code, "is nested in more than 32 levels" in seen.text) == (3, True), seen


def test_settings_with_dots_and_settings_without_end(world: World) -> None:
    require_short_keys('a = "' + "b. " * 30 + '"  # ' + ". " * 99 + "\nc = [" + "0.5, " * 99 + "]")
    Path("long.toml").write_text("# " + "x" * MOST_SETTINGS_BYTES)
    seen = train(world, "--config", "long.toml")
    assert (seen.code, "is longer than" in seen.text) == (3, True), seen


def test_message_about_an_endless_value(world: World) -> None:
    seen = train(world, "--set", "training.epochs=" + "9" * 50_000)
    assert (seen.code, seen.text.strip().endswith("expected a whole number")) == (2, True), seen.text[-200:]
    assert len(seen.text) < 2 * MOST_LETTERS


@pytest.mark.parametrize("levels", [40, 900, 100_000])
def test_deep_set(world: World, levels: int) -> None:
    for value in ("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels):
        seen = train(world, "--set", f"network.gate={value}")
        assert (seen.code, "--set" in seen.text) == (2, True), seen.text[:300]
        assert len(seen.text) < 300


@fault(
    "input",
    "a number that overflows an option",
    code=2,
    says="the number is out of range: at most 1e15, whole numbers below 2^63",
    left="nothing was begun",
)
def test_numbers_that_overflow(world: World) -> Seen:
    for tool, option, number in (
        ("train", "--seed", "9" * 30),
        ("train", "--memory", "1e400"),
        ("train", "--learning-rate", "nan"),
        ("predict", "--top", "9" * 30),
        ("simulate", "--duration", "1e999"),
        ("extract", "--limit", "9" * 30),
        ("train", "--memory", "1e300"),
        ("predict", "--filter", "1e300"),
        ("convert", "--context", "1e308"),
        ("predict", "--shard", "1/" + "9" * 5000),
        ("score", "--bootstrap", str(10**12)),
    ):
        seen = world.amr(tool, option, number, *(["x", "x"] if tool != "simulate" else []), "-o", "y")
        assert (seen.code, option in seen.text) == (2, True), (tool, option, seen)
    seen = world.amr("train", "--seed", "9" * 30, "x", "-o", "y")
    for value in ("1" + "0" * 400, "1e400"):
        assert train(world, "--set", f"training.learning_rate={value}").code == 2
    return seen


def test_moment_without_end(tmp_path: Path) -> None:
    data = [{"time": 1e308, "duration": 1e308, "value": "rain"}]
    path = tmp_path / "x.jams"
    path.write_text(json.dumps({"annotations": [{"namespace": "segment_open", "data": data}]}))
    with pytest.raises(InputError, match="expected finite numbers"):
        read_tracks(str(path), "jams", Notices())
