"""Draws: what always holds, and the published recipes' figures."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import amr.simulation
from amr.errors import UsageError
from amr.formats.recipes import Scene, parse_recipe_bytes, scene_line
from amr.moments import Span
from amr.simulation.annotate import annotate
from amr.simulation.clip_index import crop_start_s
from amr.simulation.distributions import fixed, parse_distribution, uniform
from amr.simulation.plan import draw_scenes, part_of
from amr.simulation.scatter import fill
from amr.simulation.settings import Declaration, DrawSettings, castella_like, clotho_moment, declaration
from amr.simulation.survey import Background, ForegroundClip

CLIPS_BY_LENGTH = """
    0 1 2 0 1 2 3 3 4 2 8 6 15 12 16 60 67 77 50 76 78 63 65 63 70 73 72 59 54 43
"""
TRIMMED_LENGTHS_S = tuple(
    length for length, count in enumerate(CLIPS_BY_LENGTH.split()) for _ in range(int(count))
)
"""Trimmed lengths of Clotho's validation clips: how many of 0, 1, 2, ... 29 s."""


def clip(number: int, length_s: float, label: str = "") -> ForegroundClip:
    rng = np.random.default_rng(number)
    return ForegroundClip(
        path=f"{number}.wav",
        sha256=f"{number:064x}",
        captions=(f"caption {label or number}", f"another {label or number}"),
        label=label,
        bounds=(0, round(length_s * 8000)),
        duration_s=length_s,
        sounding=rng.random(int(np.ceil(length_s * 50))) < 0.5,
    )


def bed(number: int, length_s: float, contains: frozenset[str] = frozenset()) -> Background:
    return Background(f"bg{number}.wav", f"{number:064x}", f"bg{number}", contains, length_s)


def labelled_clips() -> list[ForegroundClip]:
    rng = np.random.default_rng(0)
    return [clip(n, float(rng.uniform(0.3, 12)), f"label{n % 30}") for n in range(120)]


def spans(scenes: list[Scene]) -> list[list[tuple[float, float]]]:
    return [[(layer.start_s, layer.end_s) for layer in scene.foregrounds] for scene in scenes]


@pytest.fixture(scope="module")
def published_like() -> list[Scene]:
    """As many scenes as the published validation recipe, from clips as long as its own."""
    clips = [clip(n, float(length)) for n, length in enumerate(TRIMMED_LENGTHS_S)]
    return draw_scenes(clips, [bed(0, 5800.0)], clotho_moment(), DrawSettings(seed=3))


def test_counts_are_the_published_recipes(published_like: list[Scene]) -> None:
    """Validation and test: 28.5 and 27.7 % without a sound, 57.6 and 57.1 % with one, 13.7 and 14.9 % two."""
    counts = np.bincount([len(scene.foregrounds) for scene in published_like]) / len(published_like)
    assert len(published_like) == 5741
    np.testing.assert_allclose(counts[:4], [0.281, 0.573, 0.143, 0.003], atol=0.02)


def test_gaps_starts_and_lengths_are_the_published_recipes(published_like: list[Scene]) -> None:
    filled = [own for own in spans(published_like) if own]
    first = np.array([own[0][0] for own in filled])
    later = np.array([b[0] - a[1] for own in filled for a, b in pairwise(own)])
    starts, ends = np.array([span for own in filled for span in own]).T
    assert first.mean() == pytest.approx(15.3, abs=0.6)
    assert later.mean() == pytest.approx(6.95, abs=0.9)
    assert np.median(starts) == pytest.approx(16.75, abs=1.0)
    assert 53 < starts.max() < 59.1
    assert 59.9 < ends.max() <= 60
    lengths = ends - starts
    assert np.median(lengths) in (20, 21)
    assert lengths.mean() == pytest.approx(20.43, abs=0.3)
    assert lengths.min() >= 1
    np.testing.assert_allclose(lengths, np.round(lengths), atol=1e-9)


def test_levels_are_the_published_recipes(published_like: list[Scene]) -> None:
    levels = [
        layer.level_db - scene.background.level_db for scene in published_like for layer in scene.foregrounds
    ]
    np.testing.assert_allclose(np.percentile(levels, [5, 50, 95]), [13.0, 20.0, 26.8], atol=0.35)
    assert 10 <= min(levels) <= max(levels) <= 30


def test_every_clip_is_used_about_alike(published_like: list[Scene]) -> None:
    used = [layer.path for scene in published_like for layer in scene.foregrounds]
    assert len(set(used)) > 1020
    assert len({scene.vid for scene in published_like}) == 5741
    assert published_like[1].vid == "bg0_1.0_61.0"


def test_the_recipes_figures_hold_against_the_recipes_themselves(
    published_like: list[Scene], shared: Path
) -> None:
    entries = json.loads((shared / "data" / "recipes" / "recipe_valid.json").read_text(encoding="utf-8"))
    theirs = [[(x["start_time"], x["start_time"] + x["duration"]) for x in entry["fg"]] for entry in entries]
    for place in (0, 1):
        own = np.sort([span[place] for spans_ in spans(published_like) for span in spans_])
        other = np.sort([span[place] for spans_ in theirs for span in spans_])
        grid = np.linspace(0, 60, 601)
        distance = np.abs(np.searchsorted(own, grid) / len(own) - np.searchsorted(other, grid) / len(other))
        assert distance.max() < 1.63 * np.sqrt(2 / 4900)  # Kolmogorov-Smirnov, 1 %


@settings(max_examples=100)
@given(seed=st.integers(0, 999), length_s=st.floats(0.1, 9.0), share=st.sampled_from([0.02, 0.3, 1.0]))
def test_a_crop_lies_in_its_clip_and_is_never_silent(seed: int, length_s: float, share: float) -> None:
    rng = np.random.default_rng(seed)
    drawn = clip(seed, 4.0)
    sounding = rng.random(200) < share
    sounding[int(rng.integers(200))] = True
    start_s = crop_start_s(rng, replace(drawn, sounding=sounding), length_s)
    assert 0 <= start_s <= max(0.0, 4.0 - length_s) + 1e-9
    assert sounding[round(start_s * 50) : int((start_s + length_s) * 50 + 1)].any()


@settings(max_examples=60)
@given(seed=st.integers(0, 999), length_s=st.floats(0.1, 40.0), fade_s=st.sampled_from([0.0, 0.01, 0.2]))
def test_a_moment_is_filled_without_a_gap_or_a_shred(seed: int, length_s: float, fade_s: float) -> None:
    rng = np.random.default_rng(seed)
    pool = [clip(n, float(rng.uniform(0.15, 6))) for n in range(3)]
    moment = Span(3.0, 3.0 + length_s)
    parts = [part for _, part, _ in fill(rng, pool, moment, fade_s)]
    assert parts[0].start_s == moment.start_s
    assert parts[-1].end_s == pytest.approx(moment.end_s)
    assert all(b.start_s <= a.end_s + 1e-9 for a, b in pairwise(parts))
    assert min(part.length_s for part in parts) >= 0.0999


SEEDS = st.integers(0, 2**31)
DECLARATIONS = st.sampled_from(
    [
        Declaration(duration_s=fixed(20.0), gap_s=parse_distribution("exponential:2", "")),
        Declaration(duration_s=fixed(30.0), length_s=uniform(0.2, 5.0), distractor_share=0.4, absent=2),
        castella_like(),
        Declaration(layout="scatter", duration_s=uniform(20.0, 40.0), repeat_short=True, absent=1),
        castella_like("peak"),
    ]
)


@settings(max_examples=30)
@given(seed=SEEDS, declared=DECLARATIONS)
def test_what_holds_of_every_scene(seed: int, declared: Declaration) -> None:
    banned = frozenset({"label1", "label2"})
    beds = [bed(0, 400.0, banned), bed(1, 350.0)]
    for scene in draw_scenes(labelled_clips(), beds, declared, DrawSettings(seed=seed, count=4)):
        assert parse_recipe_bytes(scene_line(scene).encode(), "r") == [scene]
        named = [layer for layer in scene.foregrounds if layer.qid is not None]
        labels = {layer.qid: layer.label for layer in named}
        assert len(set(labels.values())) == len(labels), "two queries of one label"
        silent = {layer.label for layer in scene.foregrounds if layer.qid is None}
        assert not silent & set(labels.values()), "a distractor that a query means"
        assert not {a.label for a in scene.absent} & (silent | set(labels.values()))
        if scene.background.path == "bg0.wav":
            assert not (silent | set(labels.values()) | {a.label for a in scene.absent}) & banned
        for layer in scene.foregrounds:
            assert 0 <= layer.start_s < layer.end_s <= scene.duration_s + 1e-9
            assert layer.clip is not None
            assert layer.crop_start_s + layer.duration_s <= layer.clip[1] / 8000 + 1e-3
        for annotation in annotate(scene):
            assert annotation.moments == sorted(annotation.moments)
            assert bool(annotation.windows) != (annotation.qid in {a.qid for a in scene.absent})
            assert all(0 <= start < end <= scene.duration_s for start, end in annotation.windows)
            assert all(b[0] >= a[1] for a, b in pairwise(annotation.windows))


@settings(max_examples=15)
@given(seed=SEEDS)
def test_a_sequence_never_overlaps(seed: int) -> None:
    declared = Declaration(duration_s=fixed(60.0), gap_s=parse_distribution("exponential:1", ""))
    for own in spans(draw_scenes(labelled_clips(), [bed(0, 70.0)], declared, DrawSettings(seed=seed))):
        assert all(b[0] >= a[1] for a, b in pairwise(own))


def test_a_scene_hangs_on_nothing_but_itself() -> None:
    clips, beds = labelled_clips(), [bed(0, 90.0), bed(1, 61.0)]
    for declared, count in ((castella_like(), 12), (Declaration(), None)):
        whole = draw_scenes(clips, beds, declared, DrawSettings(seed=5, count=count))
        parts = [draw_scenes(clips, beds, declared, DrawSettings(5, count, shard=(i, 5))) for i in range(5)]
        assert list(chain(*parts)) == whole
        assert draw_scenes(clips, beds, declared, DrawSettings(seed=5, count=count, limit=3)) == whole[:3]
        assert draw_scenes(clips, beds, declared, DrawSettings(seed=6, count=count)) != whole


@settings(max_examples=30)
@given(size=st.integers(0, 50), parts=st.integers(1, 9))
def test_parts_in_order_are_the_whole(size: int, parts: int) -> None:
    items = list(range(size))
    assert list(chain(*(part_of(items, (i, parts)) for i in range(parts)))) == items


def test_counted_recordings_use_all_backgrounds_in_turn() -> None:
    beds = [bed(n, 61.0 + n) for n in range(7)]
    scenes = draw_scenes(labelled_clips(), beds, Declaration(), DrawSettings(seed=1, count=21))
    for turn in range(3):
        assert len({scene.background.path for scene in scenes[7 * turn : 7 * turn + 7]}) == 7
    assert [scene.vid for scene in scenes[:2]] == ["sim-00000", "sim-00001"]


def test_drawn_durations_need_a_count() -> None:
    with pytest.raises(UsageError, match="give the number of recordings"):
        draw_scenes(labelled_clips(), [bed(0, 400.0)], castella_like(), DrawSettings())


def test_presets_set_all_of_a_law() -> None:
    peak, power = declaration("clotho-moment", None), declaration("clotho-moment", "power")
    assert (peak.law, peak.trim.below_db, peak.trim.block_s, peak.trim.keep_rest) == ("peak", 5.0, 1.0, False)
    assert (power.law, power.trim.below_db) == ("power", 20.0)
    assert declaration(None, None).law == "power"
    for wrong in (("clotho", None), (None, "loud")):
        with pytest.raises(UsageError):
            declaration(*wrong)


def imports_of(name: str) -> set[str]:
    """Modules of the room that one of its files imports, directly or through others."""
    room = Path(amr.simulation.__file__).parent
    found: set[str] = set()
    waiting = [name]
    while waiting:
        tree = ast.parse((room / f"{waiting.pop()}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("amr.simulation"):
                parts = (node.module or "").split(".")
                names = [parts[2]] if len(parts) > 2 else [alias.name for alias in node.names]
                waiting += [module for module in names if module not in found]
                found |= set(names)
    return found


def test_drawing_and_rendering_never_call_each_other() -> None:
    drawing, rendering = imports_of("draw"), imports_of("render")
    assert not drawing & {"render", "mix_scene", "produce"}
    assert not rendering & {"draw", "sequence", "scatter", "cuts", "clip_index", "settings", "distributions"}
