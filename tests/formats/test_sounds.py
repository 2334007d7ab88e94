"""Kept sounds: what is written comes back, what is no sound is refused in one line, names are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amr.errors import InputError
from amr.formats.sounds import SavedSound, find_sound, read_sound, write_sound

SOUND = SavedSound("a grinder like:g.wav", '{"name": "toy"}', "best", [0.25, -1.0], [0.5, 0.125], [1.0])


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "grinder.sound"
    write_sound(path, SOUND)
    assert read_sound(path) == SOUND
    with pytest.raises(InputError, match="exists"):
        write_sound(path, SOUND)
    write_sound(path, SOUND, force=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amr_format": "model"}, "is not a learned sound"),
        ({"schema": 2}, "schema 2 is not known"),
        ({"meaning": "loud"}, "'meaning' is a string"),
        ({"meaning": [1, None]}, "'meaning' is null"),
        ({"joint": [1e999]}, "not finite"),
        ({"joint": [0] * 70_000}, "up to 65536 numbers"),
        ({"encoder": "yamnet"}, "'encoder' is a string"),
        ({"words": None}, "'words' is null"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "x.sound"
    write_sound(path, SOUND)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        read_sound(path)


@pytest.mark.parametrize("text", ["", "no JSON", "[" * 100_000, "[]", "\0"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.sound").write_text(text)
    with pytest.raises(InputError, match="is not a learned sound"):
        read_sound(tmp_path / "x.sound")


def test_a_name_is_looked_for_here_and_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "kept").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("AMR_SOUNDS", raising=False)
    write_sound(tmp_path / "kept" / "coffee grinder.sound", SOUND)
    with pytest.raises(InputError, match="no learned sound 'coffee grinder'"):
        find_sound("coffee grinder")
    monkeypatch.setenv("AMR_SOUNDS", str(tmp_path / "kept"))
    assert find_sound("coffee grinder") == tmp_path / "kept" / "coffee grinder.sound"
    assert find_sound("coffee grinder.sound").parent == tmp_path / "kept"
    write_sound("coffee grinder.sound", SOUND)
    assert find_sound("coffee grinder") == Path("coffee grinder.sound")
