"""The two laws of a mixture. Pure arithmetic on samples; nothing here is random.

``peak`` is what the released Clotho-Moment generator does: the background's RMS is taken before its gain, a
foreground is normalised to a peak of 1 and then scaled by its level times that RMS, and the finished mixture
is normalised to a peak of 1. So a level is "peak of the sound over RMS of the background".

``power`` is what the AM-DETR paper describes (section III-A): background and foregrounds are brought to unit
power and weighted by their levels. So a level is a ratio of powers, the same for a click and for a hum. 0 dB
stands for an RMS of -20 dBFS; a mixture that would clip is scaled down to a peak of 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amr.arrays import Float32Array, Int16Array
from amr.errors import InputError

REFERENCE_RMS = 10 ** (-20.0 / 20)
"""RMS of 0 dB under the law ``power``: -20 dBFS leaves the usual crest of 10 to 20 dB below full scale."""
PCM16_SCALE = 32768.0


@dataclass(frozen=True)
class PlacedSound:
    """A sound and where it goes.

    Args:
        name: its source, for messages.
        first: the mixture's sample where it begins; what runs past the mixture's end is lost.
        samples: ``(samples,)`` at the mixture's rate.
        level_db: see the laws above.
    """

    name: str
    first: int
    samples: Float32Array
    level_db: float


def db_to_gain(level_db: float) -> float:
    """Decibels of amplitude as a factor."""
    return float(10 ** (level_db / 20))


def mix(law: str, background: PlacedSound, foregrounds: Sequence[PlacedSound]) -> Float32Array:
    """The mixture of a background and sounds over it, ``(samples,)``, peak at most 1.

    Raises:
        InputError: the background or a foreground is digital silence, so that no level can be given to it.
    """
    return mix_peak(background, foregrounds) if law == "peak" else mix_power(background, foregrounds)


def mix_peak(background: PlacedSound, foregrounds: Sequence[PlacedSound]) -> Float32Array:
    """The released generator's law, rounding by rounding: every step is in float32, as there."""
    background_rms = _rms(background)
    mixture: Float32Array = background.samples * np.float32(db_to_gain(background.level_db))
    for sound in foregrounds:
        normalised = sound.samples / np.float32(_peak(sound.samples, sound.name))
        _add(mixture, normalised * np.float32(db_to_gain(sound.level_db) * background_rms), sound.first)
    mixture *= np.float32(1.0) / np.float32(_peak(mixture, background.name))
    return mixture


def mix_power(background: PlacedSound, foregrounds: Sequence[PlacedSound]) -> Float32Array:
    """The paper's law: power ratios."""
    mixture: Float32Array = background.samples * np.float32(_power_gain(background))
    for sound in foregrounds:
        _add(mixture, sound.samples * np.float32(_power_gain(sound)), sound.first)
    peak = _peak(mixture, background.name)
    if peak > 1:
        mixture /= np.float32(peak)
    return mixture


def to_pcm16(mixture: Float32Array) -> Int16Array:
    """Samples in [-1, 1] as 16-bit integers, rounded down, as libsndfile writes them for the generator."""
    scaled: Float32Array = mixture * np.float32(PCM16_SCALE)
    np.floor(scaled, out=scaled)
    np.minimum(scaled, np.float32(PCM16_SCALE - 1), out=scaled)
    return scaled.astype(np.int16)


def fade_ends(samples: Float32Array, num_fade: int) -> Float32Array:
    """A copy with linear ramps of ``num_fade`` samples (at most half) at both ends."""
    num_fade = min(num_fade, len(samples) // 2)
    if num_fade < 1:
        return samples
    ramp = (np.arange(num_fade, dtype=np.float32) + np.float32(0.5)) / np.float32(num_fade)
    faded: Float32Array = samples.copy()
    faded[:num_fade] *= ramp
    faded[-num_fade:] *= ramp[::-1]
    return faded


def repeat_to(samples: Float32Array, first: int, length: int, num_fade: int) -> Float32Array:
    """``length`` samples from ``first`` on of a sound that goes round, its end faded into its beginning.

    The turns overlap by ``num_fade`` samples with ramps of equal power, for the two ends of a background are
    not alike. ``samples`` is ``(samples,)``.
    """
    num_fade = min(num_fade, len(samples) // 2)
    turn = samples[: len(samples) - num_fade].copy()
    if num_fade:
        angle = (np.arange(num_fade, dtype=np.float32) + np.float32(0.5)) * np.float32(math.pi / 2 / num_fade)
        turn[:num_fade] = turn[:num_fade] * np.sin(angle) + samples[-num_fade:] * np.cos(angle)
    first %= len(turn)
    return np.resize(np.concatenate([turn[first:], turn[:first]]), length)


def _add(mixture: Float32Array, sound: Float32Array, first: int) -> None:
    room = mixture[first : first + len(sound)]
    room += sound[: len(room)]


def _power_gain(sound: PlacedSound) -> float:
    return float(db_to_gain(sound.level_db) * REFERENCE_RMS / _rms(sound))


def _rms(sound: PlacedSound) -> float:
    # numpy's pairwise float32 sum, as the released generator takes it; BLAS would vary with its threads.
    power = np.mean(np.square(sound.samples)) if len(sound.samples) else np.float32(0)
    if not np.isfinite(power):
        raise InputError("holds samples that are not finite or far out of range", where=sound.name)
    if power == 0:
        raise InputError(
            "the stretch taken is digital silence, which has no level to mix by", where=sound.name
        )
    return float(np.sqrt(power))


def _peak(samples: Float32Array, name: str) -> float:
    peak = float(max(samples.max(initial=0.0), -samples.min(initial=0.0)))
    if not math.isfinite(peak):
        raise InputError("holds samples that are not finite", where=name)
    if peak == 0:
        raise InputError("the stretch taken is digital silence, which has no level to mix by", where=name)
    return peak
