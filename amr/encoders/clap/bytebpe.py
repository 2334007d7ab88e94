"""Byte-level byte-pair encoding, the tokeniser of GPT-2 and of RoBERTa (Radford et al., 2019), by the library
``tokenizers``.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from amr.errors import InputError

MAX_FILE_BYTES = 32 * 2**20


class ByteBpe:
    """The tokeniser.

    Args:
        vocabulary: ``vocab.json``, token to number.
        merges: ``merges.txt``, one pair a line, the most frequent first.

    Raises:
        InputError: one of them is something else, or they do not belong together.
    """

    def __init__(self, vocabulary: Path, merges: Path) -> None:
        for path in (vocabulary, merges):
            if path.stat().st_size > MAX_FILE_BYTES:
                raise InputError(
                    f"has {path.stat().st_size} bytes, too many for a tokeniser's file", where=path
                )
        try:
            self.tokeniser = Tokenizer(BPE.from_file(str(vocabulary), str(merges)))
        except Exception as error:  # the library raises nothing narrower
            raise InputError(
                f"is not a vocabulary of the tokens in {merges} ({error})", where=vocabulary
            ) from error
        self.tokeniser.pre_tokenizer = ByteLevel(add_prefix_space=False)
        self.numbers: dict[str, int] = self.tokeniser.get_vocab()
        missing = sorted(set(ByteLevel.alphabet()) - self.numbers.keys())
        if missing:  # such bytes would be left out without a word
            raise InputError(
                f"has no token {missing[0]!r}, and {len(missing)} bytes have none", where=vocabulary
            )

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's tokens, without marks of beginning and end."""
        numbers: list[int] = self.tokeniser.encode(text.encode("utf-8", "replace").decode("utf-8")).ids
        return numbers
