"""From a scene to samples. Nothing here is random: a recipe and its sources give the same bytes again."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from amr.arrays import Float32Array, Int16Array
from amr.errors import InputError
from amr.formats.recipes import Scene
from amr.simulation.mix import PlacedSound, mix, to_pcm16
from amr.simulation.sources import SourceAudio


def render_scene(scene: Scene, sources: SourceAudio) -> Int16Array:
    """The recording of a scene as 16-bit samples, ``(samples,)``.

    Raises:
        AmrError: a source is missing, broken, silent, or not the one that the recipe was made with; ``where``
            names the scene too.
    """
    try:
        rate_hz = scene.sample_rate_hz
        background = PlacedSound(
            scene.background.path,
            0,
            sources.background(scene.background, scene.duration_s, rate_hz),
            scene.background.level_db,
        )
        foregrounds = [
            PlacedSound(
                layer.path, int(layer.start_s * rate_hz), sources.sound(layer, rate_hz), layer.level_db
            )
            for layer in scene.foregrounds
        ]
        return to_pcm16(mix(scene.law, background, foregrounds))
    except InputError as error:
        raise InputError(error.what, where=f"{scene.vid}: {error.where}", hint=error.hint) from error


def encode(samples: Int16Array, rate_hz: int, encoding: str) -> bytes:
    """A FLAC or WAV file of 16-bit mono samples, in memory; neither holds a date or a path."""
    file = io.BytesIO()
    subtype = "PCM_16"
    soundfile.write(file, samples, rate_hz, format=encoding.upper(), subtype=subtype)
    return file.getvalue()


def decode_pcm16(samples: Int16Array) -> Float32Array:
    """16-bit samples as the floats that a decoder makes of the encoded file: divided by 2 ** 15."""
    decoded: Float32Array = samples.astype(np.float32) / np.float32(32768.0)
    return decoded
