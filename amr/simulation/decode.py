"""Files into mono samples: the one place of the simulation where audio is decoded and resampled."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from amr.errors import InputError

FloatArray = npt.NDArray[np.float32]
HASH_CHUNK_BYTES = 1 << 20


def decode_bytes(data: bytes, name: str) -> tuple[FloatArray, int]:
    """Mono samples and rate of an audio file in memory.

    Raises:
        InputError: it is not audio, is cut, empty, or holds values that are not finite.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples = file.read(dtype="float32", always_2d=True)
            rate = int(file.samplerate)
    except soundfile.SoundFileError as error:
        raise _undecodable(error, name) from error
    return _checked_mono(samples, name), rate


def decode_span(path: Path, first: int, num_samples: int, name: str) -> FloatArray:
    """``num_samples`` mono samples of a file from ``first`` on, at the file's rate.

    Raises:
        InputError: it is not audio, or ends before.
    """
    try:
        with soundfile.SoundFile(path) as file:
            if first + num_samples > file.frames:
                raise InputError(
                    f"has {file.frames} samples, samples {first} to {first + num_samples} are asked for",
                    where=name,
                )
            file.seek(first)
            samples = file.read(num_samples, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise _undecodable(error, name) from error
    if len(samples) != num_samples:
        raise InputError(f"is cut off: {len(samples)} of {num_samples} samples could be decoded", where=name)
    return _checked_mono(samples, name)


def audio_info(path: Path, name: str) -> tuple[int, int]:
    """Number of samples and rate, from the header.

    Raises:
        InputError: it is not audio.
    """
    try:
        info = soundfile.info(path)
    except soundfile.SoundFileError as error:
        raise _undecodable(error, name) from error
    if info.frames <= 0:
        raise InputError("holds no samples", where=name)
    return int(info.frames), int(info.samplerate)


def resample(samples: FloatArray, from_hz: int, to_hz: int) -> FloatArray:
    """Samples at another rate, ``(samples,)``, the whole at once: the reference's resampler and quality."""
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


def _checked_mono(samples: npt.NDArray[np.float32], name: str) -> FloatArray:
    """``(samples, channels)`` -> ``(samples,)``, refusing what is empty or not finite."""
    if not len(samples):
        raise InputError("holds no samples", where=name)
    mono: FloatArray = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    mono = np.ascontiguousarray(mono)
    if not np.isfinite(mono).all():
        raise InputError("holds samples that are not finite", where=name)
    return mono


def _undecodable(error: Exception, name: str) -> InputError:
    what = str(error).rpartition(": ")[2].strip() or "unknown format"
    return InputError(f"cannot be decoded as audio: {what}", where=name)
