"""Which recordings are meant, in which order, and what each is called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.audio.files import find_audio
from amr.audio.names import audio_extension, recording_id
from amr.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def ids(*arguments: str | Path) -> list[str]:
    return [file.id for file in find_audio(map(str, arguments))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Venice_4.0_64.0.wav", "Venice_4.0_64.0"),
        ("Venice_4.0_64.0", "Venice_4.0_64.0"),
        ("--0w1YA1Hm4.mp3", "--0w1YA1Hm4"),
        ("x.tar.FLAC", "x.tar"),
        ("notes.txt", "notes.txt"),
        (".wav", ".wav"),
        ("a.wav.wav", "a.wav"),
    ],
)
def test_only_the_audio_extension_is_cut(name: str, expected: str) -> None:
    assert recording_id(name) == expected


@settings(max_examples=100)
@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30))
def test_an_id_gives_its_file_name_back(name: str) -> None:
    assert recording_id(f"{name}.flac") == name
    assert audio_extension(f"{name}.flac") == ".flac"


def test_a_folder_is_walked_to_the_bottom_in_order(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b/2.wav",
        "b/1.ogg",
        "a.flac",
        "b.MP3",
        "b/c/d/0.wav",
        "b-x.wav",
        "notes.txt",
        "._a.wav",
        ".git/x.wav",
    )
    assert ids(tmp_path) == ["a", "1", "2", "0", "b-x", "b"]
    files = find_audio([str(tmp_path / "b"), str(tmp_path / "b.MP3")])
    assert [file.path for file in files] == [
        tmp_path / p for p in ("b/1.ogg", "b/2.wav", "b/c/d/0.wav", "b.MP3")
    ]


def test_the_order_does_not_depend_on_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, *(f"{folder}/{n}.wav" for folder in "cab" for n in (2, 10, 1)))
    forwards = find_audio([str(tmp_path)])
    scan = os.scandir

    class Backwards:
        def __init__(self, folder: Path) -> None:
            self.entries = reversed(list(scan(folder)))

        def __iter__(self) -> object:
            return self.entries

        def __enter__(self) -> object:
            return self.entries

        def __exit__(self, *exc: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Backwards)
    assert find_audio([str(tmp_path)]) == forwards


def test_named_twice_is_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/x.wav", "a/y.wav")
    monkeypatch.chdir(tmp_path)
    assert ids("a/y.wav", "a", "./a/x.wav", tmp_path / "a/x.wav") == ["y", "x"]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/2.wav", "a/1.wav", "b/c/3.ogg", "a/readme.md", "a/[0].wav")
    monkeypatch.chdir(tmp_path)
    assert ids("a/*") == ["1", "2", "[0]"]
    assert ids("**/*.ogg") == ["3"]
    assert ids("a/[0].wav") == ["[0]"]  # a file of that very name comes first
    assert ids(tmp_path / "a" / "[12].wav") == ["1", "2"]
    with pytest.raises(InputError, match="no audio file matches"):
        ids("a/*.flac")


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "real/x.wav", "walked/y.wav")
    (tmp_path / "walked/link").symlink_to(tmp_path / "real")
    (tmp_path / "walked/loop").symlink_to(tmp_path / "walked")
    (tmp_path / "walked/gone.wav").symlink_to(tmp_path / "nowhere.wav")
    assert ids(tmp_path / "walked") == ["gone", "x", "y"]


def test_clashing_names_are_told_apart_by_their_path(tmp_path: Path) -> None:
    touch(tmp_path, "site1/0001.wav", "site2/0001.wav", "site2/0002.wav")
    assert ids(tmp_path) == ["site1/0001", "site2/0001", "0002"]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        ids(tmp_path / "none.wav")
    touch(tmp_path, "empty/notes.txt")
    with pytest.raises(InputError, match="holds no audio files"):
        ids(tmp_path / "empty")


def test_a_named_file_needs_no_extension(tmp_path: Path) -> None:
    touch(tmp_path, "recording", "data.bin")
    assert ids(tmp_path / "recording", tmp_path / "data.bin") == ["recording", "data.bin"]
