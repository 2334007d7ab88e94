"""A feature file leads to its recordings from any folder, moved together with them, and as older ones did."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from amr.cli.main import run
from amr.formats.features.open import open_features
from amr.formats.features.origin import path_from_here
from amr.formats.features.read import FeatureFile
from amr.formats.predictions import read_predictions
from amr.retrieval.recordings import Collection, FeatureSource
from amr.serve.library import Library
from amr.tasks.recordings import find_recordings

FAKE = ["--encoder", "feature_fakes:FakeEncoder", "--device", "cpu", "-q"]


@pytest.fixture(autouse=True)
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``home/card`` with equal names in two folders, extracted from ``home`` into ``home/out/feats.h5``."""
    home = tmp_path / "home"
    for day in ("11", "12"):
        (home / "card" / day).mkdir(parents=True)
        soundfile.write(home / "card" / day / "ZOOM0001.wav", np.full(8000, int(day) / 100), 8000)
    (home / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(home)
    assert run(["extract", "card", "-o", "out/feats.h5", *FAKE]) == 0
    return home


def paths(features: str | Path) -> list[str]:
    with open_features(features) as reader:
        return [reader.audio_path(name) for name in reader.ids]


def leads(features: str | Path) -> bool:
    """Whether every recording is found, and is the right one."""
    found = [round(100 * soundfile.read(path)[0].max()) for path in paths(features)]
    return found == [11, 12]


def test_from_the_folder_of_extract_the_path_is_as_it_was_given() -> None:
    assert paths("out/feats.h5") == ["card/11/ZOOM0001.wav", "card/12/ZOOM0001.wav"]


def test_from_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("../elsewhere")
    assert paths("../home/out/feats.h5") == ["../home/card/11/ZOOM0001.wav", "../home/card/12/ZOOM0001.wav"]
    assert leads("../home/out/feats.h5")


def test_another_recording_of_that_name_in_this_folder_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree("card", "../elsewhere/card")
    monkeypatch.chdir("../elsewhere")
    soundfile.write("card/11/ZOOM0001.wav", np.full(8000, 0.5), 8000)
    assert leads("../home/out/feats.h5")


def test_moved_together(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card.rename(card.with_name("disk"))
    monkeypatch.chdir("/")
    assert leads(card.with_name("disk") / "out" / "feats.h5")


@pytest.mark.parametrize("given", ["card", os.curdir])
def test_a_feature_file_among_its_recordings_moves_with_them_under_another_name(
    card: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's name and place are others, and stored paths may begin at the root."""
    named = str(card / "card") if given == os.curdir else given
    assert run(["extract", named, "-o", "card/feats.h5", *FAKE]) == 0
    Path("card").rename("../elsewhere/disk")
    monkeypatch.chdir("/")
    assert leads(card.parent / "elsewhere" / "disk" / "feats.h5")


def test_what_is_nowhere_is_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("card")
    monkeypatch.chdir("out")
    assert paths("feats.h5") == ["card/11/ZOOM0001.wav", "card/12/ZOOM0001.wav"]


def test_no_end_of_a_path_that_is_shorter_than_the_id(tmp_path: Path) -> None:
    """``12/ZOOM0001`` is not the ``ZOOM0001.wav`` that lies beside the features."""
    (tmp_path / "ZOOM0001.wav").touch()
    features = tmp_path / "feats.h5"
    assert path_from_here("old/12/ZOOM0001.wav", "12/ZOOM0001", features, ".") == "old/12/ZOOM0001.wav"
    assert path_from_here("old/12/ZOOM0001.wav", "ZOOM0001", features, ".") == str(tmp_path / "ZOOM0001.wav")


@pytest.mark.parametrize("source", ["", "x\0.wav", "a" * 5000, "a/" * 3000 + "x.wav", "\udcff.wav", "/", "."])
def test_what_is_no_path_stays(source: str, tmp_path: Path) -> None:
    assert path_from_here(source, "x", tmp_path / "feats.h5", "..") == source


def test_a_link_to_the_folder_of_features(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``out/..`` is the folder that was meant, wherever ``out`` leads."""
    Path("out").rename("../elsewhere/far")
    Path("out").symlink_to("../elsewhere/far")
    assert leads("out/feats.h5")
    monkeypatch.chdir("/")
    assert leads(card / "out" / "feats.h5")


@pytest.mark.parametrize("site", ["home", "elsewhere"])
def test_parts_that_are_joined_in_another_folder(
    card: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second part is made from another folder; the joined file's paths begin where the first one's do."""
    parts = [str(card / "out" / f"p.{number}of2.h5") for number in (1, 2)]
    for number, begun in ((1, "home"), (2, site)):
        monkeypatch.chdir(card.parent / begun)
        source = os.path.relpath(card / "card")
        words = ["extract", source, "-o", parts[number - 1], "--shard", f"{number}/2", *FAKE]
        assert run(words) == 0
    monkeypatch.chdir("/")
    (card / "out" / "deep").mkdir()
    joined = card / "out" / "deep" / "all.h5"
    assert run(["extract", "--merge", *parts, "-o", str(joined), "-q"]) == 0
    with FeatureFile(joined) as file:
        assert sorted(file.sources) == ["card/11/ZOOM0001.wav", "card/12/ZOOM0001.wav"]
    assert sorted(map(os.path.realpath, paths(joined))) == sorted(map(str, (card / "card").rglob("*.wav")))


def test_every_tool_finds_the_sound(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``predict``, tables, clips, pages and ``serve``, from a folder beside the one of ``extract``."""
    monkeypatch.chdir(card.parent / "elsewhere")
    features = "../home/out/feats.h5"
    ask = ["predict", "--model", "prior:tiles", "--query", "a bell", "--top-k", "1", "-q", features]
    assert run([*ask, "-o", "found.jsonl"]) == 0
    wanted = ["../home/card/11/ZOOM0001.wav", "../home/card/12/ZOOM0001.wav"]
    assert [each.extra["path"] for each in read_predictions("found.jsonl")] == wanted
    assert run(["convert", "found.jsonl", "--to", "csv", "-o", "found.csv"]) == 0
    assert all(path in Path("found.csv").read_text() for path in wanted)
    assert run(["convert", "found.jsonl", "--clips", "clips", "--audio", features, "-q"]) == 0
    assert len(list(Path("clips").iterdir())) == 2
    assert run(["plot", "found.jsonl", "--html", "page.html", "--audio", features]) == 0
    page = Path("page.html").read_text()
    assert all(f"./{path}" in page for path in wanted)
    with open_features(features) as reader:
        served = Library(Collection([FeatureSource(reader)]), {}).recordings.values()
        assert [str(each.path) for each in served] == wanted
        found = find_recordings([features], reader.ids).paths.values()
        assert list(map(str, found)) == wanted


def test_append_from_elsewhere_keeps_ids_after_a_move(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that is there already is known by where its path leads, and is not encoded again."""
    card.rename(card.with_name("disk"))
    monkeypatch.chdir(card.with_name("disk") / "card")
    assert run(["extract", ".", "-o", "../out/feats.h5", "--append", *FAKE]) == 0
    assert leads("../out/feats.h5")
