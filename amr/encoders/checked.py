"""An encoder of another package, behind a look at all that it gives: its mistakes are reported as its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from amr.arrays import Float32Array
from amr.encoders.base import EncoderIdentity, TextFeatures
from amr.encoders.running.batcher import is_out_of_memory
from amr.errors import AmrError, PluginError, exception_line
from amr.formats.encoder_names import checked_name

SIZES = ("dimension", "text_dimension", "joint_dimension")
NAMED = ("name", "weights_sha256")  # features are known by these


def wrong_array(array: object, shape: tuple[int, ...]) -> str:
    """What is wrong with an array that should be float32 of a shape; empty where nothing is."""
    if not isinstance(array, np.ndarray):
        return f"is {described(array)}, expected a numpy array"
    if array.dtype != np.float32 or array.shape != shape:
        return f"is {array.dtype} {array.shape}, expected float32 {shape}"
    return ""


def described(value: object) -> str:
    """What kind of thing it is, with an article."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


class CheckedEncoder:
    """Keeps the contract of :class:`amr.encoders.base.Encoder`, or raises ``PluginError``.

    Other attributes, such as ``block_frames``, are the encoder's own.

    Args:
        encoder: of another package.
        name: by which the user knows it.
    """

    def __init__(self, encoder: object, name: str) -> None:
        self.encoder = encoder
        self.name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    @property
    def identity(self) -> EncoderIdentity:
        try:
            identity: object = getattr(self.encoder, "identity", None)
        except Exception as error:
            raise self.raised("identity", error) from error
        if not isinstance(identity, EncoderIdentity):
            raise self.wrong(f"identity is {described(identity)}, expected an EncoderIdentity")
        for name, value in asdict(identity).items():
            if name in SIZES or name.endswith(("_samples", "_hz")):
                if type(value) is not int or value <= 0:
                    raise self.wrong(f"identity.{name} is {value!r}, expected a positive int")
            elif not isinstance(value, str):
                raise self.wrong(f"identity.{name} is {described(value)}, expected a str")
            elif not value and name in NAMED:
                raise self.wrong(f"identity.{name} is empty")
        try:
            checked_name(identity.name)
        except ValueError as error:
            raise self.wrong(f"identity.name: {error}") from error
        return identity

    @property
    def block_frames(self) -> int:
        """See :mod:`amr.encoders.running.blocks`."""
        block = getattr(self.encoder, "block_frames", 1)
        if type(block) is not int or block < 1:
            raise self.wrong(f"block_frames is {block!r}, expected a positive int")
        return block

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        identity = self.identity
        frames = 1 + (samples.shape[1] - identity.window_samples) // identity.hop_samples
        made = self.call("encode_audio", samples)
        return self.array(made, (len(samples), frames, identity.dimension), "encode_audio")

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        made, size = self.call("encode_text", queries), self.identity.text_dimension
        if not isinstance(made, list):
            raise self.wrong(f"encode_text gives {described(made)}, expected a list of TextFeatures")
        if len(made) != len(queries):
            raise self.wrong(f"encode_text gives {len(made)} results for {len(queries)} queries")
        for features in made:
            if not isinstance(features, TextFeatures):
                raise self.wrong(f"encode_text gives a list of {described(features)}, expected TextFeatures")
            count = len(features.tokens) if isinstance(features.tokens, np.ndarray) else 1
            if not count:
                raise self.wrong("encode_text gives no tokens for a query, expected at least one")
            self.array(features.tokens, (count, size), "tokens of encode_text")
            self.array(features.pooled, (size,), "pooled of encode_text")
            if not (np.isfinite(features.tokens).all() and np.isfinite(features.pooled).all()):
                raise self.wrong("encode_text gives undefined values (NaN or infinite)")
        return made

    def joint_audio(self, frames: Float32Array) -> Float32Array:
        return self.joint("joint_audio", frames)

    def joint_text(self, pooled: Float32Array) -> Float32Array:
        return self.joint("joint_text", pooled)

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        made = self.call("explain", query, top)
        for pair in made if isinstance(made, list) else [made]:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
                raise self.wrong(f"explain gives {described(pair)}, expected a list of (name, weight)")
        pairs: list[tuple[str, float]] = made
        return pairs

    def not_understood(self, queries: list[str], pooled: Float32Array) -> list[list[str]]:
        """Nothing is known of the queries where the encoder does not say; it need not."""
        if getattr(self.encoder, "not_understood", None) is None:
            return [[] for _ in queries]
        made = self.call("not_understood", queries, pooled)
        if not isinstance(made, list) or len(made) != len(queries):
            raise self.wrong(f"not_understood gives {described(made)}, expected a list of one a query")
        for kinds in made:
            if not isinstance(kinds, list) or not set(kinds) <= {"language", "words"}:
                raise self.wrong(f"not_understood gives {kinds!r}, expected a list of 'language' or 'words'")
        limits: list[list[str]] = made
        return limits

    def joint(self, method: str, vectors: Float32Array) -> Float32Array:
        """``(rows, size)`` through a method into the joint space."""
        made = self.call(method, vectors)
        return self.array(made, (len(vectors), self.identity.joint_dimension), method)

    def call(self, method: str, *arguments: object) -> Any:
        """What a method gives. Raises ``PluginError``."""
        function = getattr(self.encoder, method, None)
        if not callable(function):
            raise self.wrong(f"has no method {method}")
        return self.guarded(method, function, *arguments)

    def guarded(self, what: str, function: Callable[..., Any], *arguments: object, **settings: object) -> Any:
        """What a function of the plug-in gives; what it raises but a lack of memory is ``PluginError``."""
        try:
            return function(*arguments, **settings)
        except Exception as error:
            if isinstance(error, AmrError) or is_out_of_memory(error):
                raise
            raise self.raised(what, error) from error

    def array(self, made: Any, shape: tuple[int, ...], what: str) -> Float32Array:
        """``made``, if it is float32 of a shape."""
        wrong = wrong_array(made, shape)
        if wrong:
            raise self.wrong(f"{what} {wrong}")
        array: Float32Array = made
        return array

    def raised(self, what: str, error: Exception) -> PluginError:
        """The error for an exception in the plug-in's own code, with the line of it."""
        frames = traceback.extract_tb(error.__traceback__)
        place = frames[1] if len(frames) > 1 else frames[0]  # the first is ours
        return self.wrong(f"{what} raised {exception_line(error)} ({place.filename}:{place.lineno})")

    def wrong(self, what: str) -> PluginError:
        """The error for a breach of the contract."""
        hint = "a mistake in the plug-in; its author sees every one by python -m amr.encoders.conformance"
        return PluginError(what, where=f"encoder {self.name}", hint=hint)
