"""Byte-level byte-pair encoding: the tokeniser of GPT-2 and of RoBERTa (Radford et al., 2019).

A text is cut into words, each with the blank before it; a word's UTF-8 bytes are written as printable
characters, and neighbours are merged in the order of the published list until nothing more can be merged.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from amr.errors import InputError

CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
# On a text whose characters were replaced by their kinds: letter, number, other, blank, other white space.
WORD = re.compile(r" ?L+| ?N+| ?O+|[ S]+(?![LNO])|[ S]+")
MAX_FILE_BYTES = 32 * 2**20


def kind(character: str) -> str:
    """L for a letter, N for a number, a blank for a blank, S for other white space, O for anything else."""
    if character == " ":
        return " "
    if character.isspace():
        return "S"
    category = unicodedata.category(character)[0]
    return category if category in "LN" else "O"


def split_words(text: str) -> list[str]:
    """The words of a text, each with its blank before it; joined they are the text."""
    kinds = "".join(map(kind, text))
    words, start = [], 0
    while start < len(text):
        short = next((c for c in CONTRACTIONS if text.startswith(c, start)), None)
        if short is not None:
            end = start + len(short)
        else:
            match = WORD.match(kinds, start)
            assert match is not None  # the kinds leave no other character
            end = match.end()
        words.append(text[start:end])
        start = end
    return words


def byte_characters() -> list[str]:
    """The printable character that stands for each byte: itself where it is printable Latin-1."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


class ByteBpe:
    """The tokeniser.

    Args:
        vocabulary: ``vocab.json``, token to number.
        merges: ``merges.txt``, one pair a line, the most frequent first.

    Raises:
        InputError: one of them is something else.
    """

    def __init__(self, vocabulary: Path, merges: Path) -> None:
        self.path = vocabulary
        self.numbers = read_vocabulary(vocabulary)
        self.ranks = read_merges(merges)
        self.words: dict[str, list[int]] = {}

    @cached_property
    def characters(self) -> list[str]:
        return byte_characters()

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's tokens, without marks of beginning and end."""
        return [number for word in split_words(text) for number in self.encode_word(word)]

    def encode_word(self, word: str) -> list[int]:
        if word not in self.words:
            symbols = self.merge([self.characters[byte] for byte in word.encode("utf-8", "replace")])
            try:
                self.words[word] = [self.numbers[symbol] for symbol in symbols]
            except KeyError as error:
                raise InputError(
                    f"has no token {error}; it does not belong to its merges", where=self.path
                ) from error
        return self.words[word]

    def merge(self, symbols: list[str]) -> list[str]:
        """Merge the pair of lowest rank, everywhere, until no neighbours are a pair."""
        while len(symbols) > 1:
            pairs = set(pairwise(symbols))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged: list[str] = []
            for symbol in symbols:
                # A symbol that was just merged is longer than either half, so it never merges twice.
                if merged and (merged[-1], symbol) == best:
                    merged[-1] += symbol
                else:
                    merged.append(symbol)
            symbols = merged
        return symbols


def read_small(path: Path) -> str:
    """A text file of a size that a tokeniser's files have."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"has {path.stat().st_size} bytes, too many for a tokeniser's file", where=path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", where=path) from error


def read_vocabulary(path: Path) -> dict[str, int]:
    """``vocab.json``."""
    try:
        numbers = json.loads(read_small(path))
    except ValueError as error:
        raise InputError(f"is not JSON ({error})", where=path) from error
    if not isinstance(numbers, dict) or not all(isinstance(number, int) for number in numbers.values()):
        raise InputError("is not a vocabulary: expected one object of token to number", where=path)
    return numbers


def read_merges(path: Path) -> dict[tuple[str, str], int]:
    """``merges.txt``: each pair and its rank."""
    lines = read_small(path).split("\n")
    pairs = [tuple(line.split(" ")) for line in lines if line.strip() and not line.startswith("#version")]
    ranks = {(pair[0], pair[1]): rank for rank, pair in enumerate(pairs) if len(pair) == 2}
    if not ranks or len(ranks) != len(pairs):
        raise InputError("is not a list of merges: expected two symbols a line", where=path)
    return ranks
