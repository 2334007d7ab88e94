"""Byte-level BPE: its words, its bytes, its merges."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import clap_published as published
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.encoders.bytebpe import ByteBpe, byte_characters, read_merges, read_vocabulary, split_words
from amr.errors import InputError


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> ByteBpe:
    folder = tmp_path_factory.mktemp("bpe")
    published.write_tokeniser(folder, published.roberta_vocabulary())
    return ByteBpe(folder / "vocab.json", folder / "merges.txt")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a dog barks", ["a", " dog", " barks"]),
        ("it's we'll 'tis", ["it", "'s", " we", "'ll", " '", "tis"]),
        ("3 cars, 4x4!", ["3", " cars", ",", " 4", "x", "4", "!"]),
        ("two  blanks", ["two", " ", " blanks"]),
        ("end  ", ["end", "  "]),
        ("tab\tnew\n\nline", ["tab", "\t", "new", "\n", "\n", "line"]),
        ("Vögel — ½ 鳥", ["Vögel", " —", " ½", " 鳥"]),
        ("", []),
    ],
)
def test_words_are_those_of_gpt2(text: str, words: list[str]) -> None:
    """Contractions, then letters, numbers and the rest, each with the blank before it."""
    assert split_words(text) == words


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.text())
def test_words_join_to_the_text(text: str) -> None:
    assert "".join(split_words(text)) == text


def test_bytes_have_the_published_characters() -> None:
    assert byte_characters() == published.alphabet()
    assert byte_characters()[ord(" ")] == "Ġ"


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.text(alphabet=st.sampled_from(" adogbrks'!é鳥\n")))
def test_numbers_decode_to_the_text(bpe: ByteBpe, text: str) -> None:
    symbols = {number: symbol for symbol, number in bpe.numbers.items()}
    written = "".join(symbols[number] for number in bpe.encode(text))
    assert bytes(byte_characters().index(c) for c in written).decode() == text


def slow_merge(symbols: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """One merge at a time: of all neighbours the pair of lowest rank, the leftmost of them."""
    while True:
        known = [(ranks[p], i) for i, p in enumerate(pairwise(symbols)) if p in ranks]
        if not known:
            return symbols
        at = min(known)[1]
        symbols = [*symbols[:at], symbols[at] + symbols[at + 1], *symbols[at + 2 :]]


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.sampled_from("Ġdogbarks"), max_size=14))
def test_merging_equals_the_slow_way(bpe: ByteBpe, symbols: list[str]) -> None:
    assert bpe.merge(list(symbols)) == slow_merge(list(symbols), bpe.ranks)


def test_broken_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "vocab.json"
    for content, message in ((b"[1]", "not a vocabulary"), (b"{", "not JSON"), (b"\xff", "not UTF-8")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_vocabulary(path)
    path.write_text("a b c\n")
    with pytest.raises(InputError, match="not a list of merges"):
        read_merges(path)


def test_a_vocabulary_without_a_byte_is_told(tmp_path: Path) -> None:
    published.write_tokeniser(tmp_path, {"a": 0})
    with pytest.raises(InputError, match="has no token"):
        ByteBpe(tmp_path / "vocab.json", tmp_path / "merges.txt").encode("ab")
