"""The published recipes: every released window, and the mixture sample for sample by a slow reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from simulation_world import noise

from amr.arrays import Float32Array, Int16Array
from amr.errors import InputError
from amr.formats.notices import Notices
from amr.formats.recipes import Scene, parse_recipe_bytes, scene_line
from amr.simulation.annotate import annotate
from amr.simulation.published import parse_published
from amr.simulation.render import render_scene
from amr.simulation.replay import recipe_scenes
from amr.simulation.settings import DrawSettings
from amr.simulation.sources import SourceAudio
from amr.simulation.store import SampleStore

SMALL = Path(__file__).parents[1] / "data" / "recipe_small.json"
SOURCE_HZ, RATE_HZ = 16_000, 32_000
GATE, BELLS = "A gate, creaking.wav", "bells.FF233.wav"


def plan(
    data: bytes, sources: SourceAudio | None = None, offset: int | None = None
) -> tuple[list[Scene], Notices]:
    notices = Notices()
    scenes = recipe_scenes(
        data,
        "recipe.json",
        sources=sources,
        encoding=None,
        qid_offset=offset,
        drawing=DrawSettings(),
        notices=notices,
    )
    return scenes, notices


def annotations(scenes: list[Scene]) -> list[dict[str, Any]]:
    return [annotation.record() for scene in scenes for annotation in annotate(scene)]


@pytest.mark.parametrize(
    ("recipe", "released", "count", "told"), [("valid", "val", 4918, 0), ("test", "test", 6649, 1)]
)
def test_the_official_recipes_give_every_released_line(
    shared: Path, recipe: str, released: str, count: int, told: int
) -> None:
    data = (shared / "data" / "recipes" / f"recipe_{recipe}.json").read_bytes()
    expected = (shared / "data" / "annotations" / f"clotho_moment_{released}_release.jsonl").read_text(
        "utf-8"
    )
    scenes, notices = plan(data)
    made = annotations(scenes)
    assert len(made) == count
    assert "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in made) == expected
    assert len(notices.lines()) == told
    assert annotations(plan(data, offset=0)[0])[0]["qid"] == ("00000" if told else expected[9:14])


def test_a_small_recipe_gives_its_windows() -> None:
    scenes, notices = plan(SMALL.read_bytes())
    assert notices.lines() == []
    made = annotations(scenes)
    assert [record["qid"] for record in made] == ["00007", "00008", "00009"]
    assert [record["relevant_windows"] for record in made] == [[[41.1, 44.1]], [[2.5, 4.5]], [[57.0, 60.0]]]
    assert made[1] == {
        "qid": "00008",
        "query": " Bells ring, far away",
        "duration": 60,
        "vid": "Harbour_2.0_62.0",
        "relevant_windows": [[2.5, 4.5]],
        "fg_dB": -2.62928562881347,
    }
    assert annotations(plan(SMALL.read_bytes(), offset=100)[0])[0]["qid"] == "00107"
    lines = "".join(map(scene_line, scenes))
    assert parse_recipe_bytes(lines.encode("utf-8"), "recipe.jsonl") == scenes


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips with quiet first and last seconds and a fraction, and a background of 62 s, at 16 kHz."""
    folder = tmp_path_factory.mktemp("originals")
    for seed, (name, length_s) in enumerate({GATE: 3, BELLS: 2}.items()):
        quiet, loud = noise(1.0, SOURCE_HZ, seed, 0.01), noise(float(length_s), SOURCE_HZ, seed + 9, 0.2)
        rest = noise(0.4, SOURCE_HZ, seed, 0.01)
        soundfile.write(folder / name, np.concatenate([quiet, loud, quiet, rest]), SOURCE_HZ)
    soundfile.write(folder / "Harbour.wav", noise(62.0, SOURCE_HZ, 3, 0.05), SOURCE_HZ)
    return folder


def slow_mixture(entry: dict[str, Any], folder: Path) -> Int16Array:
    """The released generator, step after step as the facts tell it, with loops where it has loops."""

    def trimmed(name: str) -> Float32Array:
        samples, rate = soundfile.read(folder / name, dtype="float32")
        threshold = np.mean(samples.astype(np.float64) ** 2) * 10 ** (-5 / 10)
        loud = [
            second
            for second in range(len(samples) // rate)
            if np.mean(samples[second * rate : (second + 1) * rate].astype(np.float64) ** 2) > threshold
        ]
        kept = samples[loud[0] * rate : (loud[-1] + 1) * rate]
        return np.asarray(soxr.resample(kept, rate, RATE_HZ))

    start_s = float(entry["name"].split("_")[1])
    video, rate = soundfile.read(folder / "Harbour.wav", dtype="float32")
    cut = video[int(start_s * rate) : int((start_s + 60) * rate)]
    background = np.asarray(soxr.resample(cut, rate, RATE_HZ))
    rms = np.sqrt(np.mean(background**2))
    mixture = background * np.float32(10 ** (entry["bg"]["dB"] / 20))
    for sound in entry["fg"]:
        samples = trimmed(sound["path"].rpartition("/")[2])
        samples = samples / max(abs(samples.max()), abs(samples.min()))
        weight = np.float32(10 ** (sound["dB"] / 20) * float(rms))
        first = int(sound["start_time"] * RATE_HZ)
        for offset in range(len(samples)):
            mixture[first + offset] += weight * samples[offset]
    mixture = np.float32(1) / np.max(np.abs(mixture)) * mixture
    return np.array([min(np.floor(x * 32768), 32767) for x in mixture.tolist()], dtype=np.int16)


def test_with_audio_the_mixture_is_the_generators_to_the_last_sample(originals: Path) -> None:
    sources = SourceAudio(originals, originals, SampleStore())
    scenes, _ = plan(SMALL.read_bytes(), sources)
    assert annotations(scenes) == annotations(plan(SMALL.read_bytes())[0])
    for scene, entry in zip(scenes, json.loads(SMALL.read_bytes()), strict=True):
        np.testing.assert_array_equal(render_scene(scene, sources), slow_mixture(entry, originals))


def test_the_generators_own_work_folder_gives_the_same_samples(originals: Path, tmp_path: Path) -> None:
    """Trimmed clips and cut backgrounds under the recipe's own paths are taken as they are."""
    for name, (first, last) in {GATE: (1, 4), BELLS: (1, 3)}.items():
        samples, _ = soundfile.read(originals / name, dtype="int16")
        (tmp_path / ".tmp/valid/fg").mkdir(parents=True, exist_ok=True)
        soundfile.write(
            tmp_path / ".tmp/valid/fg" / name, samples[first * SOURCE_HZ : last * SOURCE_HZ], SOURCE_HZ
        )
    video, _ = soundfile.read(originals / "Harbour.wav", dtype="int16")
    (tmp_path / ".tmp/valid/bg/Harbour").mkdir(parents=True)
    for start in range(3):
        cut = video[start * SOURCE_HZ : (start + 60) * SOURCE_HZ]
        soundfile.write(tmp_path / f".tmp/valid/bg/Harbour/{start}.0_{start + 60}.0.wav", cut, SOURCE_HZ)
    cuts, whole = (SourceAudio(folder, folder, SampleStore()) for folder in (tmp_path, originals))
    scenes = plan(SMALL.read_bytes(), cuts)[0], plan(SMALL.read_bytes(), whole)[0]
    assert scenes[0][0].background.path == ".tmp/valid/bg/Harbour/0.0_60.0.wav"
    for cut_scene, whole_scene in zip(*scenes, strict=True):
        np.testing.assert_array_equal(render_scene(cut_scene, cuts), render_scene(whole_scene, whole))


def test_clips_of_another_version_are_refused(originals: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / GATE, noise(2.0, SOURCE_HZ), SOURCE_HZ)
    sources = SourceAudio(tmp_path, originals, SampleStore())
    with pytest.raises(InputError, match="lasts 2 s after trimming, the recipe says 3 s"):
        plan(SMALL.read_bytes(), sources)
    (tmp_path / GATE).unlink()
    with pytest.raises(InputError, match="creaking"):
        plan(SMALL.read_bytes(), sources)


def changed(**values: object) -> bytes:
    """The small recipe with keys of its first scene, or of its first foreground (``fg_...``), replaced."""
    entries = json.loads(SMALL.read_bytes())
    for key, value in values.items():
        target = entries[0]["fg"][0] if key.startswith("fg_") else entries[0]
        target[key.removeprefix("fg_")] = value
    return json.dumps(entries).encode("utf-8")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[]", "empty list"),
        (b"[1]", "is a number, expected an object"),
        (b"[{]", "is not JSON"),
        (b"[{}]", "'bg' is missing"),
        (changed(name="../../etc/cron"), "cannot be the name of a recording"),
        (changed(name="Harbour_2.0_62.0"), "appears twice"),
        (changed(bg={"path": "/etc/passwd", "dB": 0}), "outside its source folder"),
        (changed(bg={"path": "somewhere.wav", "dB": 0}), "VIDEO/START_END"),
        (changed(bg=3), "must be an object"),
        (changed(fg="none"), "'fg' a list"),
        (changed(fg_path="../secret.wav"), "outside its source folder"),
        (changed(fg_qid="7"), "'qid' is '7', expected an integer"),
        (changed(fg_qid=8), "appears twice"),
        (changed(fg_start_time=58.0), "would sound until 61"),
        (changed(fg_start_time=-1), "'start_time' is -1"),
        (changed(fg_duration=float("nan")), "'duration' is nan"),
        (changed(fg_dB="loud"), "'dB' is a string"),
        (changed(fg_caption="  "), "a query is empty"),
    ],
)
def test_a_broken_published_recipe_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as failure:
        plan(data)
    assert failure.value.where.startswith("recipe.json")


def test_a_list_is_recognised_with_blanks_before_it() -> None:
    assert len(parse_published(b"\xef\xbb\xbf\n " + SMALL.read_bytes(), "r")) == 3
    assert len(plan(b"\n  " + SMALL.read_bytes())[0]) == 3
