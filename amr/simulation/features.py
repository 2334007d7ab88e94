"""Scenes straight into a feature file: the recordings themselves never touch the disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from amr.arrays import Float32Array, Int16Array
from amr.audio.decoder import BLOCK_SAMPLES
from amr.audio.level import step_of
from amr.audio.resample import Resampler
from amr.encoders.base import Encoder
from amr.encoders.running.stream import encode_stream
from amr.formats.features.write import FeatureWriter
from amr.formats.recipes import Scene
from amr.simulation.render import decode_pcm16, render_scene
from amr.simulation.sources import SourceAudio


class RenderedStream:
    """A rendered recording as what reads its file would give: the same blocks at the wanted rate.

    Args:
        samples: ``(samples,)``, 16 bits.
        from_hz, to_hz: the recording's rate and the wanted one.
    """

    def __init__(self, samples: Int16Array, from_hz: int, to_hz: int) -> None:
        self._samples = samples
        self._rates = from_hz, to_hz
        self.step = math.inf

    @property
    def duration_s(self) -> float:
        return len(self._samples) / self._rates[0]

    def __iter__(self) -> Iterator[Float32Array]:
        resampler = Resampler(*self._rates)
        for first in range(0, len(self._samples), BLOCK_SAMPLES):
            block = decode_pcm16(self._samples[first : first + BLOCK_SAMPLES])
            self.step = min(self.step, step_of(block))
            yield from resampler.push(block)
        yield from resampler.finish()


class FeatureFileSink:
    """A sink of frames: what ``amr extract`` would make of the recordings' files, value for value.

    Args:
        sources: the sounds.
        encoder: makes the frames; called from several threads.
        writer: the open feature file.
    """

    def __init__(self, sources: SourceAudio, encoder: Encoder, writer: FeatureWriter) -> None:
        self._sources = sources
        self._encoder = encoder
        self._writer = writer

    def is_done(self, scene: Scene) -> bool:
        return scene.vid in self._writer.sources

    def prepare(self, scene: Scene) -> Float32Array:
        """Render and encode: ``(frames, dim)``."""
        samples = render_scene(scene, self._sources)
        rate_hz = self._encoder.identity.sample_rate_hz
        stream = RenderedStream(samples, scene.sample_rate_hz, rate_hz)
        return np.concatenate(list(encode_stream(self._encoder, stream)))

    def keep(self, scene: Scene, product: npt.NDArray[Any]) -> None:
        duration_s = round(scene.duration_s * scene.sample_rate_hz) / scene.sample_rate_hz
        self._writer.add(scene.vid, product, duration_s=duration_s)
