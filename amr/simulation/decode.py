"""Source files as mono samples at their own rate, and samples at another rate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soxr

from amr.arrays import Float32Array
from amr.audio.decode import open_decoder
from amr.audio.mix import mix_down, mixed
from amr.audio.read import LARGEST_SAMPLE
from amr.audio.stretch import between
from amr.errors import AmrError, InputError

HASH_CHUNK_BYTES = 1 << 20

OnRemark = Callable[[str], None]


def ignore(remark: str) -> None:
    """For callers who do not want to know."""


def decode_whole(path: Path, on_remark: OnRemark = ignore) -> tuple[Float32Array, int]:
    """Mono samples ``(samples,)`` of a file and its rate; ``on_remark`` is called with what is odd about it.

    Raises:
        MissingError: it needs an ffmpeg that is not here.
        InputError: it is no audio, cut, empty, or holds values that are not finite.
    """
    with open_decoder(path) as decoder:
        rate_hz = decoder.sample_rate_hz
        blocks = list(mixed(decoder))
        for remark in dict.fromkeys(decoder.remarks):
            on_remark(remark)
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return _checked(samples, path), rate_hz


def decode_span(path: Path, first: int, num_samples: int) -> Float32Array:
    """``num_samples`` mono samples from ``first`` on of a file for which :func:`long_header` gave a length.

    Raises:
        InputError: it cannot be decoded there.
    """
    with open_decoder(path) as decoder:
        rate_hz = decoder.sample_rate_hz
        blocks = list(between(decoder.blocks(first), 0, num_samples))
    samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
    if len(samples) != num_samples:
        raise InputError(f"is cut: {len(samples)} of {num_samples} samples could be decoded", where=path)
    return _checked(mix_down(samples, rate_hz), path)


def long_header(path: Path, longer_than_s: float, on_remark: OnRemark = ignore) -> tuple[int, int] | None:
    """Number of samples and rate by the header; None where it is not trusted, or the file is not so long."""
    try:
        with open_decoder(path) as decoder:
            num_frames, rate_hz, remarks = decoder.num_frames, decoder.sample_rate_hz, decoder.remarks
    except AmrError:
        return None  # decoding the whole tells what is wrong with it
    if num_frames is None or num_frames <= longer_than_s * rate_hz:
        return None
    for remark in remarks:
        on_remark(remark)
    return num_frames, rate_hz


def resample(samples: Float32Array, from_hz: int, to_hz: int) -> Float32Array:
    """Samples at another rate, the whole at once: the released generator's resampler and quality."""
    if from_hz == to_hz or not len(samples):
        return samples
    resampled: Float32Array = soxr.resample(samples, from_hz, to_hz, quality="HQ")
    return resampled


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _checked(samples: Float32Array, path: Path) -> Float32Array:
    if not len(samples):
        raise InputError("holds no samples", where=path)
    if not (np.abs(samples) <= LARGEST_SAMPLE).all():
        raise InputError("holds samples that are not finite, or above 1e15", where=path)
    return samples
