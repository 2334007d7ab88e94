"""What the CLAPs of LAION and of Microsoft have in common: weights that come with a tokeniser, a projection
from either side to the joint space, networks that are made when they are first asked for.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from amr.encoders.base import FloatFrames
from amr.encoders.bytebpe import ByteBpe
from amr.encoders.published import (
    Publication,
    Tensors,
    digest_tensors,
    find_file,
    find_weights,
    read_published,
)
from amr.errors import InputError, UsageError

if TYPE_CHECKING:
    import torch

    from amr.encoders.htsat_runner import HtsAtRunner

# A real vocabulary is known by this sentence; a tokeniser that was not loaded knows nothing.
GOLDEN_TEXT = "Hello, my dog is cute"
LONGEST_HOP_S = 60


class ClapFiles(ABC):
    """The weights and the tokeniser, each found and opened when first asked for.

    Args:
        given: a file, or a folder of files; None: the publication's variable, else the cache or a fetched
            file.
    """

    publication: ClassVar[Publication]
    language_model: ClassVar[str]
    """Whose tokeniser it is."""
    word_table: ClassVar[str]
    """The tensor with a row for every token."""
    marks: ClassVar[tuple[str, ...]]
    """Tokens that are put around a text."""
    real_words: ClassVar[int]
    """Tokens of the published tokeniser; smaller ones are not checked by the sentence."""
    golden_numbers: ClassVar[tuple[int, ...]]
    """Of the sentence in the published tokeniser, then of the marks."""

    def __init__(self, given: str | None) -> None:
        self.given = given

    @staticmethod
    @abstractmethod
    def canonical(tensors: Tensors, path: Path) -> Tensors:
        """What features depend on, by the names that the encoder uses; raises ``InputError``."""

    @abstractmethod
    def tokenise(self, text: str) -> list[int]:
        """Numbers of a text with its marks, as the package cuts it."""

    @cached_property
    def path(self) -> Path:
        return find_weights(self.publication, self.given)

    @cached_property
    def tensors(self) -> Tensors:
        return self.canonical(read_published(self.path), self.path)

    @cached_property
    def sha256(self) -> str:
        """Of the numbers, not of the file: the same for every published form."""
        return digest_tensors(self.tensors)

    def below(self, prefix: str) -> Tensors:
        """The tensors whose names begin with ``prefix.``, without it."""
        start = f"{prefix}."
        return {name[len(start) :]: values for name, values in self.tensors.items() if name.startswith(start)}

    @cached_property
    def tokeniser(self) -> ByteBpe:
        """Checked against the weights: a wrong one would be wrong silently."""
        files = self.publication
        vocabulary = find_file(files, files.vocabulary, beside=self.path)
        bpe = ByteBpe(vocabulary, find_file(files, files.merges, beside=self.path))
        words = len(self.tensors[self.word_table])
        if len(bpe.numbers) != words or not bpe.numbers.keys() >= set(self.marks):
            raise InputError(
                f"has {len(bpe.numbers)} tokens, the weights have {words}",
                where=vocabulary,
                hint=f"take the vocab.json and merges.txt of {self.language_model}: {files.vocabulary.url}",
            )
        found = (*bpe.encode(GOLDEN_TEXT), *(bpe.numbers[mark] for mark in self.marks))
        if words == self.real_words and found != self.golden_numbers:
            raise InputError(
                f"{GOLDEN_TEXT!r} has other numbers than {self.language_model}'s", where=vocabulary
            )
        return bpe


class Clap(ABC):
    """The part of :class:`amr.encoders.base.Encoder` that both have.

    Args:
        weights: found and opened when first asked for.
        device: where the networks run, as torch names it.
        precision: ``float32``, ``bfloat16`` or ``float16``, of the audio network's products.
    """

    audio_projection: ClassVar[str]
    """Prefix of the projection's tensors."""
    text_projection: ClassVar[str]

    def __init__(self, weights: ClapFiles, device: str, precision: str) -> None:
        self.weights = weights
        self.device_name = device
        self.precision = precision
        self._building = threading.Lock()

    @abstractmethod
    def project(self, name: str, vectors: FloatFrames) -> FloatFrames:
        """Through the projection of this name, to unit length."""

    @abstractmethod
    def build_audio_network(self) -> HtsAtRunner:
        """The audio network on its device."""

    def joint_audio(self, frames: FloatFrames) -> FloatFrames:
        """``(frames, 768)`` to unit vectors ``(frames, joint_dimension)``."""
        return self.project(self.audio_projection, frames)

    def joint_text(self, pooled: FloatFrames) -> FloatFrames:
        """``(queries, 768)`` to unit vectors ``(queries, joint_dimension)``."""
        return self.project(self.text_projection, pooled)

    def explain(self, query: str, top: int) -> list[tuple[str, float]]:  # noqa: ARG002  # the protocol's
        """Nothing: the joint space has no axes with names."""
        return []

    @cached_property
    def device(self) -> torch.device:
        import torch

        return torch.device(self.device_name)

    @property
    def audio_network(self) -> HtsAtRunner:
        with self._building:  # frames are asked for from several threads
            return self._audio_network

    @cached_property
    def _audio_network(self) -> HtsAtRunner:
        return self.build_audio_network()


def whole_samples(name: str, hop_s: float, sample_rate_hz: int) -> int:
    """A hop of the encoder ``name`` in samples.

    Raises:
        UsageError: it is not positive, longer than a minute, or no whole number of samples.
    """
    samples = hop_s * sample_rate_hz
    if 0 < hop_s <= LONGEST_HOP_S and abs(samples - round(samples)) < 1e-6 * samples:
        return round(samples)
    hint = f"a hop is a whole number of samples at {sample_rate_hz} Hz, up to {LONGEST_HOP_S} s"
    raise UsageError(f"{name} has no frames every {hop_s:g} s", where="--hop", hint=hint)
