"""The two laws against a sample-by-sample reference, and the sixteen bits against libsndfile."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.errors import InputError
from amr.simulation.mix import PlacedSound, fade_ends, mix, repeat_to, to_pcm16
from amr.simulation.render import decode_pcm16, encode

F32 = np.float32


def slow_peak(background: PlacedSound, foregrounds: list[PlacedSound]) -> list[np.float32]:
    """The released generator's mixture, told sample by sample; every value is rounded to float32 as there.

    Only the mean power is numpy's: its order of additions is part of the generator's numbers.
    """
    power = np.mean(background.samples**2)
    rms = float(np.sqrt(power))
    mixture = [F32(x) * F32(10 ** (background.level_db / 20)) for x in background.samples]
    for sound in foregrounds:
        peak = max(abs(F32(x)) for x in sound.samples)
        weight = F32(10 ** (sound.level_db / 20) * rms)
        for offset, x in enumerate(sound.samples):
            if sound.first + offset < len(mixture):
                mixture[sound.first + offset] += weight * (F32(x) / peak)
    scale = F32(1.0) / max(abs(x) for x in mixture)
    return [scale * x for x in mixture]


def slow_power(background: PlacedSound, foregrounds: list[PlacedSound]) -> list[float]:
    """The paper's mixture in double precision: unit powers weighted by levels, 0 dB at -20 dBFS."""

    def weight(sound: PlacedSound) -> float:
        power = math.fsum(float(x) ** 2 for x in sound.samples) / len(sound.samples)
        return math.sqrt(10 ** (sound.level_db / 10) * 10 ** (-20 / 10) / power)

    mixture = [float(x) * weight(background) for x in background.samples]
    for sound in foregrounds:
        for offset, x in enumerate(sound.samples):
            if sound.first + offset < len(mixture):
                mixture[sound.first + offset] += float(x) * weight(sound)
    return [x / max(1.0, *map(abs, mixture)) for x in mixture]


def sounds(seed: int, lengths: list[int]) -> tuple[PlacedSound, list[PlacedSound]]:
    rng = np.random.default_rng(seed)

    def sound(length: int, first: int, level_db: float) -> PlacedSound:
        samples = (rng.standard_normal(length) * rng.uniform(0.01, 0.5)).astype(np.float32)
        return PlacedSound("x.wav", first, samples, level_db)

    background = sound(400, 0, float(rng.uniform(-25, -15)))
    return background, [sound(n, int(rng.integers(380)), float(rng.uniform(-5, 5))) for n in lengths]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), lengths=st.lists(st.integers(1, 300), max_size=3))
def test_peak_law_is_the_generators_sample_for_sample(seed: int, lengths: list[int]) -> None:
    background, foregrounds = sounds(seed, lengths)
    expected = np.array(slow_peak(background, foregrounds), dtype=np.float32)
    np.testing.assert_array_equal(mix("peak", background, foregrounds), expected)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), lengths=st.lists(st.integers(1, 300), max_size=3))
def test_power_law_is_the_papers(seed: int, lengths: list[int]) -> None:
    background, foregrounds = sounds(seed, lengths)
    mixed = mix("power", background, foregrounds)
    np.testing.assert_allclose(mixed, slow_power(background, foregrounds), atol=2e-6)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), lengths=st.lists(st.integers(1, 300), max_size=3))
def test_a_mixture_never_clips_and_its_sources_stay_as_they_were(seed: int, lengths: list[int]) -> None:
    background, foregrounds = sounds(seed, lengths)
    before = [sound.samples.copy() for sound in [background, *foregrounds]]
    for law in ("peak", "power"):
        assert np.abs(mix(law, background, foregrounds)).max() <= 1
    for sound, samples in zip([background, *foregrounds], before, strict=True):
        np.testing.assert_array_equal(sound.samples, samples)


def test_the_level_of_the_power_law_is_a_ratio_of_powers() -> None:
    background, (foreground,) = sounds(3, [400])
    background = PlacedSound("b", 0, background.samples, -20.0)
    foreground = PlacedSound("f", 0, foreground.samples, 0.0)
    alone = mix("power", background, [])
    both = mix("power", background, [foreground])
    ratio_db = 10 * np.log10(np.mean((both - alone) ** 2) / np.mean(alone**2))
    assert ratio_db == pytest.approx(20.0, abs=1e-3)


def test_sixteen_bits_are_those_that_libsndfile_writes() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    samples[:3] = [1.0, -1.0, 0.0]
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="WAV", subtype="PCM_16")
    expected, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="int16")
    np.testing.assert_array_equal(to_pcm16(samples), expected)


@pytest.mark.parametrize("encoding", ["flac", "wav"])
def test_encoded_samples_come_back(encoding: str) -> None:
    samples = to_pcm16(np.random.default_rng(1).uniform(-1, 1, 5000).astype(np.float32))
    data = encode(samples, 8000, encoding)
    assert data == encode(samples, 8000, encoding)
    back, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    np.testing.assert_array_equal(back, samples)
    assert rate == 8000
    as_float, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_array_equal(decode_pcm16(samples), as_float)


@pytest.mark.parametrize("law", ["peak", "power"])
def test_silence_and_nan_are_refused_by_name(law: str) -> None:
    background, (foreground,) = sounds(1, [100])
    silent = PlacedSound("quiet.wav", 0, np.zeros(100, np.float32), 0.0)
    broken = PlacedSound("nan.wav", 0, np.full(100, np.nan, np.float32), 0.0)
    with pytest.raises(InputError, match=r"quiet\.wav: .*digital silence"):
        mix(law, background, [silent])
    with pytest.raises(InputError, match=r"quiet\.wav: .*digital silence"):
        mix(law, silent, [foreground])
    with pytest.raises(InputError, match=r"nan\.wav: .*not finite"):
        mix(law, background, [broken])


def test_fades_touch_only_the_ends() -> None:
    samples = np.ones(100, np.float32)
    faded = fade_ends(samples, 10)
    assert faded[0] < 0.1
    assert faded[-1] < 0.1
    np.testing.assert_array_equal(faded[10:90], samples[10:90])
    np.testing.assert_array_equal(fade_ends(samples, 0), samples)
    assert len(fade_ends(np.ones(3, np.float32), 10)) == 3


def test_a_background_goes_round_without_a_jump_in_power() -> None:
    samples = np.random.default_rng(2).standard_normal(2000).astype(np.float32)
    turned = repeat_to(samples, 500, 5000, 200)
    assert len(turned) == 5000
    np.testing.assert_array_equal(turned[:1300], samples[500:1800])
    np.testing.assert_array_equal(turned[1500:3100], samples[200:1800])
    assert np.std(turned[1300:1500]) == pytest.approx(1.0, abs=0.15)
    np.testing.assert_array_equal(turned[:1800], repeat_to(samples, 500 + 1800, 1800, 200))
