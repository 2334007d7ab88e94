"""The preset castella-like against CASTELLA's figures: the package's numbers, and the files where at hand."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from amr.arrays import Float64Array
from amr.simulation import castella
from amr.simulation.annotate import annotate
from amr.simulation.plan import draw_scenes
from amr.simulation.settings import DrawSettings, castella_like
from amr.simulation.survey import Background, ForegroundClip

Floats = Float64Array


@dataclass(frozen=True)
class Figures:
    """What is compared: lengths of windows, windows a query, queries a recording, durations, gaps."""

    lengths_s: Floats
    counts: Floats
    queries: Floats
    durations_s: Floats
    gaps_s: Floats


def figures_of(records: list[dict[str, object]]) -> Figures:
    """Figures of annotation records; windows are cut at the recording's end."""
    lengths, counts, gaps = [], [], []
    durations: dict[str, float] = {}
    for record in records:
        duration = float(record["duration"])  # type: ignore[arg-type]  # a JSON number
        windows = sorted((a, min(b, duration)) for a, b in record["relevant_windows"] if a < duration)  # type: ignore[attr-defined]
        lengths += [b - a for a, b in windows]
        gaps += [b[0] - a[1] for a, b in pairwise(windows) if b[0] > a[1]]
        counts.append(len(windows))
        durations[str(record["vid"])] = duration
    queries = list(Counter(str(record["vid"]) for record in records).values())
    return Figures(
        *(np.array(x, dtype=np.float64) for x in (lengths, counts, queries, list(durations.values()), gaps))
    )


@pytest.fixture(scope="module")
def simulated() -> Figures:
    """3,000 recordings drawn from 60 classes of five clips of 1 to 12 s."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(300):
        length = float(rng.uniform(1, 12))
        sounding = rng.random(int(np.ceil(length * 50))) < 0.7
        label = f"l{number % 60}"
        bounds = (0, round(length * 8000))
        clips.append(ForegroundClip(f"{number}.wav", "0" * 64, (label,), label, bounds, length, sounding))
    beds = [Background(f"{n}.wav", "0" * 64, str(n), frozenset(), 100.0) for n in range(9)]
    scenes = draw_scenes(clips, beds, castella_like(), DrawSettings(seed=1, count=3000))
    return figures_of([annotation.record() for scene in scenes for annotation in annotate(scene)])


def test_lengths(simulated: Figures) -> None:
    """Train: 78 % at most 10 s, 15 % to 30 s, 7 % longer, median 4 s (3.9 on the grid's half seconds)."""
    lengths = simulated.lengths_s
    assert np.mean(lengths <= 10.5) == pytest.approx(0.781, abs=0.02)
    assert np.mean(lengths > 30.5) == pytest.approx(0.066, abs=0.02)
    assert np.median(lengths) == pytest.approx(3.92, abs=0.25)
    assert lengths.mean() == pytest.approx(10.4, abs=2.1)  # long moments are cut where a recording is short
    points = castella.LENGTH_S.probabilities, castella.LENGTH_S.values
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        expected = float(np.interp(share, *points))
        assert np.quantile(lengths, share) == pytest.approx(expected, rel=0.15, abs=0.15)


def test_counts(simulated: Figures) -> None:
    """Train: 2.82 windows a query, 48 % one, 2.49 queries a recording."""
    assert simulated.counts.mean() == pytest.approx(2.82, abs=0.12)
    assert np.mean(simulated.counts == 1) == pytest.approx(0.4826, abs=0.025)
    assert np.mean(simulated.counts <= 5) == pytest.approx(0.86, abs=0.02)
    shares = np.bincount(simulated.queries.astype(int), minlength=6)[1:6] / len(simulated.queries)
    np.testing.assert_allclose(shares, np.array([208, 277, 201, 133, 57]) / 876, atol=0.03)


def test_durations_and_gaps(simulated: Figures) -> None:
    """Train: 78 % of the recordings last 299 or 300 s; gaps between windows of a query have median 14 s."""
    assert np.mean(simulated.durations_s >= 298.5) == pytest.approx(0.783, abs=0.03)
    assert simulated.durations_s.min() >= 60
    assert simulated.durations_s.max() <= 300
    assert np.median(simulated.gaps_s) == pytest.approx(13.0, abs=3.5)


def kolmogorov(a: Floats, b: Floats) -> float:
    """Largest distance of two empirical distribution functions."""
    grid = np.unique(np.concatenate([a, b]))
    own = np.searchsorted(np.sort(a), grid, side="right") / len(a)
    other = np.searchsorted(np.sort(b), grid, side="right") / len(b)
    return float(np.abs(own - other).max())


@pytest.mark.parametrize(("split", "loose"), [("train", 1.0), ("test", 2.5)])
def test_against_the_annotation_files(simulated: Figures, shared: Path, split: str, loose: float) -> None:
    """The tables are train's: close to it, and nearer to the unseen test split than to chance."""
    path = shared / "data" / "annotations" / f"castella_{split}_release.jsonl"
    theirs = figures_of([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    rounded = np.maximum(np.round(simulated.lengths_s), 1)
    assert kolmogorov(rounded, theirs.lengths_s) < 0.04 * loose
    assert kolmogorov(simulated.counts, theirs.counts) < 0.04 * loose
    assert kolmogorov(simulated.queries, theirs.queries) < 0.04 * loose
    assert simulated.counts.mean() == pytest.approx(theirs.counts.mean(), rel=0.08 * loose)
    assert np.median(simulated.lengths_s) == pytest.approx(np.median(theirs.lengths_s), abs=0.35)
    if split == "train":
        assert kolmogorov(np.round(simulated.durations_s), theirs.durations_s) < 0.06
        assert (
            kolmogorov(np.round(simulated.gaps_s), theirs.gaps_s) < 0.14
        )  # they shrink where there is no room
