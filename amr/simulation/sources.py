"""The sources of a simulation while it renders: found inside their folders, checked, decoded once, kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from amr.arrays import Float32Array
from amr.audio.names import as_spelt
from amr.errors import InputError, UsageError
from amr.formats.notices import Notices
from amr.formats.recipes import BackgroundLayer, ForegroundLayer
from amr.simulation import decode, mix
from amr.simulation.paths import inside
from amr.simulation.store import Once, SampleStore

WHOLE_BACKGROUND_S = 600.0
"""Backgrounds up to this long are decoded once and kept; of longer ones each scene reads its part.

Part of the rule that decides a scene's bytes: a lossy file that is entered in the middle need not decode to
the same samples, so the choice depends on the source alone and never on what is in the store.
"""
TURN_FADE_S = 0.5
"""Overlap of end and beginning of a background that goes round."""


@dataclass(frozen=True)
class DecodedClip:
    """A foreground file, read: its samples at its own rate, and its hash."""

    samples: Float32Array
    sample_rate_hz: int
    sha256: str


@dataclass(frozen=True)
class BackgroundFile:
    """A background: where it is, how long, and whether scenes read their parts of it from the file."""

    path: Path
    num_samples: int
    sample_rate_hz: int
    is_long: bool


class SourceAudio:
    """Foreground and background folders and what was prepared of them; safe to use from several threads.

    Args:
        foregrounds, backgrounds: the folders that recipes' paths are relative to; None: not given.
        store: keeps prepared samples.
    """

    def __init__(self, foregrounds: Path | None, backgrounds: Path | None, store: SampleStore) -> None:
        self._foregrounds = foregrounds
        self._backgrounds = backgrounds
        self._store = store
        self._remarks: set[tuple[str, str]] = set()
        self._files: Once[BackgroundFile] = Once()
        self._hashes: Once[str] = Once()

    def _remark(self, relative: str, what: str) -> None:
        self._remarks.add((relative, what))

    def move_remarks(self, notices: Notices) -> None:
        """Count what was odd about the files that were read up to now."""
        for relative, what in sorted(self._remarks):
            notices.add(what, relative)
        self._remarks.clear()

    def foreground_path(self, relative: str) -> Path:
        """A foreground's file; see :func:`amr.simulation.paths.inside` for the errors."""
        if self._foregrounds is None:
            raise UsageError("the recipe uses foregrounds: name their folder or table", where="--foreground")
        return inside(self._foregrounds, relative, relative)

    def background_path(self, relative: str) -> Path:
        """A background's file."""
        if self._backgrounds is None:
            raise UsageError("the recipe uses backgrounds: name their folder or table", where="--background")
        return inside(self._backgrounds, relative, relative)

    def has_foreground(self, relative: str) -> bool:
        """Whether a file stands under this path."""
        return self._foregrounds is not None and as_spelt(self._foregrounds / relative).is_file()

    def has_background(self, relative: str) -> bool:
        """Whether a file stands under this path."""
        return self._backgrounds is not None and as_spelt(self._backgrounds / relative).is_file()

    def read_clip(self, relative: str) -> DecodedClip:
        """A foreground file, read and decoded now."""
        path = self.foreground_path(relative)
        samples, rate_hz = decode.decode_whole(path, partial(self._remark, relative))
        return DecodedClip(samples, rate_hz, decode.file_sha256(path))

    def keep_clip(self, relative: str, clip: tuple[int, int], decoded: DecodedClip, rate_hz: int) -> None:
        """Prepare a clip that has just been read, so that rendering does not decode it again."""
        self._store.get(
            (relative, clip, rate_hz, decoded.sha256), lambda: _prepared(decoded, clip, rate_hz, relative)
        )

    def sound(self, layer: ForegroundLayer, rate_hz: int) -> Float32Array:
        """The samples of a foreground layer as they go into the mixture, ``(samples,)`` at ``rate_hz``.

        Raises:
            InputError: the source is not the recipe's, or shorter than the recipe says.
        """
        clip = layer.clip
        if clip is None or layer.sha256 is None:
            raise InputError("the recipe does not say which samples were kept", where=layer.path)
        whole = self._store.get(
            (layer.path, clip, rate_hz, layer.sha256),
            lambda: _prepared(self._verified(layer), clip, rate_hz, layer.path),
        )
        first = round(layer.crop_start_s * rate_hz)
        length = round(layer.duration_s * rate_hz)
        if first + length > len(whole) + 2:  # two samples of rounding between seconds and both rates
            raise InputError(
                f"has {len(whole) / rate_hz:.3f} s of sound after trimming, the recipe needs "
                f"{layer.crop_start_s:g} to {layer.crop_start_s + layer.duration_s:g} s",
                where=layer.path,
            )
        return mix.fade_ends(whole[first : first + length], round(layer.fade_s * rate_hz))

    def background(self, layer: BackgroundLayer, duration_s: float, rate_hz: int) -> Float32Array:
        """The background of a scene, ``(samples,)`` at ``rate_hz``, cut at its own rate and then resampled.

        Raises:
            InputError: the source is not the recipe's, or ends before the recording.
        """
        source = self._background_file(layer.path)
        if layer.sha256 is not None:
            _same_hash(self.background_facts(layer.path)[1], layer.sha256, layer.path)
        own_hz = source.sample_rate_hz
        first, length = round(layer.start_s * own_hz), round(duration_s * own_hz)
        if not layer.repeat and first + length > source.num_samples:
            raise InputError(
                f"lasts {source.num_samples / own_hz:.2f} s, the recipe asks for {layer.start_s:g} to "
                f"{layer.start_s + duration_s:g} s",
                where=layer.path,
            )
        if layer.repeat:
            part = mix.repeat_to(self._whole(source), first, length, round(TURN_FADE_S * own_hz))
        elif source.is_long:
            part = decode.decode_span(source.path, first, length)
        else:
            part = self._whole(source)[first : first + length]
        return fit(decode.resample(part, own_hz, rate_hz), round(duration_s * rate_hz))

    def background_facts(self, relative: str) -> tuple[float, str]:
        """Length in seconds and hash of a background file."""
        source = self._background_file(relative)
        sha256 = self._hashes.get(source.path, lambda: decode.file_sha256(source.path))
        return source.num_samples / source.sample_rate_hz, sha256

    def _background_file(self, relative: str) -> BackgroundFile:
        return self._files.get(relative, lambda: self._open_background(relative))

    def _open_background(self, relative: str) -> BackgroundFile:
        """Its length: by the header of a long one; others are decoded, for headers may be wrong, and kept."""
        path = self.background_path(relative)
        on_remark = partial(self._remark, relative)
        header = decode.long_header(path, WHOLE_BACKGROUND_S, on_remark)
        if header is not None:
            return BackgroundFile(path, *header, is_long=True)
        samples, rate_hz = decode.decode_whole(path, on_remark)
        self._store.get(path, lambda: samples)
        return BackgroundFile(path, len(samples), rate_hz, is_long=False)

    def _whole(self, source: BackgroundFile) -> Float32Array:
        return self._store.get(source.path, lambda: decode.decode_whole(source.path)[0])

    def _verified(self, layer: ForegroundLayer) -> DecodedClip:
        decoded = self.read_clip(layer.path)
        _same_hash(decoded.sha256, layer.sha256, layer.path)
        return decoded


def _prepared(decoded: DecodedClip, clip: tuple[int, int], rate_hz: int, name: str) -> Float32Array:
    """The kept part of a clip at the mixture's rate; trimmed first, as the released generator does."""
    if clip[1] > len(decoded.samples):
        raise InputError(
            f"has {len(decoded.samples)} samples, the recipe keeps samples {clip[0]} to {clip[1]}", where=name
        )
    kept = np.ascontiguousarray(decoded.samples[clip[0] : clip[1]])
    prepared = decode.resample(kept, decoded.sample_rate_hz, rate_hz)
    return prepared.copy() if prepared is kept and kept.base is not None else prepared


def fit(samples: Float32Array, length: int) -> Float32Array:
    """Exactly ``length`` samples: resampling may give one more or less; zeros are added at the end."""
    if len(samples) >= length:
        return samples[:length]
    return np.pad(samples, (0, length - len(samples)))


def _same_hash(found: str, expected: str | None, name: str) -> None:
    if expected is not None and found != expected:
        raise InputError(
            f"is not the file that the recipe was made with: its sha256 is {found[:12]}..., the recipe says "
            f"{expected[:12]}...",
            where=name,
            hint="give the same version of the sources, or draw a new recipe",
        )
