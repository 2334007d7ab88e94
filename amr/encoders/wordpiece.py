"""BERT's uncased WordPiece tokenizer, in plain Python.

The same ids as the ``tokenizers`` library gives for all-MiniLM-L6-v2 (goldens in the tests): clean, split,
strip accents, lower, then the longest known pieces from the left.
"""

from __future__ import annotations

import re
import unicodedata

MAX_WORD_CHARACTERS = 100  # longer words are one [UNK], as in the original
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SPECIAL_PATTERN = re.compile("(" + "|".join(re.escape(token) for token in SPECIAL_TOKENS) + ")")

# Ideographs become words of their own. The sixth range starts where the original's does, not where Unicode's
# does.
IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def is_ideograph(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in IDEOGRAPHS)


def is_punctuation(character: str) -> bool:
    """All ASCII signs count, also those that Unicode calls symbols."""
    ascii_sign = (
        character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    )
    return ascii_sign or unicodedata.category(character).startswith("P")


def clean(text: str) -> str:
    """Control characters away, every kind of blank a space, spaces around ideographs."""
    out = []
    for character in text:
        if character in "\t\n\r" or unicodedata.category(character).startswith("Z"):
            out.append(" ")
        elif character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
            continue
        elif is_ideograph(character):
            out.append(f" {character} ")
        else:
            out.append(character)
    return "".join(out)


def fold(text: str) -> str:
    """Without accents, in lower case; letter by letter, so that a final sigma stays a plain one."""
    bare = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return "".join(character.lower() for character in bare)


def words(text: str) -> list[str]:
    """Words and punctuation marks of a text, folded."""
    spaced = "".join(f" {c} " if is_punctuation(c) else c for c in fold(clean(text)))
    return spaced.split()


class WordPiece:
    """Text to token ids.

    Args:
        vocabulary: the pieces; a piece's line is its id, pieces inside a word start with ``##``.
    """

    def __init__(self, vocabulary: list[str]) -> None:
        self.ids = {piece: number for number, piece in enumerate(vocabulary)}
        self.unknown = self.ids["[UNK]"]
        self.first, self.last = self.ids["[CLS]"], self.ids["[SEP]"]

    def __call__(self, text: str) -> list[int]:
        """The ids of ``text`` between [CLS] and [SEP]."""
        ids = [self.first]
        for part in SPECIAL_PATTERN.split(text):
            if part in SPECIAL_TOKENS:
                ids.append(self.ids[part])
            else:
                ids.extend(piece for word in words(part) for piece in self.pieces(word))
        return [*ids, self.last]

    def pieces(self, word: str) -> list[int]:
        """The longest known pieces of a word from the left; one [UNK] when they do not reach its end."""
        if len(word) > MAX_WORD_CHARACTERS:
            return [self.unknown]
        found: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if prefix + word[start:e] in self.ids), None)
            if end is None:
                return [self.unknown]
            found.append(self.ids[prefix + word[start:end]])
            start = end
        return found


def read_vocabulary(data: bytes) -> list[str]:
    """The pieces of a ``vocab.txt``, one a line."""
    return data.decode("utf-8").removesuffix("\n").split("\n")
