"""What the weights of LAION's and of Microsoft's CLAP have in common: a published file, and a tokeniser that
belongs to it.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from amr.encoders.clap.bytebpe import ByteBpe
from amr.encoders.clap.hub import HubFile, local_copy
from amr.encoders.clap.published import Tensors, digest_tensors, read_published
from amr.errors import InputError, MissingError

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")
# A real vocabulary is known by this sentence; a tokeniser that was not loaded knows nothing.
GOLDEN_TEXT = "Hello, my dog is cute"


class ClapWeights(ABC):
    """The weights and the tokeniser, each found and opened when first needed.

    Args:
        given: a file, or a folder of files; None: what the variable names, else a copy from the hub.
    """

    title: ClassVar[str]
    known_files: ClassVar[str]
    """Which files are read, for a hint."""
    variable: ClassVar[str]
    """Environment variable that names the weights: a file, or the folder of all files."""
    file: ClassVar[HubFile]
    unused: ClassVar[re.Pattern[str]]
    """Names of tensors that features do not depend on."""
    essential: ClassVar[tuple[str, ...]]
    """Tensors by which the weights are known."""
    language_model: ClassVar[str]
    """Whose tokeniser it is."""
    tokeniser_repositories: ClassVar[tuple[str, ...]]
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

    @abstractmethod
    def tokenise(self, text: str) -> list[int]:
        """Numbers of a text with its marks, as the package cuts it."""

    def canonical(self, tensors: Tensors) -> Tensors:
        """What features depend on, by the names that the encoder uses.

        Raises:
            InputError: these are other weights.
        """
        kept = {name: values for name, values in tensors.items() if not self.unused.search(name)}
        missing = [name for name in self.essential if name not in kept]
        if missing:
            raise InputError(
                f"is not {self.title}: it has no {missing[0]}", where=self.path, hint=self.known_files
            )
        return kept

    @cached_property
    def path(self) -> Path:
        """The file of the weights: the one given, by option or by environment, else a copy from the hub.

        Raises:
            MissingError: there is none, or it may not be fetched.
            InputError: the folder that was given holds none, or several.
        """
        given = self.given or os.environ.get(self.variable)
        if not given:
            return local_copy(self.file, self.variable)
        path = Path(given).expanduser()
        if path.is_dir():
            return only_weights(path, self.file.name)
        if not path.exists():
            raise MissingError("no such file of weights", where=path, hint=f"{self.variable} names it")
        return path

    @cached_property
    def tensors(self) -> Tensors:
        return self.canonical(read_published(self.path))

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
        vocabulary = self.tokeniser_file("vocab.json")
        bpe = ByteBpe(vocabulary, self.tokeniser_file("merges.txt"))
        words = len(self.tensors[self.word_table])
        if len(bpe.numbers) != words or not bpe.numbers.keys() >= set(self.marks):
            raise InputError(
                f"has {len(bpe.numbers)} tokens, the weights have {words}",
                where=vocabulary,
                hint=f"take the vocab.json and merges.txt of {self.tokeniser_repositories[0]}",
            )
        found = (*bpe.encode(GOLDEN_TEXT), *(bpe.numbers[mark] for mark in self.marks))
        if words == self.real_words and found != self.golden_numbers:
            raise InputError(
                f"the tokeniser encodes {GOLDEN_TEXT!r} in another way than {self.language_model} does",
                where=vocabulary,
            )
        return bpe

    def tokeniser_file(self, name: str) -> Path:
        """One of the tokeniser's files: beside the weights, else a copy from the hub."""
        beside = self.path.parent / name
        return (
            beside
            if beside.exists()
            else local_copy(HubFile(name, self.tokeniser_repositories), self.variable)
        )


def only_weights(folder: Path, preferred: str) -> Path:
    """The one file of weights in a folder."""
    found = sorted(path for path in folder.iterdir() if path.suffix in WEIGHT_SUFFIXES)
    named = [path for path in found if path.name == preferred]
    if len(named or found) == 1:
        return (named or found)[0]
    names = ", ".join(path.name for path in found) or "none"
    raise InputError(f"expected one file of weights in this folder, found {names}", where=folder)
