"""Cuts a stream of samples into segments of whole frames, so that any length is encoded in pieces.

Segments overlap by ``window - hop`` samples. As a frame depends on nothing but its own window, the frames are
the same wherever the recording is cut. The last segment is padded with zeros to the end of its last window,
and so is a recording that is shorter than one window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from amr.arrays import Float32Array
from amr.audio.level import DESCRIPTION, levelled
from amr.audio.read import MonoStream
from amr.encoders.base import Encoder, EncoderIdentity
from amr.encoders.running.blocks import whole_blocks
from amr.moments import FrameGrid

SEGMENT_FRAMES = 64  # half a minute of yamnet: long enough to keep the network busy, 2 MB of samples


class SampleStream(Protocol):
    """Blocks of mono samples at the encoder's rate; the duration is known after the last one."""

    def __iter__(self) -> Iterator[Float32Array]: ...

    @property
    def duration_s(self) -> float: ...

    @property
    def step(self) -> float:
        """What the samples were multiples of, up to the last block; see :mod:`amr.audio.level`."""
        ...


def grid_of(duration_s: float, identity: EncoderIdentity) -> FrameGrid:
    """The frames of a recording: as few as cover all of it."""
    return FrameGrid.covering(duration_s, window_s=identity.window_s, hop_s=identity.hop_s)


def cut_segments(
    stream: SampleStream, identity: EncoderIdentity, segment_frames: int = SEGMENT_FRAMES
) -> Iterator[Float32Array]:
    """Segments ``(window + (k - 1) * hop,)`` of ``k = segment_frames`` frames; the last one may be shorter.

    Together they hold as many frames as :func:`grid_of` says. Samples come at one level where the encoder's
    identity says so.
    """
    is_levelled = identity.normalisation == DESCRIPTION
    window, hop = identity.window_samples, identity.hop_samples
    length, advance = window + (segment_frames - 1) * hop, segment_frames * hop
    buffer = SampleBuffer()
    frames_cut = 0
    for block in levelled(stream, identity.sample_rate_hz) if is_levelled else stream:
        buffer.push(block)
        while buffer.count >= length:
            yield buffer.peek(length)
            buffer.drop(advance)
            frames_cut += segment_frames
    remaining = grid_of(stream.duration_s, identity).num_frames - frames_cut
    if remaining > 0:
        yield buffer.padded(window + (remaining - 1) * hop)


class SampleBuffer:
    """Samples that have arrived and are still needed."""

    def __init__(self) -> None:
        self._blocks: list[Float32Array] = []
        self._to_drop = 0  # samples that have not arrived yet, where the hop is longer than the window
        self.count = 0

    def push(self, block: Float32Array) -> None:
        skipped = min(self._to_drop, len(block))
        self._to_drop -= skipped
        self._blocks.append(block[skipped:])
        self.count += len(block) - skipped

    def peek(self, length: int) -> Float32Array:
        """The next ``length`` samples, which must be there."""
        self._join()
        samples: Float32Array = self._blocks[0][:length].copy()
        return samples

    def padded(self, length: int) -> Float32Array:
        """All that is there, with zeros to ``length``."""
        self._join()
        padded = np.zeros(length, np.float32)
        samples = self._blocks[0][:length]
        padded[: len(samples)] = samples
        return padded

    def drop(self, length: int) -> None:
        """Forget the next ``length`` samples, those included that are still to come."""
        self._join()
        self._to_drop = max(0, length - self.count)
        self._blocks = [self._blocks[0][length:]]
        self.count = len(self._blocks[0])

    def _join(self) -> None:
        self._blocks = [np.concatenate(self._blocks)] if self._blocks else [np.zeros(0, np.float32)]


def encode_stream(
    encoder: Encoder, stream: SampleStream, *, segment_frames: int = SEGMENT_FRAMES, batch: int = 1
) -> Iterator[Float32Array]:
    """The frames of one recording, ``(n, dim)`` at a time.

    Args:
        segment_frames: frames in a segment, less what is no whole block of the encoder's.
        batch: segments that are encoded at once.
    """
    segment_frames = whole_blocks(encoder, segment_frames)
    for segments in batches(cut_segments(stream, encoder.identity, segment_frames), batch):
        frames = encoder.encode_audio(np.stack(segments))  # (batch, frames, dim)
        yield frames.reshape(
            -1, frames.shape[-1]
        )  # recordings' own order: batch and frames are one axis of time


def batches(segments: Iterable[Float32Array], batch: int) -> Iterator[list[Float32Array]]:
    """Runs of up to ``batch`` segments of one length."""
    held: list[Float32Array] = []
    for segment in segments:
        if held and (len(held) == batch or len(segment) != len(held[0])):
            yield held
            held = []
        held.append(segment)
    if held:
        yield held


def encode_recording(encoder: Encoder, path: str | Path) -> tuple[Float32Array, FrameGrid, float]:
    """A whole recording: frames ``(n, dim)``, where they lie, and its duration in seconds.

    Raises:
        MissingError: it needs an ffmpeg that is not here.
        InputError: there is no such file; it is empty, cut, no audio, or holds undefined samples.
    """
    stream = MonoStream(path, encoder.identity.sample_rate_hz)
    frames = np.concatenate(list(encode_stream(encoder, stream)))
    return frames, grid_of(stream.duration_s, encoder.identity), stream.duration_s
