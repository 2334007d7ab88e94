"""Recordings at any gain sound the same; silence stays silence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.arrays import Float32Array
from amr.audio.level import (
    AHEAD_PARTS,
    PARTS_A_SECOND,
    REACH_PARTS,
    SILENT_STEPS,
    STEEPEST_DB,
    TARGET_DB,
    GainCurve,
    levelled,
    step_of,
)
from amr.audio.read import MonoStream
from amr.audio.samples import ArrayStream

Floats = Float32Array

RATE_HZ = 8000
STEP_16 = 2.0**-15


class Blocks:
    """Samples in blocks of given sizes."""

    def __init__(self, samples: Floats, sizes: list[int], step: float = 0.0) -> None:
        self.samples, self.sizes, self.step = samples, sizes, step

    def __iter__(self) -> Iterator[Floats]:
        at = turn = 0
        while at < len(self.samples):
            size = self.sizes[turn % len(self.sizes)]
            yield self.samples[at : at + size]
            at, turn = at + size, turn + 1


def at_one_level(samples: Floats, step: float = 0.0, sizes: tuple[int, ...] = (2**16,)) -> Floats:
    return np.concatenate(list(levelled(Blocks(samples, list(sizes), step), RATE_HZ)))


def noise(seconds: float, seed: int = 1) -> Floats:
    """White noise of -20 dB."""
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def dither(seconds: float, channels: int = 1) -> Floats:
    """Silence as 16 bits with triangular dither hold it: ``(n, channels)``, -96 dB."""
    draw = np.random.default_rng(2).uniform(-0.5, 0.5, (2, round(seconds * RATE_HZ), channels))
    return (np.rint(draw.sum(axis=0)) * STEP_16).astype(np.float32)


def db(samples: Floats) -> float:
    """The level of the power."""
    return 10 * math.log10(float(np.mean(np.square(samples, dtype=np.float64))) + 1e-30)


def peak_db(samples: Floats) -> float:
    return 20 * math.log10(float(np.abs(samples).max()))


def gains_by_hand(peaks: list[float], step: float) -> list[float]:
    """The oracle, slow and obvious: every gain from all peaks."""
    sound = [peak if peak > SILENT_STEPS * step else 0.0 for peak in peaks]
    highest = [max(sound[max(0, n - REACH_PARTS) : n + REACH_PARTS + 1]) for n in range(len(sound))]
    allowed = [TARGET_DB - 20 * math.log10(peak) if peak else 0.0 for peak in highest]
    return [
        min(each + STEEPEST_DB * abs(m - n) for m, each in enumerate(allowed) if m - n <= AHEAD_PARTS)
        for n in range(len(allowed))
    ]


@settings(max_examples=30)
@given(st.integers(1, 700), st.integers(0, 100), st.sampled_from([0.0, 1e-4, 1e-3]))
def test_gains_are_those_of_the_definition(count: int, seed: int, step: float) -> None:
    wave = 3 * np.sin(np.arange(count) / 60)
    peaks = [float(p) for p in 10 ** (np.random.default_rng(seed).uniform(-5, -1, count) + wave)]
    curve = GainCurve()
    found = [gain for peak in peaks for gain in curve.push(peak, step)]
    assert len(found) == max(0, count - REACH_PARTS - AHEAD_PARTS)
    assert [*found, *curve.finish()] == pytest.approx(gains_by_hand(peaks, step), abs=1e-9)


@pytest.mark.parametrize("gain", [1e4, 32_768.0, 1.0, 10 ** (-24 / 20), 1e-3, 1e-8])
@pytest.mark.parametrize("seconds", [0.2, 7.3, 90])
def test_a_gain_cancels(gain: float, seconds: float) -> None:
    """Integers written as floats, and the softest sound that single precision squares without loss."""
    plain = noise(seconds)
    plain[len(plain) // 2 :] *= 0.03
    expected = at_one_level(plain)
    np.testing.assert_allclose(at_one_level(plain * np.float32(gain)), expected, atol=2e-6)
    assert peak_db(expected) == pytest.approx(TARGET_DB, abs=1)


def test_a_short_recording_keeps_its_contrasts() -> None:
    plain = noise(50)
    plain[RATE_HZ * 20 :] *= 0.001
    found = at_one_level(plain * np.float32(0.01))
    assert db(found[: RATE_HZ * 20]) - db(found[RATE_HZ * 20 :]) == pytest.approx(60, abs=0.1)


def test_what_is_soft_ten_minutes_from_what_is_loud_is_raised() -> None:
    plain = np.concatenate([noise(30), noise(600) * np.float32(1e-3), noise(30)])
    found = at_one_level(plain)
    for start_s in (0, 300, 630):
        assert peak_db(found[start_s * RATE_HZ :][: 30 * RATE_HZ]) == pytest.approx(TARGET_DB, abs=1)
    gain_db = 20 * np.log10(np.abs(found / plain)[:: RATE_HZ // 10])
    assert np.abs(np.diff(gain_db)).max() <= STEEPEST_DB * PARTS_A_SECOND / 10 + 0.01, "no sudden change"


@settings(max_examples=20)
@given(st.lists(st.integers(1, 3 * RATE_HZ), min_size=1, max_size=4))
def test_blocks_change_nothing(sizes: list[int]) -> None:
    plain = np.concatenate([noise(40), noise(150) * np.float32(1e-3), noise(10.1)])
    assert np.array_equal(at_one_level(plain, sizes=tuple(s + 500 for s in sizes)), at_one_level(plain))


def test_a_constant_offset_and_rumble_count_for_nothing() -> None:
    plain = noise(20) * np.float32(0.01)
    time_s = np.arange(len(plain)) / RATE_HZ
    offset = (0.5 + 0.01 * np.sin(2 * np.pi * 2 * time_s)).astype(np.float32)
    ratio = np.diff(at_one_level(plain + offset)).std() / np.diff(at_one_level(plain)).std()
    assert ratio == pytest.approx(1, abs=0.1)


def test_silence_stays_silence() -> None:
    assert not at_one_level(np.zeros(RATE_HZ * 3, np.float32)).any()
    for channels in (1, 2, 4):
        stream = ArrayStream(dither(5, channels), RATE_HZ)
        found = np.concatenate(list(levelled(stream, RATE_HZ)))
        assert db(found) < -95, "dither, and no gain"


def test_a_long_silence_between_sounds_stays_silence() -> None:
    """Soft sound of 16 bits, raised by 40 dB; in the middle of six minutes of dither the gain is 1 again."""
    sound = np.rint(noise(20) * np.float32(0.01) / STEP_16).astype(np.float32) * np.float32(STEP_16)
    plain = np.concatenate([sound, dither(360)[:, 0], sound])
    found = np.concatenate(list(levelled(ArrayStream(plain, RATE_HZ), RATE_HZ)))
    assert peak_db(found[: 20 * RATE_HZ]) == pytest.approx(TARGET_DB, abs=1)
    assert peak_db(found[-20 * RATE_HZ :]) == pytest.approx(TARGET_DB, abs=1)
    assert db(found[130 * RATE_HZ : 270 * RATE_HZ]) < -95
    assert db(found[20 * RATE_HZ : 380 * RATE_HZ]) < -56, "nowhere louder than beside the sound"


@pytest.mark.parametrize(
    ("samples", "step"),
    [
        (dither(1), STEP_16),
        (dither(1) * 32_768, 1.0),
        (dither(1, 3) / 256, 2.0**-23),
        (noise(1)[:, None] * 1.0, 2.0**-30),
        (np.zeros((500, 2), np.float32), math.inf),
        (np.eye(1, 5000, 37, dtype=np.float32).T, 1.0),
        (np.array([[np.nan, np.inf, 0.75]], np.float32), 0.25),
    ],
)
def test_steps(samples: Floats, step: float) -> None:
    assert step_of(samples) == step or (step < 2.0**-29 and step_of(samples) <= step)


@pytest.mark.parametrize("name", ["x.flac", "x.mp3", "x.ogg", "x.opus"])
def test_dither_stays_dither_in_every_form(name: str, tmp_path: Path) -> None:
    form = {"format": "OGG", "subtype": "OPUS"} if name == "x.opus" else {}
    soundfile.write(tmp_path / name, dither(4, 2), 8000, **form)
    stream = MonoStream(tmp_path / name, RATE_HZ)
    assert db(np.concatenate(list(levelled(stream, RATE_HZ)))) < -90


@pytest.mark.parametrize(("subtype", "gain_db"), [("PCM_16", -40), ("PCM_24", -80), ("FLOAT", -120)])
def test_what_the_samples_carry_is_raised(subtype: str, gain_db: float, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", noise(5) * 10 ** (gain_db / 20), RATE_HZ, subtype=subtype)
    found = np.concatenate(list(levelled(MonoStream(tmp_path / "x.wav", RATE_HZ), RATE_HZ)))
    assert peak_db(found) == pytest.approx(TARGET_DB, abs=1)
    assert np.corrcoef(found, noise(5))[0, 1] > 0.99
