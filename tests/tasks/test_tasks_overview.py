"""The overview of an archive: predictions of each recording, and one row a sound with hours of the day."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from archive_world import AXES, Floats, Tool, ToyEncoder, identity, wandering

import amr
from amr.cli.overview import hour_bars, recording_rows, sound_rows
from amr.errors import InputError, UsageError
from amr.formats.features.write import FeatureWriter, create_feature_file
from amr.formats.predictions import Prediction
from amr.moments import Moment
from amr.tasks.overview import HeardSound, summarise

AUDIO = Path(__file__).parents[2] / "examples" / "audio"


class Naming(ToyEncoder):
    """Levels up to 9, and names for them."""

    classes = tuple(f"class {number}" for number in range(AXES))

    def joint_audio(self, frames: Floats) -> Floats:
        louder: Floats = super().joint_audio(frames) * 2.25
        return louder


@pytest.fixture
def feats(tmp_path: Path) -> Path:
    """Two recordings with a clock in their names, of numbers only."""
    path = tmp_path / "feats.h5"
    create_feature_file(path, identity_json=identity().to_json(), store="float32")
    writer = FeatureWriter(path, identity_json=identity().to_json())
    for number, name in enumerate(("20240611_053000", "20240611_235950")):
        writer.add(name, 3 * wandering(60, number), duration_s=30.5)
    writer.close()
    return path


def test_python_gets_sounds_and_predictions(feats: Path) -> None:
    found = amr.overview(feats, encoder=Naming(), min_score=0.1)
    assert {each.vid for each in found.predictions} == {"20240611_053000", "20240611_235950"}
    assert sum(each.events for each in found) == sum(len(each.windows) for each in found.predictions)
    assert [each.events for each in found] == sorted((each.events for each in found), reverse=True)
    for each in found:
        assert sum(each.hours) == each.events
        assert {hour for hour, count in enumerate(each.hours) if count} <= {5, 23, 0}
    record = found.records()[0]
    assert record["qid"] == f"{record['vid']}_{record['query'].split()[1]}"
    assert json.loads(json.dumps(found[0].record()))["best"] == list(found[0].best)
    assert "class" in found._repr_html_()
    fewer = amr.overview(feats, encoder=Naming(), min_score=0.1, gap_s=30.0)
    assert all(len(each.windows) == 1 for each in fewer.predictions)


def test_what_cannot_be_is_refused(feats: Path, tmp_path: Path) -> None:
    for least in (0.0, 1.0, -1.0):
        with pytest.raises(UsageError, match="is out of range"):
            amr.overview(feats, encoder=Naming(), min_score=least)
    with pytest.raises(UsageError, match="'toy' has none"):
        amr.overview(feats, encoder=ToyEncoder())
    with pytest.raises(InputError):
        amr.overview(tmp_path / "nowhere")


def heard(vid: str, label: str, *windows: list[float]) -> Prediction:
    return Prediction(f"{vid}_1", label, vid, [list(window) for window in windows], duration_s=60.0)


def test_sounds_are_summed_over_recordings() -> None:
    clocks = {"a": datetime(2024, 6, 11, 23, 59, 30)}
    dog, cat = summarise(
        [
            heard("a", "Dog", [0, 5, 0.9], [40, 42, 0.5]),
            heard("b", "Dog", [1, 2, 0.95]),
            heard("a", "Cat", [0, 10, 0.3]),
        ],
        clocks.get,
    )
    assert (dog.label, dog.events, dog.recordings, dog.seconds) == ("Dog", 3, 2, 8.0)
    assert (dog.recording, dog.best) == ("b", Moment(1, 2, 0.95))
    assert [hour for hour, count in enumerate(dog.hours) if count] == [0, 23]
    assert (cat.events, sum(cat.hours)) == (1, 1)
    [mute] = summarise([heard("b", "Dog", [1, 2, 0.5])], clocks.get)
    assert mute.hours == ()


def test_the_tables_say_what_is_heard() -> None:
    hours = tuple(8 if hour == 5 else 1 if hour == 22 else 0 for hour in range(24))
    assert hour_bars(hours) == "     █                ▁ "
    assert hour_bars(()) == ""
    sounds = [
        HeardSound(f"S{n}", 9, 2, 61.0, hours if n == 0 else (), "a", Moment(3, 4, 0.5)) for n in range(31)
    ]
    rows = sound_rows(sounds)
    assert rows[1].split() == ["sound", "events", "recordings", "time", "0h", "6h", "12h", "18h", "clearest"]
    assert "█                ▁" in rows[2]
    assert rows[-1] == "  … and 1 more sounds"
    assert "18h" not in sound_rows(sounds[1:])[1]
    assert "--min-score" in sound_rows([])[1]
    each = [heard("a", f"S{n}", [0, 1, n / 10], [2, 3, 0.01]) for n in range(6)]
    assert recording_rows(each, ["."]) == ["", "  a  S5 2×, S4 2×, S3 2×, S2 2×, …"]
    deep = [replace(one, extra={"path": "card/night/a.wav"}) for one in each]
    assert recording_rows(deep, ["card"])[1].endswith("…  card/night/a.wav")
    assert recording_rows(deep, ["card/night"]) == recording_rows(each, ["."])


def test_the_command_names_sounds_of_a_recording(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = Tool(capfd, monkeypatch)
    records = tool("overview", AUDIO / "sheepfield.ogg").records
    assert {record["query"] for record in records} >= {"Sheep", "Bleat"}
    assert all(record["path"].endswith("sheepfield.ogg") for record in records)
    table = tool("overview", AUDIO / "sheepfield.ogg", "--format", "table", "-o", tmp_path / "t.txt")
    assert (table.returncode, table.stdout) == (0, "")
    assert "Sheep" in (tmp_path / "t.txt").read_text()
    assert tool("overview", AUDIO / "sheepfield.ogg", "--min-score", "2").returncode == 2
