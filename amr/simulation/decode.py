"""Source files as mono samples at their own rate, and samples at another rate."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from amr.audio.decode import open_decoder, open_soundfile
from amr.audio.read import LARGEST_SAMPLE, mix_down
from amr.errors import InputError

FloatArray = npt.NDArray[np.float32]
HASH_CHUNK_BYTES = 1 << 20
SEEKABLE_FORMATS = frozenset({"WAV", "WAVEX", "W64", "RF64", "AIFF", "AU", "FLAC", "OGG"})
"""Forms whose header tells the length and that can be entered at any sample."""


def decode_whole(path: Path) -> tuple[FloatArray, int]:
    """Mono samples ``(samples,)`` of a file and its rate.

    Raises:
        MissingError: it needs an ffmpeg that is not here.
        InputError: it is no audio, cut, empty, or holds values that are not finite.
    """
    with open_decoder(path) as decoder:
        rate_hz = decoder.sample_rate_hz
        blocks = [mix_down(block) for block in decoder.blocks()]
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return _checked(samples, path), rate_hz


def decode_span(path: Path, first: int, num_samples: int) -> FloatArray:
    """``num_samples`` mono samples from ``first`` on of a file for which :func:`long_header` gave a length.

    Raises:
        InputError: it cannot be decoded there.
    """
    try:
        with open_soundfile(path) as file:
            file.seek(first)
            samples = file.read(num_samples, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"is damaged or cut: {error.error_string}", where=path) from error
    if len(samples) != num_samples:
        raise InputError(f"is cut: {len(samples)} of {num_samples} samples could be decoded", where=path)
    return _checked(mix_down(samples), path)


def long_header(path: Path, longer_than_s: float) -> tuple[int, int] | None:
    """Number of samples and rate by the header; None where it is not trusted, or the file is not so long."""
    try:
        with open_soundfile(path) as file:
            if file.format not in SEEKABLE_FORMATS or file.frames <= longer_than_s * file.samplerate:
                return None
            return int(file.frames), int(file.samplerate)
    except soundfile.LibsndfileError:
        return None  # decoding the whole tells what is wrong with it, or does it with ffmpeg


def resample(samples: FloatArray, from_hz: int, to_hz: int) -> FloatArray:
    """Samples at another rate, the whole at once: the released generator's resampler and quality."""
    if from_hz == to_hz or not len(samples):
        return samples
    resampled: FloatArray = soxr.resample(samples, from_hz, to_hz, quality="HQ")
    return resampled


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _checked(samples: FloatArray, path: Path) -> FloatArray:
    if not len(samples):
        raise InputError("holds no samples", where=path)
    if not (np.abs(samples) <= LARGEST_SAMPLE).all():
        raise InputError("holds samples that are not finite, or above 1e15", where=path)
    return samples
