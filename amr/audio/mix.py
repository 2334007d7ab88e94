"""The channels of a recording as one: their mean, and the strongest channel where the mean would lose it.

A mean cancels channels whose wires are swapped, and drowns the one live channel among dead ones. Each quarter
of a second the power of what is given is compared with that of the strongest channel. Where it is more than
10 dB below, the strongest channel is taken, in a short cross-fade; the mean comes back when it would have
kept the sound for ten seconds. The result does not depend on how the samples come in blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from amr.arrays import Float32Array
from amr.audio.decoder import Decoder, Samples, quarter_second

LOST = 0.1
"""Of the strongest channel's power: two channels of equal strength lose so much at a correlation of -0.8, two
unrelated ones never, eight of them do not (1/8), one live channel of four does (1/16)."""

KEPT = 0.25  # one live channel of two
RELEASE_FRAMES = 40  # ten seconds
FADE_S = 0.02
SILENT_POWER = 1e-12  # -120 dB: there is nothing to lose
SMALLEST_SHARE = 1e-5  # of the power with the offset; below, single precision cannot tell
LOST_REMARK = "its channels cancel or drown each other in their mean; the strongest one is taken there"


def mixed(decoder: Decoder, blocks: Iterable[Samples] | None = None) -> Iterator[Float32Array]:
    """A recording as blocks ``(n,)`` of one channel.

    Args:
        blocks: the decoder's, where they are looked at on the way.
    """
    blocks = decoder.blocks() if blocks is None else blocks
    if decoder.channels == 1:
        for block in blocks:
            yield block[:, 0].copy()
        return
    mixer = Mixer(decoder.sample_rate_hz, decoder.channels)
    yield from mixer.mix(blocks)
    if mixer.has_lost:
        decoder.remarks.append(LOST_REMARK)


def mix_down(samples: Samples, sample_rate_hz: int) -> Float32Array:
    """``(n, channels)`` to ``(n,)``, all at once, as :func:`mixed` does it."""
    if samples.shape[1] == 1 or not len(samples):
        return mean_of(samples)
    return np.concatenate(list(Mixer(sample_rate_hz, samples.shape[1]).mix([samples])))


class Mixer:
    """Mixes a stream of blocks ``(n, channels)``."""

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        self.has_lost = False
        """Whether the mean lost something up to now."""
        self._frame = quarter_second(sample_rate_hz, channels)
        self._fade = min(max(1, round(FADE_S * sample_rate_hz)), self._frame)
        self._channel: int | None = None
        self._kept_frames = 0
        self._is_first = True

    def mix(self, blocks: Iterable[Samples]) -> Iterator[Float32Array]:
        """Blocks ``(n,)`` of one channel, as long together as what comes in."""
        held: Samples | None = None
        for block in blocks:
            samples = block if held is None else np.concatenate([held, block])
            whole = len(samples) - len(samples) % self._frame
            if whole:
                yield self._mix_frames(samples[:whole], self._frame)
            held = samples[whole:].copy() if whole < len(samples) else None
        if held is not None:
            yield self._mix_frames(held, len(held))

    def _mix_frames(self, samples: Samples, frame: int) -> Float32Array:
        """Whole frames."""
        mono = mean_of(samples)
        if self._channel is None and surely_kept(samples, mono, frame):
            self._is_first = False
            return mono
        power, mean_power = powers(samples, mono, frame)
        for number in range(len(power)):
            part = slice(number * frame, (number + 1) * frame)
            before = self._channel
            self._choose(power[number], float(mean_power[number]))
            self._take(before, samples[part], mono[part], bool(np.isfinite(power[number]).all()))
        return mono

    def _choose(self, power: Float32Array, mean_power: float) -> None:
        """What is given from here on: a channel, or None for the mean."""
        strongest = float(power.max())
        if not SILENT_POWER < strongest < np.inf:
            return
        given = mean_power if self._channel is None else float(power[self._channel])
        keeps = self._channel is not None and mean_power >= KEPT * strongest
        self._kept_frames = self._kept_frames + 1 if keeps else 0
        if given < LOST * strongest:
            self._channel, self._kept_frames, self.has_lost = int(power.argmax()), 0, True
        elif self._kept_frames >= RELEASE_FRAMES:
            self._channel = None

    def _take(self, before: int | None, samples: Samples, mono: Float32Array, is_sound: bool) -> None:
        """Put the chosen channel in the place of the mean, faded over where the choice changed."""
        is_first, self._is_first = self._is_first, False
        if not is_sound:
            return  # the mean shows samples that are no numbers, whatever channel holds them
        old = mono[: self._fade].copy() if before is None else samples[: self._fade, before]
        if self._channel is not None:
            mono[:] = samples[:, self._channel]
        if before != self._channel and not is_first:
            weight = np.arange(1, len(old) + 1, dtype=np.float32) / np.float32(len(old) + 1)
            mono[: len(old)] = old + weight * (mono[: len(old)] - old)


def mean_of(samples: Samples) -> Float32Array:
    """``(n, channels)`` to ``(n,)``: the mean of the channels, the same whatever the block's length."""
    channels = samples.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):  # of samples that are none, which are refused later
        if channels == 2:
            half: Float32Array = samples @ np.full(2, 0.5, np.float32)  # the same bits, in half the time
            return half
        mono: Float32Array = samples[:, 0].copy()
        for channel in range(1, channels):
            mono += samples[:, channel]
        mono /= np.float32(channels)
    return mono


def surely_kept(samples: Samples, mono: Float32Array, frame: int) -> bool:
    """Whether the mean keeps the power of all channels together in every frame, which is quickly seen."""
    with np.errstate(over="ignore", invalid="ignore"):
        of_mono = mono.reshape(-1, frame)
        mean_power = np.einsum("kf,kf->k", of_mono, of_mono) - frame * np.square(of_mono.mean(axis=1))
        of_all = samples.reshape(len(of_mono), -1)
        return bool((mean_power >= LOST * np.einsum("kf,kf->k", of_all, of_all)).all())


def powers(samples: Samples, mono: Float32Array, frame: int) -> tuple[Float32Array, Float32Array]:
    """Power of each channel ``(frames, channels)`` and of the mean ``(frames,)``, without a constant offset.

    Both are 0 where the offset is so large that single precision cannot tell.
    """
    channels = samples.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        parts = samples.reshape(-1, frame, channels)  # (frames, frame, channels)
        square = np.einsum("kfc,kfc->kc", parts, parts) / np.float32(frame)
        offset = np.matmul(np.ones((1, frame), np.float32), parts)[:, 0] / np.float32(frame)
        power = square - offset * offset
        of_mono = mono.reshape(-1, frame)
        mean_power = np.einsum("kf,kf->k", of_mono, of_mono) / np.float32(frame) - offset.mean(axis=1) ** 2
        unclear = power < SMALLEST_SHARE * square
    power[unclear] = 0
    mean_power[unclear.any(axis=1)] = np.maximum(mean_power, 0)[unclear.any(axis=1)]
    return power, mean_power
