"""Where sources may lie, how often they are decoded, and what the store holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from simulation_world import RATE_HZ, make_world, noise

from amr.arrays import Float32Array
from amr.errors import AmrError, InputError, UsageError
from amr.formats.notices import Notices
from amr.formats.recipes import BackgroundLayer, ForegroundLayer
from amr.processors import ordered_map
from amr.simulation import decode, sources
from amr.simulation.paths import inside
from amr.simulation.plan import ScenePlan, SourceSelection, draw_plan
from amr.simulation.render import render_scene
from amr.simulation.settings import Declaration, DrawSettings, fixed
from amr.simulation.sources import SourceAudio
from amr.simulation.store import Once, SampleStore


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return make_world(tmp_path / "world")


@pytest.mark.parametrize("path", ["../outside.wav", "/etc/passwd", "fg/../../outside.wav", "fg\\..\\x"])
def test_paths_that_lead_out_are_refused(world: Path, path: str) -> None:
    (world.parent / "outside.wav").write_bytes(b"secret")
    with pytest.raises(InputError, match="outside its source folder"):
        inside(world, path, "r.jsonl:1")


def test_links_that_lead_out_are_refused_and_links_inside_are_not(world: Path) -> None:
    outside = world.parent / "outside"
    outside.mkdir()
    (outside / "x.wav").write_bytes(b"secret")
    (world / "fg" / "link.wav").symlink_to(outside / "x.wav")
    (world / "folder").symlink_to(outside)
    (world / "same.wav").symlink_to(world / "fg" / "horn_2.wav")
    for path in ("fg/link.wav", "folder/x.wav"):
        with pytest.raises(InputError, match="link that leads outside"):
            inside(world, path, "r")
    assert inside(world, "same.wav", "r") == (world / "fg" / "horn_2.wav").resolve()
    with pytest.raises(InputError, match=r"no file 'fg/none\.wav'"):
        inside(world, "fg/none.wav", "r")
    with pytest.raises(InputError, match="not a regular file"):
        inside(world, "fg", "r")


def drawn(world: Path, store: SampleStore, *, workers: int = 1, render: bool = True) -> ScenePlan:
    return draw_plan(
        SourceSelection(world / "fg.csv", (world / "bg.csv",)),
        Declaration(duration_s=fixed(8.0), gap_s=fixed(0.5)),
        DrawSettings(seed=1, count=8, sample_rate_hz=6000),
        store=store,
        render=render,
        workers=workers,
        keep_going=False,
        notices=Notices(),
    )


@pytest.mark.parametrize("workers", [1, 4])
def test_each_source_is_decoded_once_not_once_a_scene(
    world: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    decoded: list[str] = []

    def counting(path: Path, on_remark: Callable[[str], None]) -> tuple[Float32Array, int]:
        decoded.append(path.name)
        return original(path, on_remark)

    original = decode.decode_whole
    monkeypatch.setattr(decode, "decode_whole", counting)
    plan = drawn(world, SampleStore(), workers=workers)
    list(ordered_map(lambda scene: render_scene(scene, plan.sources), plan.scenes, workers))
    assert len(decoded) == len(set(decoded)) == 9
    layers = [layer.path for scene in plan.scenes for layer in scene.foregrounds]
    assert len(layers) > len(set(layers)), "no clip was used twice, the test shows nothing"


def test_a_full_memory_spills_and_changes_nothing(world: Path, tmp_path: Path) -> None:
    full = SampleStore(0, tmp_path)
    roomy, tight = drawn(world, SampleStore()), drawn(world, full)
    assert roomy.scenes == tight.scenes
    for scene in roomy.scenes:
        np.testing.assert_array_equal(render_scene(scene, roomy.sources), render_scene(scene, tight.sources))
    assert full.num_made == 9
    full.close()
    assert [path for path in tmp_path.iterdir() if path != world] == []


def test_rendering_a_recipe_gives_what_drawing_gave(world: Path) -> None:
    plan = drawn(world, SampleStore())
    fresh = SourceAudio(world, world, SampleStore())
    for scene in plan.scenes:
        np.testing.assert_array_equal(render_scene(scene, plan.sources), render_scene(scene, fresh))


def test_a_source_that_changed_is_refused(world: Path) -> None:
    plan = drawn(world, SampleStore(), render=False)
    scene = next(scene for scene in plan.scenes if scene.foregrounds)
    path = world / scene.foregrounds[0].path
    soundfile.write(path, noise(3.0, seed=9), RATE_HZ)
    with pytest.raises(InputError, match="not the file that the recipe was made with") as failure:
        render_scene(scene, SourceAudio(world, world, SampleStore()))
    assert failure.value.where.startswith(scene.vid)
    soundfile.write(world / scene.background.path, noise(12.0, seed=8), RATE_HZ)
    with pytest.raises(InputError, match="not the file"):
        render_scene(scene, SourceAudio(world, world, SampleStore()))


def test_what_a_recipe_asks_beyond_its_sources_is_refused(world: Path) -> None:
    some = SourceAudio(world, world, SampleStore())
    bed = BackgroundLayer("bg/street2.flac", 0.0, 0.0)
    with pytest.raises(InputError, match=r"lasts 5\.00 s, the recipe asks for 0 to 8 s"):
        some.background(bed, 8.0, RATE_HZ)
    assert len(some.background(replace(bed, repeat=True), 8.0, RATE_HZ)) == 8 * RATE_HZ
    digest = decode.file_sha256(world / "fg/horn_2.wav")
    sound = ForegroundLayer("fg/horn_2.wav", 0.0, 2.0, 0.0, clip=(0, 9600), sha256=digest)
    with pytest.raises(InputError, match=r"has 1\.200 s of sound after trimming"):
        some.sound(sound, RATE_HZ)
    with pytest.raises(InputError, match="has 9600 samples"):
        some.sound(replace(sound, clip=(0, 9601)), RATE_HZ)
    with pytest.raises(UsageError):
        SourceAudio(None, None, SampleStore()).sound(sound, RATE_HZ)


def test_long_backgrounds_are_entered_where_needed(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bed = BackgroundLayer("bg/street0.flac", 2.0, 0.0)
    whole = SourceAudio(world, world, SampleStore()).background(bed, 8.0, 6000)
    monkeypatch.setattr(sources, "WHOLE_BACKGROUND_S", 4.0)
    entered = SourceAudio(world, world, store := SampleStore())
    np.testing.assert_array_equal(entered.background(bed, 8.0, 6000), whole)
    assert store.num_made == 0
    (world / "bg/street0.flac").write_bytes((world / "bg/street0.flac").read_bytes()[:60_000])
    with pytest.raises(AmrError):
        entered.background(bed, 8.0, 6000)


def test_broken_files_are_named(world: Path) -> None:
    (world / "text.wav").write_bytes(b"this is no sound at all, only text in a file")
    nan = np.full(800, np.nan, np.float32)
    soundfile.write(world / "nan.wav", nan, RATE_HZ, subtype="FLOAT")
    for name in ("text.wav", "nan.wav"):
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            SourceAudio(world, world, SampleStore()).read_clip(name)


def test_values_are_made_once_even_when_asked_for_together() -> None:
    once: Once[int] = Once()
    made: list[int] = []
    barrier = threading.Barrier(8)

    def make() -> int:
        made.append(1)
        return 7

    def ask(_: int) -> int:
        barrier.wait()
        return once.get("key", make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [7] * 8
    assert made == [1]


def test_a_failed_value_is_tried_again() -> None:
    once: Once[int] = Once()

    def fail() -> int:
        raise InputError("broken")

    for attempt in (fail, lambda: 3):
        outcome: Callable[[], int] = attempt
        if attempt is fail:
            with pytest.raises(InputError):
                once.get("key", outcome)
        else:
            assert once.get("key", outcome) == 3


def test_ordered_map_keeps_order_and_stops_at_a_failure() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item == 5:
            raise InputError("five")
        done.append(item)
        return item * item

    assert list(ordered_map(work, range(5), 3)) == [0, 1, 4, 9, 16]
    with pytest.raises(InputError, match="five"):
        list(ordered_map(work, range(1000), 3))
    assert max(done) < 30
