"""MiniLM's tokeniser: BERT's uncased WordPiece, by the library ``tokenizers``."""

from __future__ import annotations

from collections.abc import Callable

from tokenizers import BertWordPieceTokenizer


def wordpiece(vocabulary: bytes) -> Callable[[str], list[int]]:
    """A function from a text to the ids of its pieces, between [CLS] and [SEP].

    Args:
        vocabulary: the content of a ``vocab.txt``: a piece's line is its id, pieces inside a word start with
            ``##``.
    """
    pieces = vocabulary.decode("utf-8").removesuffix("\n").split("\n")
    tokeniser = BertWordPieceTokenizer({piece: number for number, piece in enumerate(pieces)})

    def ids(text: str) -> list[int]:
        found: list[int] = tokeniser.encode(text.encode("utf-8", "ignore").decode("utf-8")).ids
        return found

    return ids
