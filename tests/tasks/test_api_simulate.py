"""``amr.tasks.simulate.simulate`` from Python: the command line's bytes, and its callbacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulation_world import RATE_HZ, draw_options, files_of, make_world, read_lines

from amr.cli.main import run
from amr.errors import AmrError, InputError, StoppedError, UsageError
from amr.formats.annotations import Annotation
from amr.formats.recipes import Scene
from amr.tasks.callbacks import Progress
from amr.tasks.simulate import SimulateReport, simulate


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return make_world(tmp_path / "world")


def simulated(world: Path, output: Path | None, **more: Any) -> SimulateReport:
    """Three short recordings."""
    arguments: dict[str, Any] = {
        "foreground": world / "fg.csv",
        "background": world / "bg.csv",
        "scenes": 3,
        "duration_s": 8,
        "mean_gap_s": 1.0,
        "sample_rate_hz": RATE_HZ,
        "workers": 1,
    }
    return simulate(output, **(arguments | more))


def test_python_and_the_command_line_give_the_same_bytes(world: Path) -> None:
    more = ["--count", "3", "--absent", "1", "--length", "uniform:0.2:1", "--where", "size>=1", "-q"]
    assert run(["simulate", *draw_options(world), *more, "-o", str(world / "one")]) == 0
    report = simulated(world, world / "two", absent=1, length_s="uniform:0.2:1", where=["size>=1"])
    assert files_of(world / "one") == files_of(world / "two")
    assert report.record() == {
        "recordings": 3,
        "duration_s": 24.0,
        "queries": len(read_lines(world / "two" / "annotations.jsonl")),
        "moments": sum(len(each.moments) for each in report.annotations),
        "median_moment_s": report.median_moment_s,
        "annotations": str(world / "two" / "annotations.jsonl"),
        "recipe": str(world / "two" / "recipe.jsonl"),
    }
    assert [each.record() for each in report.annotations] == read_lines(world / "two" / "annotations.jsonl")
    assert "<td>3</td>" in report._repr_html_()


def test_a_preset_and_a_recipe_that_is_rendered_again(world: Path) -> None:
    made = simulated(world, world / "a", preset="clotho-moment", seed=7)
    sources = {"foreground_root": world, "background_root": world}
    again = simulate(world / "b", recipe=made.recipe_path, **sources)
    assert files_of(world / "a") == files_of(world / "b")
    assert again.scenes == made.scenes
    with pytest.raises(UsageError, match="rendered as it is: leave out preset, duration, count, seed"):
        simulate(world / "c", recipe=made.recipe_path, preset="clotho-moment", duration_s=8, scenes=3, seed=7)


def test_a_plan_needs_no_folder(world: Path) -> None:
    report = simulated(world, None, render=False)
    assert len(report.scenes) == 3
    assert report.annotations_path is report.recipe_path is None
    with pytest.raises(UsageError, match="say where to write"):
        simulated(world, None)


def test_features_in_place_of_audio(world: Path) -> None:
    pytest.importorskip("h5py")
    toy = "simulation_world:ToyEncoder"
    one, two = world / "one.h5", world / "two.h5"
    assert run(
        ["simulate", *draw_options(world), "--count", "3", "-q", "--features", str(one), "--encoder", toy]
    ) == (0)
    assert simulated(world, None, features=two, encoder=toy).features_path == two
    assert one.read_bytes() == two.read_bytes()


def test_progress_and_scenes_come_as_they_are_finished(world: Path) -> None:
    seen: list[Progress] = []
    scenes: list[tuple[Scene, int]] = []

    def on_scene(scene: Scene, annotations: Any) -> None:
        assert all(isinstance(each, Annotation) for each in annotations)
        scenes.append((scene, len(seen)))

    report = simulated(world, world / "out", on_progress=seen.append, on_scene=on_scene)
    assert [(each.done, each.total, each.sound_s) for each in seen] == [(1, 3, 8), (2, 3, 16), (3, 3, 24)]
    assert scenes == [(scene, index) for index, scene in enumerate(report.scenes)]


def stop_after(scenes: int) -> Callable[[], bool]:
    asked = iter(range(1, 100))
    return lambda: next(asked) == scenes


def test_a_stopped_simulation_is_gone_on_with(world: Path) -> None:
    simulated(world, world / "whole")
    with pytest.raises(StoppedError, match="stopped after 2 of 3"):
        simulated(world, world / "parts", should_stop=stop_after(2))
    assert not (world / "parts" / "annotations.jsonl").exists()
    first = world / "parts" / "audio" / "sim-00000.flac"
    written_at = first.stat().st_mtime_ns
    with pytest.raises(InputError, match="exists already"):
        simulated(world, world / "parts")
    simulated(world, world / "parts", resume=True)
    assert files_of(world / "whole") == files_of(world / "parts")
    assert first.stat().st_mtime_ns == written_at


def test_a_broken_clip_is_raised_or_handed_over(world: Path) -> None:
    (world / "fg" / "bell_0.wav").write_bytes(b"no sound")
    with pytest.raises(AmrError, match=r"bell_0\.wav"):
        simulated(world, world / "out")
    failures: list[AmrError] = []
    report = simulated(world, world / "out", on_failure=failures.append)
    assert len(report.scenes) == 3
    assert [Path(failure.where).name for failure in failures] == ["bell_0.wav"]


def test_an_unknown_setting_is_named(world: Path) -> None:
    with pytest.raises(UsageError, match="no setting 'lenght_s'"):
        simulated(world, None, render=False, lenght_s=3)
