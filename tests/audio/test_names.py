"""What recordings are called: by file name, by the shortest ending of the path, and as they are stored."""

from __future__ import annotations

import logging
import unicodedata
from pathlib import Path

import pytest

from amr.audio.files import find_audio
from amr.audio.names import Names, Spellings, file_name_of, id_of_file_name
from amr.errors import InputError

NFC, NFD = (unicodedata.normalize(form, "Vögel") for form in ("NFC", "NFD"))


def touch(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def ids(names: Names, *arguments: str) -> list[str]:
    return [file.id for file in find_audio(arguments, names=names)]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("files", "called"),
    [
        (["A/x.wav", "B/x.wav"], ["A/x", "B/x"]),
        (["1/d/x.wav", "2/d/x.wav", "2/e/x.wav"], ["1/d/x", "2/d/x", "e/x"]),
        (["rec.mp3", "rec.wav"], ["rec.mp3", "rec.wav"]),
        (["A/rec.mp3", "A/rec.wav", "B/rec.wav"], ["rec.mp3", "A/rec.wav", "B/rec"]),
        (["A/x.wav", "B/x.flac", "B/y.wav"], ["A/x", "B/x", "y"]),
        ([f"A/{NFC}.wav", f"B/{NFD}.wav"], [f"A/{NFC}", f"B/{NFD}"]),
    ],
)
def test_names_that_clash_are_told_apart(files: list[str], called: list[str]) -> None:
    touch(*files)
    assert ids(Names(), *files) == called
    assert sorted(ids(Names(), ".")) == sorted(called)  # a walked folder gives the same


@pytest.mark.parametrize("spelling", ["rec/A", "./rec//A", "rec/B/../A", "/rec/A", "link/A"])
def test_what_is_stored_keeps_its_id_however_it_is_named(tmp_path: Path, spelling: str) -> None:
    touch("rec/A/x.wav", "rec/B/x.wav")
    Path("link").symlink_to("rec")
    spelling = f"{tmp_path}{spelling}" if spelling.startswith("/") else spelling
    names = Names({"x": "rec/A/x.wav"})
    assert ids(names, spelling) == ["x"]
    assert ids(names, "rec/B", spelling) == ["B/x", "x"]
    assert [file.is_stored for file in find_audio(["rec/B", spelling], names=names)] == [False, True]


def test_what_is_stored_is_known_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch("rec/A/x.wav", "rec/B/x.wav")
    monkeypatch.chdir(tmp_path / "rec")
    for folder in (tmp_path, Path()):  # known, and not known
        assert ids(Names({"x": "rec/A/x.wav"}, folder), "A", "B") == ["x", "B/x"]


def test_the_same_words_from_another_folder_are_another_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("A/x.wav", "B/x.wav")
    monkeypatch.chdir(tmp_path / "B")
    names = Names({"x": "x.wav"}, tmp_path / "A")
    [file] = find_audio(["x.wav"], names=names)
    assert (file.id, file.is_stored, names.source(file.path)) == ("B/x", False, "../B/x.wav")


def test_a_stored_path_is_known_when_its_letters_are_composed() -> None:
    touch(f"A/{NFC}.wav")
    assert ids(Names({NFD: f"A/{NFD}.wav"}), "A") == [NFD]


def test_a_recording_from_nowhere_known_is_not_guessed() -> None:
    touch("A/x.wav")
    with pytest.raises(InputError, match="there already, and not said from where"):
        ids(Names({"x": ""}), "A")


@pytest.mark.parametrize("name", ["A/x", "50%", "a%2Fb", "%25", "A/50%/x", "plain"])
def test_ids_as_file_names_come_back(name: str) -> None:
    assert "/" not in file_name_of(name)
    assert id_of_file_name(file_name_of(name)) == name


def test_names_are_found_in_either_form_and_a_clash_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert Spellings({NFC: 0}).of(NFD) == NFC
    assert Spellings({NFD: 0}).of(NFC) == NFD
    assert Spellings({"a": 0}).of(NFD) == NFD
    assert caplog.text == ""
    both = Spellings({NFC: 0, NFD: 1})
    assert (both.of(NFC), both.of(NFD)) == (NFC, NFD)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "'V\\xf6gel' and 'Vo\\u0308gel' differ in Unicode's composition only" in caplog.text
