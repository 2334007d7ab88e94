"""What an encoder is: sound into frames, sentences into tokens, both into one space.

An encoder knows nothing of files. It is given stretches of samples at its own rate and gives back frames; who
cuts the recording into stretches is ``amr.encoders.running.stream``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from amr.arrays import Float32Array


@dataclass(frozen=True)
class EncoderIdentity:
    """All that decides a feature's value; stored in feature files and checkpoints, compared on use.

    Args:
        name: registered name, e.g. ``yamnet``.
        weights_sha256: of the weights that made the features, hexadecimal.
        sample_rate_hz: rate of the samples the encoder takes.
        window_samples: samples that one frame sees.
        hop_samples: samples from one frame to the next.
        dimension: size of a frame.
        text_dimension: size of a text token's vector.
        joint_dimension: size of the space where ``audio . text`` is similarity.
        normalisation: what was done to the vectors (``none``, ``l2``), or to the samples:
            :data:`amr.audio.level.DESCRIPTION` asks for samples at one level, and gets them.
        framing: how windows were cut, padded and pooled, in the encoder's own words.
    """

    name: str
    weights_sha256: str
    sample_rate_hz: int
    window_samples: int
    hop_samples: int
    dimension: int
    text_dimension: int
    joint_dimension: int
    normalisation: str = "none"
    framing: str = ""

    @property
    def window_s(self) -> float:
        return self.window_samples / self.sample_rate_hz

    @property
    def hop_s(self) -> float:
        return self.hop_samples / self.sample_rate_hz

    def to_json(self) -> str:
        """One line of JSON with sorted keys, as stored in feature files and checkpoints."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> EncoderIdentity:
        """Raises ``ValueError`` or ``TypeError`` when ``text`` is something else."""
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("an encoder identity is a JSON object")
        return EncoderIdentity(**fields)


@dataclass(frozen=True)
class TextFeatures:
    """One query, encoded.

    Args:
        tokens: ``(tokens, text_dimension)``, one vector a token, no padding.
        pooled: ``(text_dimension,)``, the sentence.
    """

    tokens: Float32Array
    pooled: Float32Array


class Encoder(Protocol):
    """The contract of every encoder; ``amr.encoders.registry`` finds them by name."""

    @property
    def identity(self) -> EncoderIdentity: ...

    def encode_audio(self, samples: Float32Array) -> Float32Array:
        """Frames of a batch of equally long stretches. Called from several threads at once.

        Args:
            samples: ``(batch, window_samples + (frames - 1) * hop_samples)`` mono, full scale is 1, at
                ``sample_rate_hz``; frame ``i`` must depend on nothing but its own window
                ``[i * hop_samples, i * hop_samples + window_samples)``.

        Returns:
            ``(batch, frames, dimension)``.
        """
        ...

    def encode_text(self, queries: list[str]) -> list[TextFeatures]:
        """Token vectors and a pooled vector for each query."""
        ...

    def joint_audio(self, frames: Float32Array) -> Float32Array:
        """``(frames, dimension)`` into the joint space ``(frames, joint_dimension)``."""
        ...

    def joint_text(self, pooled: Float32Array) -> Float32Array:
        """``(queries, text_dimension)`` into the joint space ``(queries, joint_dimension)``.

        Similarity is the inner product ``joint_audio(frames) @ joint_text(pooled).T``.
        """
        ...

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:
        """How a query was understood: up to ``top`` (name, weight) pairs; empty if the encoder cannot say."""
        ...


@runtime_checkable
class KnowsItsLimits(Protocol):
    """An encoder that can say which queries are beyond it; it need not."""

    def not_understood(self, queries: list[str], pooled: Float32Array) -> list[list[str]]:
        """For each query ``language`` where it is in one that the encoder does not know, ``words`` where it
        knows nothing near.

        Args:
            queries: the sentences.
            pooled: ``(queries, text_dimension)``, their vectors.
        """
        ...
