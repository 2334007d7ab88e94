"""The sources of a simulation while it renders: found inside their folders, checked, decoded once, kept."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from amr.errors import InputError, UsageError
from amr.formats.recipes import BackgroundLayer, ForegroundLayer
from amr.simulation import decode, mix
from amr.simulation.paths import inside
from amr.simulation.store import SampleStore

FloatArray = npt.NDArray[np.float32]
WHOLE_BACKGROUND_S = 600.0
"""Backgrounds up to this long are decoded once and kept; of longer ones each scene reads its part.

Part of the rule that decides a scene's bytes: a lossy file that is entered in the middle need not decode to
the same samples, so the choice hangs on the source alone and never on what is in the store.
"""
TURN_FADE_S = 0.5
"""Overlap of end and beginning of a background that goes round."""


@dataclass(frozen=True)
class DecodedClip:
    """A foreground file, read: its samples at its own rate, and its hash."""

    samples: FloatArray
    sample_rate_hz: int
    sha256: str


class Sources:
    """Foreground and background folders and what was prepared of them; safe to use from several threads.

    Args:
        foregrounds, backgrounds: the folders that recipes' paths are relative to; None: not given.
        store: keeps prepared samples.
    """

    def __init__(self, foregrounds: Path | None, backgrounds: Path | None, store: SampleStore) -> None:
        self._foregrounds = foregrounds
        self._backgrounds = backgrounds
        self._store = store
        self._lock = threading.Lock()
        self._infos: dict[str, tuple[Path, int, int]] = {}
        self._hashes: dict[str, str] = {}

    def foreground_path(self, relative: str) -> Path:
        """A foreground's file; see :func:`amr.simulation.paths.inside` for the errors."""
        if self._foregrounds is None:
            raise UsageError("the recipe names foregrounds, say where they are", where="--foreground")
        return inside(self._foregrounds, relative, relative)

    def background_path(self, relative: str) -> Path:
        """A background's file."""
        if self._backgrounds is None:
            raise UsageError("the recipe names backgrounds, say where they are", where="--background")
        return inside(self._backgrounds, relative, relative)

    def has_foreground(self, relative: str) -> bool:
        """Whether a file stands under this path."""
        return self._foregrounds is not None and (self._foregrounds / relative).is_file()

    def has_background(self, relative: str) -> bool:
        """Whether a file stands under this path."""
        return self._backgrounds is not None and (self._backgrounds / relative).is_file()

    def read_clip(self, relative: str) -> DecodedClip:
        """A foreground file, read and decoded now."""
        data = self.foreground_path(relative).read_bytes()
        samples, rate = decode.decode_bytes(data, relative)
        return DecodedClip(samples, rate, hashlib.sha256(data).hexdigest())

    def keep_clip(self, relative: str, clip: tuple[int, int], decoded: DecodedClip, rate_hz: int) -> None:
        """Prepare a clip that has just been read, so that rendering does not decode it again."""
        self._store.get(
            (relative, clip, rate_hz, decoded.sha256), lambda: _prepared(decoded, clip, rate_hz, relative)
        )

    def sound(self, layer: ForegroundLayer, rate_hz: int) -> FloatArray:
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
                f"sounds {len(whole) / rate_hz:.3f} s after trimming, the recipe asks for "
                f"{layer.crop_start_s:g} to {layer.crop_start_s + layer.duration_s:g} s",
                where=layer.path,
            )
        return mix.fade_ends(whole[first : first + length], round(layer.fade_s * rate_hz))

    def background(self, layer: BackgroundLayer, duration_s: float, rate_hz: int) -> FloatArray:
        """The background of a scene, ``(samples,)`` at ``rate_hz``, cut at its own rate and then resampled.

        Raises:
            InputError: the source is not the recipe's, or ends before the recording.
        """
        path, num_samples, own_rate = self._background_info(layer)
        first, length = round(layer.start_s * own_rate), round(duration_s * own_rate)
        if not layer.repeat and first + length > num_samples:
            raise InputError(
                f"lasts {num_samples / own_rate:.2f} s, the recipe asks for {layer.start_s:g} to "
                f"{layer.start_s + duration_s:g} s",
                where=layer.path,
            )
        if layer.repeat or num_samples <= WHOLE_BACKGROUND_S * own_rate:
            whole = self._store.get(
                ("background", layer.path), lambda: decode.decode_span(path, 0, num_samples, layer.path)
            )
            part = (
                mix.repeat_to(whole, first, length, round(TURN_FADE_S * own_rate))
                if layer.repeat
                else whole[first : first + length]
            )
        else:
            part = decode.decode_span(path, first, length, layer.path)
        return fit(decode.resample(part, own_rate, rate_hz), round(duration_s * rate_hz))

    def background_facts(self, relative: str) -> tuple[float, str]:
        """Length in seconds and hash of a background file."""
        path, num_samples, rate = self._background_info(BackgroundLayer(relative, 0.0, 0.0))
        with self._lock:
            known = self._hashes.get(relative)
        if known is None:
            known = decode.file_sha256(path)
            with self._lock:
                self._hashes[relative] = known
        return num_samples / rate, known

    def _background_info(self, layer: BackgroundLayer) -> tuple[Path, int, int]:
        with self._lock:
            known = self._infos.get(layer.path)
        if known is None:
            path = self.background_path(layer.path)
            known = (path, *decode.audio_info(path, layer.path))
            with self._lock:
                self._infos[layer.path] = known
        if layer.sha256 is not None:
            _same_hash(self.background_facts(layer.path)[1], layer.sha256, layer.path)
        return known

    def _verified(self, layer: ForegroundLayer) -> DecodedClip:
        decoded = self.read_clip(layer.path)
        _same_hash(decoded.sha256, layer.sha256, layer.path)
        return decoded


def _prepared(decoded: DecodedClip, clip: tuple[int, int], rate_hz: int, name: str) -> FloatArray:
    """The kept part of a clip at the mixture's rate; trimmed first, as the released generator does."""
    if clip[1] > len(decoded.samples):
        raise InputError(
            f"has {len(decoded.samples)} samples, the recipe keeps samples {clip[0]} to {clip[1]}", where=name
        )
    kept = np.ascontiguousarray(decoded.samples[clip[0] : clip[1]])
    prepared = decode.resample(kept, decoded.sample_rate_hz, rate_hz)
    return prepared.copy() if prepared is kept and kept.base is not None else prepared


def fit(samples: FloatArray, length: int) -> FloatArray:
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
