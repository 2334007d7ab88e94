"""Several sounds in one file as one sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from amr.audio.decoder import Decoder, Samples
from amr.audio.mix import mixed
from amr.audio.resample import Resampler

OpenLink = Callable[[], AbstractContextManager[Decoder]]


class Chain:
    """Links one after the other; satisfies :class:`amr.audio.decoder.Decoder`.

    Where they differ in rate or channels, each is mixed to one channel and brought to the highest rate.

    Args:
        links: each opens one; they are opened one at a time.

    Raises:
        InputError: one of them cannot be read.
    """

    def __init__(self, links: Sequence[OpenLink]) -> None:
        self.remarks: list[str] = []
        self.step = 0.0
        self._links = links
        rates, channels, lengths = [], [], []
        for open_link in links:
            with open_link() as decoder:
                rates.append(decoder.sample_rate_hz)
                channels.append(decoder.channels)
                lengths.append(decoder.num_frames)
                self.step = max(self.step, decoder.step)
        self._lengths = lengths
        self._is_even = len(set(rates)) == len(set(channels)) == 1
        self.sample_rate_hz = max(rates)
        self.channels = channels[0] if self._is_even else 1

    @property
    def num_frames(self) -> int | None:
        if not self._is_even or None in self._lengths:
            return None
        return sum(length for length in self._lengths if length is not None)

    def blocks(self, first: int = 0) -> Iterator[Samples]:
        for open_link, length in zip(self._links, self._lengths, strict=True):
            if self._is_even and length is not None and first >= length:
                first -= length
                continue
            with open_link() as decoder:
                for block in decoder.blocks() if self._is_even else self._converted(decoder):
                    if first < len(block):
                        yield block[first:]
                    first = max(0, first - len(block))
                self.remarks += decoder.remarks

    def _converted(self, decoder: Decoder) -> Iterator[Samples]:
        """A link as one channel at the chain's rate."""
        resampler = Resampler(decoder.sample_rate_hz, self.sample_rate_hz)
        for mono in mixed(decoder):
            for part in resampler.push(mono):
                yield part[:, None]
        for part in resampler.finish():
            yield part[:, None]
