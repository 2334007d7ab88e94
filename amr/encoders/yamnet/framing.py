"""How YAMNet's patches make frames of any wanted hop.

A patch is 96 steps of spectrogram: 15,600 samples, 0.975 s. At hops up to YAMNet's own 0.48 s a frame is a
patch. At longer hops a frame is the mean of several patches, evenly spread over the hop, so that no sound
falls between two frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from amr.errors import UsageError

SAMPLE_RATE_HZ = 16_000
STEP_SAMPLES = 160
PATCH_STEPS = 96
PATCH_SAMPLES = 15_600
NATIVE_HOP_STEPS = 48
# A longer hop is cut into patches no closer than this, so that odd hops cost at most three times YAMNet's
# own.
CLOSEST_PATCH_STEPS = 16
LONGEST_HOP_S = 60.0


@dataclass(frozen=True)
class Framing:
    """Patches ``patch_hop_steps`` apart, ``patches_per_frame`` of them averaged into one frame."""

    patch_hop_steps: int
    patches_per_frame: int
    patch_steps: int = PATCH_STEPS

    @property
    def hop_samples(self) -> int:
        return self.patch_hop_steps * self.patches_per_frame * STEP_SAMPLES

    @property
    def window_samples(self) -> int:
        return PATCH_SAMPLES + (self.patches_per_frame - 1) * self.patch_hop_steps * STEP_SAMPLES

    def describe(self) -> str:
        patches = f"patches of {PATCH_SAMPLES} samples every {self.patch_hop_steps * STEP_SAMPLES}"
        return patches if self.patches_per_frame == 1 else f"mean of {self.patches_per_frame} {patches}"


def split_hop(hop_steps: int) -> Framing | None:
    """The framing with the fewest patches for a hop of whole steps; None when no spread is even."""
    if hop_steps <= NATIVE_HOP_STEPS:
        return Framing(patch_hop_steps=hop_steps, patches_per_frame=1)
    for count in range(math.ceil(hop_steps / NATIVE_HOP_STEPS), hop_steps // CLOSEST_PATCH_STEPS + 1):
        if hop_steps % count == 0:
            return Framing(patch_hop_steps=hop_steps // count, patches_per_frame=count)
    return None


def choose_framing(hop_s: float | None) -> Framing:
    """The framing of a hop in seconds; None is YAMNet's own.

    Raises:
        UsageError: the hop is no whole number of 10 ms, or cannot be cut evenly; names the nearest that can.
    """
    if hop_s is None:
        return Framing(patch_hop_steps=NATIVE_HOP_STEPS, patches_per_frame=1)
    if not 0 < hop_s <= LONGEST_HOP_S:
        hint = f"yamnet takes hops from 0.01 to {LONGEST_HOP_S:g} s"
        raise UsageError(f"yamnet has no frames every {hop_s:g} s", where="--hop", hint=hint)
    steps = hop_s * SAMPLE_RATE_HZ / STEP_SAMPLES
    whole = round(steps)
    if whole >= 1 and abs(steps - whole) < 1e-6 * max(steps, 1.0):
        framing = split_hop(whole)
        if framing is not None:
            return framing
    raise UsageError(
        f"yamnet has no frames every {hop_s:g} s",
        where="--hop",
        hint="the nearest it has: " + " and ".join(f"{near:g} s" for near in nearest_hops_s(steps)),
    )


def nearest_hops_s(steps: float) -> list[float]:
    """The next possible hop below (where there is one) and above a wanted number of steps."""
    below, above = math.ceil(steps) - 1, math.floor(steps) + 1
    while below >= 1 and split_hop(below) is None:
        below -= 1
    while split_hop(above) is None:
        above += 1
    return [near * STEP_SAMPLES / SAMPLE_RATE_HZ for near in (below, above) if near >= 1]
