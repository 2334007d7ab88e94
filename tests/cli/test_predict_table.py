"""What people see of moments: one row each, the file where it is not plain, the clock, a word of advice."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
import soundfile
from archive_world import Tool

from amr.cli.player import PLAYERS, find_player, play_moment
from amr.cli.predict_table import LONG_S, MomentTable, advise
from amr.errors import InputError, MissingError
from amr.formats.predictions import Prediction
from amr.retrieval.recordings import Collection
from amr.tasks.places import Places, located


class Files:
    """Recordings of which the path is known."""

    name = "files"

    def __init__(self, **paths: str) -> None:
        self.paths = paths

    @property
    def vids(self) -> list[str]:
        return list(self.paths)

    def path(self, vid: str) -> str:
        return self.paths[vid]


def places(**paths: str) -> Places:
    return Places(Collection([Files(**paths)]))  # type: ignore[list-item]


def found(vid: str, *windows: list[float]) -> Prediction:
    return Prediction(1, "a dog", vid, [list(window) for window in windows], duration_s=400.0)


def test_the_file_stands_where_the_id_does_not_lead_to_it() -> None:
    known = places(a="rec/a.wav", deep="rec/2024/06/deep.wav", one="./x/one.wav", gone="")
    rows = MomentTable(known, ["rec", "x/one.wav"]).lines(
        [found(vid, [1, 2, 0.5]) for vid in ("a", "deep", "one", "gone")]
    )
    assert [row.endswith("0.50") for row in rows[1:]] == [True, False, True, True]
    assert rows[2].endswith("  rec/2024/06/deep.wav")
    stored = MomentTable(known, []).lines([found("a", [1, 2, 0.5])])
    assert stored[1].endswith("  rec/a.wav")


def test_clock_times_stand_in_place_of_seconds_where_they_are_known() -> None:
    known = places(n="night/20240611_235958.wav", other="x.wav")
    table = MomentTable(known, ["night", "."], with_clock=True)
    rows = table.lines([found("n", [1, 4.5, 0.5]), found("other", [61, 62, 0.4])])
    assert "2024-06-11 23:59:59 – 00:00:02" in rows[1]
    assert "1:01.0 – 1:02.0" in rows[2]


def test_records_know_their_file_and_on_request_their_clock(caplog: pytest.LogCaptureFixture) -> None:
    known = places(n="night/20240611_235958.wav", gone="", odd="\udcff.wav")
    plain = [each.record() for each in located([found("n", [1, 2, 0.5]), found("gone"), found("odd")], known)]
    assert [record.get("path") for record in plain] == ["night/20240611_235958.wav", None, "\\udcff.wav"]
    assert "started" not in plain[0]
    [timed, without, _] = [
        each.record()
        for each in located([found("n", [1.25, 2, 0.5]), found("gone"), found("odd")], known, with_clock=True)
    ]
    assert timed["started"] == "2024-06-11T23:59:58.000"
    assert timed["absolute_windows"] == [["2024-06-11T23:59:59.250", "2024-06-12T00:00:00.000"]]
    assert timed["pred_relevant_windows"] == [[1.25, 2, 0.5]]
    assert "started" not in without
    assert [record.getMessage() for record in caplog.records] == [
        "2 recordings say nowhere when they began, the first is gone"
    ]


def test_much_sound_without_features_is_worth_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    advise(["my recordings"], LONG_S)
    assert capsys.readouterr().err == (
        "hint: amr extract 'my recordings' -o feats.h5 encodes these once; amr predict then asks feats.h5\n"
    )
    advise([], LONG_S)
    advise(["x"], LONG_S - 1)
    assert capsys.readouterr().err == ""


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``aplay`` that notes what it is given; the only player on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "aplay"
    script.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        f"shutil.copy(sys.argv[-1], {str(tmp_path / 'heard.wav')!r})\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    return tmp_path / "heard.wav"


def test_the_best_moment_is_played(player: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", [0.1] * 8000, 8000)
    known = places(a=str(tmp_path / "a.wav"), b="nowhere.wav")
    play_moment(find_player(), [found("a", [0.25, 0.75, 0.9], [0, 1, 0.2]), found("b", [0, 1, 0.1])], known)
    assert soundfile.info(player).duration == pytest.approx(0.5)
    play_moment(find_player(), [found("a")], known)
    with pytest.raises(InputError, match="is not at nowhere"):
        play_moment(find_player(), [found("b", [0, 1, 0.1])], known)


def test_without_a_player_it_is_said_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(MissingError, match="looked for ffplay, aplay, afplay"):
        find_player()
    done = Tool(capfd, monkeypatch)("predict", "--play", "--query", "a dog", tmp_path / "nowhere")
    assert done.returncode == 4
    assert set(PLAYERS) == {"ffplay", "aplay", "afplay"}


def test_a_player_that_fails_is_named(player: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", [0.1] * 8000, 8000)
    (player.parent / "bin" / "aplay").write_text("#!/bin/false\n")
    with pytest.raises(MissingError, match="aplay ended with exit code 1"):
        play_moment(find_player(), [found("a", [0, 0.5, 0.9])], places(a=str(tmp_path / "a.wav")))
