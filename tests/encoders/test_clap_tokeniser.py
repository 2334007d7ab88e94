"""Byte-level BPE: its words, its bytes, its merges."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import clap_published as published
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.encoders.clap.bytebpe import MAX_FILE_BYTES, ByteBpe
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
def test_words_are_those_of_gpt2(bpe: ByteBpe, text: str, words: list[str]) -> None:
    """Contractions, then letters, numbers and the rest, each with the blank before it; none merges."""
    apart = [bytes_of(symbol).decode() for symbol, _ in bpe.tokeniser.pre_tokenizer.pre_tokenize_str(text)]
    assert apart == words
    assert bpe.encode(text) == [number for word in words for number in bpe.encode(word)]


def bytes_of(symbols: str) -> bytes:
    """The bytes that the printable characters stand for."""
    return bytes(published.alphabet().index(symbol) for symbol in symbols)


@settings(max_examples=100)
@given(st.text() | st.text(alphabet=st.sampled_from(" adogbrks'!é鳥\n")))
def test_numbers_decode_to_the_text(bpe: ByteBpe, text: str) -> None:
    symbols = {number: symbol for symbol, number in bpe.numbers.items()}
    assert bytes_of("".join(symbols[number] for number in bpe.encode(text))).decode() == text


def slow_merge(symbols: list[str]) -> list[str]:
    """One merge at a time: of all neighbours the pair of lowest rank, the leftmost of them."""
    while True:
        pairs = [f"{first} {second}" for first, second in pairwise(symbols)]
        known = [(published.MERGES.index(p), i) for i, p in enumerate(pairs) if p in published.MERGES]
        if not known:
            return symbols
        at = min(known)[1]
        symbols = [*symbols[:at], symbols[at] + symbols[at + 1], *symbols[at + 2 :]]


@settings(max_examples=100)
@given(st.text(alphabet=st.sampled_from("dogbarks"), max_size=14))
def test_merging_equals_the_slow_way(bpe: ByteBpe, word: str) -> None:
    """Of one word, behind a blank."""
    assert bpe.encode(f" {word}") == [bpe.numbers[symbol] for symbol in slow_merge(list(f"Ġ{word}"))]


def test_half_characters_are_question_marks(bpe: ByteBpe) -> None:
    assert bpe.encode("a dog\udcff") == bpe.encode("a dog?")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", b"[1]", "Bad vocabulary"),
        ("vocab.json", b"{", "EOF while parsing"),
        ("vocab.json", b"\xff", "valid UTF-8"),
        ("vocab.json", b'{"a": 0}', "out of vocabulary"),
        ("merges.txt", b"a b c\n", "invalid at line 1"),
        ("merges.txt", b"\xff", "valid UTF-8"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    published.write_tokeniser(tmp_path, published.roberta_vocabulary())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"vocab\.json: is not a vocabulary .*{message}"):
        ByteBpe(tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_a_vocabulary_without_a_byte_is_refused(tmp_path: Path) -> None:
    vocabulary = published.roberta_vocabulary()
    del vocabulary["z"]
    published.write_tokeniser(tmp_path, vocabulary)
    with pytest.raises(InputError, match="has no token 'z'"):
        ByteBpe(tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_files_of_any_size_are_not_read(tmp_path: Path) -> None:
    published.write_tokeniser(tmp_path, published.roberta_vocabulary())
    with open(tmp_path / "merges.txt", "r+b") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(InputError, match="too many for a tokeniser"):
        ByteBpe(tmp_path / "vocab.json", tmp_path / "merges.txt")
