"""What every decoder of ours offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from amr.arrays import Float32Array

Samples = Float32Array
"""``(n, channels)``, full scale is 1."""

LOSSY_STEP = 2.0**-14
"""Codecs that lose something show no steps, and keep the dither of 16 bits with the peaks of smooth noise."""

BLOCK_SAMPLES = 2**18  # of all channels together: 1 MB


class Decoder(Protocol):
    """An open audio file."""

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def num_frames(self) -> int | None:
        """Samples of a channel, as a header says that can be believed; None: decoding will tell."""
        ...

    @property
    def step(self) -> float:
        """Changes below it are the form's own, not the sound's; 0: as the samples show."""
        ...

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the file; complete after the last block."""
        ...

    def blocks(self, first: int = 0) -> Iterator[Samples]:
        """``(n, channels)`` from sample ``first`` until the end; to be called once.

        A block is overwritten by the next one.

        Raises ``InputError`` where the file is damaged.
        """
        ...


def quarter_second(sample_rate_hz: int, channels: int) -> int:
    """Samples of a quarter of a second, or of a block where there are very many channels."""
    return max(1, min(sample_rate_hz // 4, BLOCK_SAMPLES // channels))
