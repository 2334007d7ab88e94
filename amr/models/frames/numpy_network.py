"""The frame decoder in numpy: its answers before torch would have been imported.

The definition is :mod:`amr.models.frames.network`, whose weights and arithmetic these are, in float32 and for
evaluation alone. Items are worked off one by one, so that there is neither padding nor a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from amr.arrays import Float32Array, FloatingArray
from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.functional import gelu, layer_norm, sigmoid, softplus, unit
from amr.models.config import NetworkConfig
from amr.models.frames.constants import (
    ENDS,
    LAYER_NORM_EPSILON,
    LEAST_PEAK,
    LENGTH_CLASSES,
    MOST_CERTAIN,
    RULED_OUT,
    SAME_IOU,
    VOTING_IOU,
    VOTING_POWER,
    curves_of,
    peaks_of,
)
from amr.models.frames.level import COSINE_LEVEL, HALF_FOOT, SIMILARITY_LEVEL, SMOOTHING
from amr.models.frames.numpy_prototypes import NumpyPrototypes, Weights, compressed
from amr.models.frames.numpy_segments import choose_segments, marginals
from amr.models.model_file import ModelFile
from amr.models.windows import WindowAnswers, WindowItem

Array = Float32Array
# So that a span of no width overlaps nothing, as in amr.models.spans.
TINY = 1e-9
CURVE_HIDDEN = 64
TAPS = ".depthwise.weight"


def is_known(config: NetworkConfig) -> bool:
    """Whether a network is the frame decoder."""
    return config.proposing == "frames" and not config.architecture


def frame_shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Every weight's name and shape."""
    dim, audio, kernel = config.hidden_dim, config.audio_dim, config.continuity_kernel
    shapes: dict[str, tuple[int, ...]] = {}
    if peaks_of(config):
        shapes["least_peak"] = ()
    if config.prototypes:
        axes = min(config.prototype_axes, audio)
        shapes |= {"prototype_weight": (dim,)}
        shapes |= {f"prototypes.{name}": () for name in ("scale", "shift", "least_peak")}
        shapes |= {"prototypes.whitening.mean": (audio,), "prototypes.whitening.axes": (audio, axes)}
        shapes |= {"prototypes.support": (config.prototypes, config.text_dim)}
        shapes |= {"prototypes.duals": (config.prototypes, axes)}
    layers = [f"convolution.{number}" for number in range(config.encoder_layers)]
    if config.audio:
        shapes |= _pair("audio_norm", audio) | _pair("audio_projection", dim, audio)
        layers.append("stem")
    shapes |= _pair("curves.wide", CURVE_HIDDEN, curves_of(config), kernel)
    shapes |= _pair("curves.out", dim, CURVE_HIDDEN)
    shapes |= _pair("head_norm", dim) | _pair("head", 4, dim)
    if config.segments:
        shapes |= _pair("ends", ENDS, dim) | {"by_length": (LENGTH_CLASSES,)}
    if config.quality:
        shapes |= _pair("quality", 1, dim)
    for layer in layers:
        shapes |= _pair(f"{layer}.norm", dim) | _pair(f"{layer}.depthwise", dim, 1, kernel)
        shapes |= _pair(f"{layer}.up", config.feedforward_dim, dim)
        shapes |= _pair(f"{layer}.down", dim, config.feedforward_dim)
    return shapes


def _pair(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


@dataclass(frozen=True)
class FrameModel:
    """A trained frame decoder, as :func:`read_frame_model` finds it.

    Args:
        config: the network's shape and switches.
        encoder: what made the features that it was trained on.
        weights: float32, of :func:`frame_shapes`.
    """

    config: NetworkConfig
    encoder: EncoderIdentity
    weights: Weights


def read_frame_model(file: ModelFile) -> FrameModel:
    """The weights of a file that names a frame decoder.

    Raises:
        InputError: they are not this network's, are damaged, or hold values that are not finite numbers.
    """
    from safetensors.numpy import load

    header = file.header
    file.require_shapes(frame_shapes(header.config))
    weights = {name: np.asarray(w, np.float32) for name, w in file.load(load).items()}
    for name in sorted(weights):
        if not np.isfinite(weights[name]).all():
            raise InputError(f"weight {name} holds values that are not finite", where=file.path)
    return FrameModel(header.config, header.encoder, weights)


class Heard(NamedTuple):
    """What is known of a window before any query.

    Args:
        x: ``(frames, hidden_dim)``.
        directions: ``(frames, axes)`` unit vectors; of networks with prototypes.
    """

    x: Array
    directions: Array | None


class Proposed(NamedTuple):
    """What the frames of a window say to a query.

    Args:
        score: ``(frames,)`` of each proposal, where it has one.
        inside: ``(frames,)``, what a frame adds to a moment that it is part of; with segments.
        ends: ``(frames, 2)``, (start, end) of each proposal as fractions of the window.
        saliency: ``(frames,)`` logits.
        cosine: ``(frames,)``, of frames and the query's prototype; of networks with prototypes.
        first_last: ``(frames, 2)``, what a frame adds as a moment's first and last; with segments.
    """

    score: Array
    inside: Array
    ends: Array
    saliency: Array
    cosine: Array | None
    first_last: Array | None


class NumpyFrameNetwork:
    """A :class:`amr.models.windows.WindowNetwork` of the presets ``best`` and ``curves``.

    Args:
        config: the network's shape and switches.
        weights: float32, of :func:`frame_shapes`.
    """

    batch_size = 16
    on_gpu = False

    def __init__(self, config: NetworkConfig, weights: Weights) -> None:
        self.config = config
        self.weights = weights
        self.prototypes = NumpyPrototypes(weights, config.max_tokens) if config.prototypes else None
        layers = [name.removesuffix(TAPS) for name in weights if name.endswith(TAPS)]
        linear = [name for name in weights if name.endswith(".weight") and weights[name].ndim == 2]
        self.turned = {name: np.ascontiguousarray(weights[name].T) for name in linear}
        self.taps = {layer: np.ascontiguousarray(weights[layer + TAPS][:, 0].T) for layer in layers}

    def answers(self, items: Sequence[WindowItem]) -> list[WindowAnswers]:
        """One answer an item; what is heard, and what is meant, is worked out once a window and sentence."""
        heard: dict[int, Heard] = {}
        meanings: dict[int, Array] = {}
        found = []
        for item in items:
            if item.stretch not in heard:
                heard[item.stretch] = self.heard(item.frames)
            meant = None if item.meaning is None else item.meaning.astype(np.float32)
            if self.prototypes is not None and meant is None:
                if id(item.tokens) not in meanings:
                    meanings[id(item.tokens)] = self.prototypes.meaning(item.tokens)
                meant = meanings[id(item.tokens)]
            found.append(self.proposed(heard[item.stretch], meant, item))
        first_last = [each.first_last for each in found if each.first_last is not None]
        if not first_last:
            return list(map(self.answer, items, found))
        chances = marginals([each.inside for each in found], first_last, self.weights["by_length"])
        return list(map(self.answer, items, found, chances))

    def answer(self, item: WindowItem, found: Proposed, chances: Array | None = None) -> WindowAnswers:
        """The best few answers of the proposals, or of the segments whose marginals ``chances`` are."""
        if chances is None:
            ends, logits = choose(found.ends, found.score, self.config.queries)
        else:
            ends, logits = choose_segments(found.ends, item.middles, chances, found.score, self.config)
        if found.cosine is not None and self.config.level_weight:
            logits = self._with_level(logits, found.cosine, item.curves)
        return WindowAnswers(ends, logits, found.saliency)

    def heard(self, frames: FloatingArray) -> Heard:
        """A window ``(frames, audio_dim)`` before any query."""
        if not self.config.audio:
            return Heard(np.zeros((len(frames), self.config.hidden_dim), np.float32), None)
        even = layer_norm(compressed(frames), LAYER_NORM_EPSILON)
        audio = even * self.weights["audio_norm.weight"] + self.weights["audio_norm.bias"]
        x = self._convolved(self._linear(audio, "audio_projection"), "stem", 1)
        return Heard(x, None if self.prototypes is None else self.prototypes.whitened(even))

    def proposed(self, heard: Heard, meant: Array | None, item: WindowItem) -> Proposed:
        """What the frames of a window say to a query."""
        x, curves, cosine = heard.x, [], None
        if self.config.similarity_channels:
            if item.curves is None:
                raise ValueError(f"this network takes {self.config.similarity_channels} curves a frame")
            given = item.curves.astype(np.float32)
            curves.append(self._with_peak(given) if peaks_of(self.config) else given)
        if self.prototypes is not None and heard.directions is not None and meant is not None:
            cosine = heard.directions @ unit(meant)
            logit, more = self.prototypes.curves(cosine, meant)
            curves.append(more)
            x = x + x * sigmoid(logit)[:, None] * self.weights["prototype_weight"]
        x = x + self._of_curves(np.concatenate(curves, axis=1))
        for number in range(self.config.encoder_layers):
            x = self._convolved(x, f"convolution.{number}", 2**number)
        last = self._norm(x, "head_norm")
        inside, to_start, to_end, saliency = self._linear(last, "head").T
        score = self._linear(last, "quality")[:, 0] if self.config.quality else inside
        ends = proposals(item.middles.astype(np.float32), to_start, to_end)
        first_last = self._linear(last, "ends") if self.config.segments else None
        return Proposed(score, inside, ends, saliency, cosine, first_last)

    def _linear(self, x: Array, name: str) -> Array:
        product: Array = x @ self.turned[f"{name}.weight"]
        product += self.weights[f"{name}.bias"]
        return product

    def _norm(self, x: Array, name: str) -> Array:
        normed = layer_norm(x, LAYER_NORM_EPSILON)
        normed *= self.weights[f"{name}.weight"]
        normed += self.weights[f"{name}.bias"]
        return normed

    def _convolved(self, x: Array, layer: str, dilation: int) -> Array:
        """See :class:`amr.models.frames.layers.ConvLayer`."""
        seen = self._norm(x, f"{layer}.norm")
        taps = self.taps[layer]
        reach = len(taps) // 2 * dilation
        padded = np.zeros((len(x) + 2 * reach, x.shape[1]), np.float32)
        padded[reach : reach + len(x)] = seen
        frame, channel = padded.strides
        around = np.lib.stride_tricks.as_strided(  # (taps, frames, channels)
            padded, (len(taps), *x.shape), (dilation * frame, frame, channel), writeable=False
        )
        mixed = np.einsum("tfc,tc->fc", around, taps)
        mixed += self.weights[f"{layer}.depthwise.bias"]
        return x + self._linear(gelu(self._linear(mixed, f"{layer}.up")), f"{layer}.down")

    def _of_curves(self, curves: Array) -> Array:
        """Curves ``(frames, channels)`` to features ``(frames, hidden_dim)``: a convolution over all."""
        weight = self.weights["curves.wide.weight"]
        kernel = weight.shape[2]
        padded = np.pad(curves, ((kernel // 2, kernel // 2), (0, 0)))
        around = np.lib.stride_tricks.sliding_window_view(
            padded, kernel, axis=0
        )  # (frames, channels, kernel)
        wide = np.tensordot(around, weight, axes=((1, 2), (1, 2))) + self.weights["curves.wide.bias"]
        return self._linear(gelu(wide), "curves.out")

    def _with_peak(self, curves: Array) -> Array:
        """Two more curves: the last one as a part of its peak in the window, and that peak."""
        last = curves[:, -1:]
        peak = np.maximum(last.max(), 0)
        part = last / (peak + np.abs(self.weights["least_peak"]) + LEAST_PEAK)
        return np.concatenate((curves, part, np.full_like(last, peak)), axis=1)

    def _with_level(self, logits: Array, cosine: Array, curves: FloatingArray | None) -> Array:
        """Scores times the chance that what is asked for is in the window at all."""
        config = self.config
        similarity = None if curves is None else curves[:, 0].astype(np.float32)
        level = level_of(cosine, similarity, config.level_similarity)
        there = np.float32(config.level_weight * level + config.level_shift)
        both = -softplus(-logits) - np.logaddexp(np.float32(0), -there)
        both = np.minimum(both, np.float32(MOST_CERTAIN))
        both -= np.log(-np.expm1(both))
        scored: Array = np.where(logits > RULED_OUT, np.maximum(both, RULED_OUT), logits)
        return scored


def proposals(middles: Array, to_start: Array, to_end: Array) -> Array:
    """Each frame's moment, (start, end) as fractions of the window, ``(frames, 2)``."""
    start = middles - (softplus(to_start) - 1) / len(middles)
    end = middles + (softplus(to_end) - 1) / len(middles)
    centre, half = (start + end) / 2, np.maximum(end - start, 0) / 2
    return np.stack((centre - half, centre + half), axis=1)


def choose(ends: Array, logits: Array, count: int) -> tuple[Array, Array]:
    """The best ``count`` proposals: their ends ``(count, 2)`` and logits; see :mod:`.answers`."""
    votes = sigmoid(logits) ** VOTING_POWER
    left = logits.copy()
    kept, kept_logits = np.zeros((count, 2), np.float32), np.full(count, RULED_OUT, np.float32)
    for number in range(count):
        place = left.argmax()
        if left[place] == -np.inf:
            break
        alike = overlaps(ends, ends[place])
        weight = np.where(alike >= VOTING_IOU, votes, 0)
        total = weight.sum()
        kept[number] = (weight / total) @ ends if total > 0 else ends[place]
        kept_logits[number] = left[place]
        left[alike >= SAME_IOU] = -np.inf
        left[place] = -np.inf
    return kept, kept_logits


def overlaps(ends: Array, other: Array) -> Array:
    """IoU of spans (start, end) ``(spans, 2)`` with one, ``(spans,)``."""
    shared = np.minimum(ends[:, 1], other[1]) - np.maximum(ends[:, 0], other[0])
    shared = np.maximum(shared, 0)
    union = (ends[:, 1] - ends[:, 0]) + (other[1] - other[0]) - shared
    found: Array = shared / np.maximum(union, TINY)
    return found


def level_of(cosine: Array, similarity: Array | None, similarity_weight: float) -> float:
    """The highest point of the smoothed sum of both curves ``(frames,)``; see :mod:`.level`."""
    curve = cosine - COSINE_LEVEL * cosine.mean()
    if similarity is not None:
        curve = curve + similarity_weight * (similarity - SIMILARITY_LEVEL * similarity.mean())
    held = np.pad(curve, HALF_FOOT - 1, mode="edge")
    return float(np.convolve(held, np.array(SMOOTHING, np.float32), mode="valid").max())
