"""Spectrogram and waveform columns of recordings of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.report.overview import CellPool, mel_corners_hz, mel_filters, overview, overview_of, spectra
from amr.report.page_sound import shades

RATE_HZ = 8000


def write(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    return path


def tone(frequency_hz: float, seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def test_a_tone_is_where_it_sounds(tmp_path: Path) -> None:
    samples = np.zeros(10 * RATE_HZ)
    samples[4 * RATE_HZ : 6 * RATE_HZ] = tone(1000, 2)
    seen = overview(write(tmp_path / "a.wav", samples), columns=100, bands=40)
    assert seen.duration_s == 10
    assert seen.level_db.shape == (40, 100)
    band = int(np.argmax(seen.level_db[:, 50]))
    assert seen.band_edges_hz[band] <= 1000 <= seen.band_edges_hz[band + 1]
    loud = np.flatnonzero(seen.level_db.max(axis=0) > -40)
    assert loud.min() in (39, 40)
    assert loud.max() in (59, 60)
    assert seen.highest[45] == pytest.approx(1, abs=0.01)
    assert seen.lowest[45] == pytest.approx(-1, abs=0.01)
    assert seen.highest[20] == 0


def test_a_full_scale_sine_has_0_db() -> None:
    size = 512
    blocks = [tone(1000, 1.0).astype(np.float32)]
    power = np.concatenate([part for _, part in spectra(blocks, size, 128)])
    assert power[20].max() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("cuts", [[1], [7, 8, 9], [511, 512, 513], [4000]])
def test_blocks_do_not_matter(cuts: list[int]) -> None:
    samples = np.random.default_rng(0).standard_normal(6000).astype(np.float32)
    whole = np.concatenate([part for _, part in spectra([samples], 512, 128)])
    parts = np.split(samples, cuts)
    split = np.concatenate([part for _, part in spectra(parts, 512, 128)])
    np.testing.assert_allclose(split, whole, rtol=1e-5, atol=1e-9)
    assert len(whole) == 6000 // 128 + 1


@settings(max_examples=60)
@given(
    num_samples=st.integers(1, 3000),
    columns=st.integers(1, 20),
    span=st.integers(1, 40),
    cut=st.integers(1, 400),
)
def test_columns_hold_what_falls_into_them(num_samples: int, columns: int, span: int, cut: int) -> None:
    samples = np.random.default_rng(num_samples).standard_normal(num_samples).astype(np.float32)
    pool = CellPool(columns, 1, span)
    for block in pool.watch(samples[i : i + cut] for i in range(0, num_samples, cut)):
        del block
    for position in range(0, num_samples, span):
        pool.add_power(np.array([[float(position)]]), position, span)
    power, lowest, highest = pool.regrouped(columns)
    assert len(lowest) <= columns
    assert lowest.min() == samples.min()
    assert highest.max() == samples.max()
    assert (lowest <= highest).all()
    assert (np.diff(power[:, 0]) >= 0).all()
    assert pool.power.sum() == sum(range(0, num_samples, span))
    assert len(pool.lowest) == 2 * columns


def test_cells_against_an_obvious_reference() -> None:
    samples = np.random.default_rng(1).standard_normal(1600).astype(np.float32)
    pool = CellPool(10, 1, 5)
    for _ in pool.watch(np.split(samples, [3, 700, 701])):
        pass
    _, lowest, highest = pool.regrouped(10)
    shares = samples.reshape(10, 160)
    np.testing.assert_array_equal(lowest, shares.min(axis=1))
    np.testing.assert_array_equal(highest, shares.max(axis=1))


@pytest.mark.parametrize("num_samples", [1, 2, 100, 511, 8000])
def test_short_recordings(tmp_path: Path, num_samples: int) -> None:
    seen = overview(write(tmp_path / "a.wav", np.full(num_samples, 0.5)), columns=50, bands=16)
    assert np.isfinite(seen.level_db).all()
    assert 1 <= seen.level_db.shape[1] <= 50
    assert seen.duration_s == num_samples / RATE_HZ
    assert seen.highest.max() == 0.5


@pytest.mark.parametrize("rate_hz", [4000, 22_050, 96_000])
def test_every_band_listens_to_something(rate_hz: int) -> None:
    filters = mel_filters(mel_corners_hz(96, rate_hz), 2048, rate_hz)
    np.testing.assert_allclose(filters.sum(axis=1), 1.0)
    assert (filters >= 0).all()


def test_stereo_is_mixed(tmp_path: Path) -> None:
    both = np.stack([np.full(8000, 0.5), np.full(8000, -0.5)], axis=1)
    seen = overview(write(tmp_path / "a.wav", both), columns=10, bands=8)
    assert np.abs(seen.highest).max() == 0


def test_silence_is_drawn_pale_and_a_quiet_sound_dark() -> None:
    sound = tone(400, 1).astype(np.float32)
    darkest = {}
    for gain_db in (0, -40, -140):
        drawn = overview_of([10 ** (gain_db / 20) * sound], RATE_HZ, columns=20, bands=16)
        darkest[gain_db] = int(shades(drawn).max())
    assert darkest[0] == darkest[-40] == 15
    assert darkest[-140] < 5
