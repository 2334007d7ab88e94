"""The published weights of Microsoft CLAP 2023, ``CLAP_weights_2023.pth``, and its tokeniser."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from amr.encoders.bytebpe import ByteBpe
from amr.encoders.download import WebFile
from amr.encoders.published import (
    Publication,
    Tensors,
    digest_tensors,
    find_file,
    find_weights,
    read_published,
)
from amr.errors import InputError

REPOSITORIES = ("gpt2", "openai-community/gpt2")
GPT2 = "https://huggingface.co/openai-community/gpt2/resolve/main"
PUBLICATION = Publication(
    name="msclap",
    variable="AMR_MSCLAP_WEIGHTS",
    weights=WebFile(
        "CLAP_weights_2023.pth",
        "https://huggingface.co/microsoft/msclap/resolve/main/CLAP_weights_2023.pth",
        hub_names=("microsoft/msclap",),
    ),
    vocabulary=WebFile("vocab.json", f"{GPT2}/vocab.json", hub_names=REPOSITORIES),
    merges=WebFile("merges.txt", f"{GPT2}/merges.txt", hub_names=REPOSITORIES),
)

AUDIO = "audio_encoder.base.htsat"
TEXT = "caption_encoder.base"
AUDIO_PROJECTION, TEXT_PROJECTION = "audio_encoder.projection", "caption_encoder.projection"
MEL_MATRIX = f"{AUDIO}.logmel_extractor.melW"
# As for LAION-CLAP; the mel filters stay, because the checkpoint decides them.
UNUSED = re.compile(
    r"attn_mask$|relative_position_index$|num_batches_tracked$|logit_scale|spectrogram_extractor"
    r"|tscam_conv|htsat\.head\.|\.attn\.(bias|masked_bias)$"
)
ESSENTIAL = (f"{AUDIO}.norm.weight", f"{TEXT}.wte.weight", f"{AUDIO_PROJECTION}.linear1.weight")

REAL_WORDS = 50_257
GOLDEN_TEXT = "Hello, my dog is cute"
GOLDEN_NUMBERS = [15496, 11, 616, 3290, 318, 13779]
END = "<|endoftext|>"
PADDING_NUMBER = 0  # the package pads with "!", token 0, and finds the end of a text by counting the others
MAX_TOKENS = 77


def canonical(tensors: Tensors, path: Path) -> Tensors:
    """What features depend on.

    Raises:
        InputError: it is no Microsoft CLAP of 2023.
    """
    kept = {name: values for name, values in tensors.items() if not UNUSED.search(name)}
    missing = [name for name in ESSENTIAL if name not in kept]
    if missing:
        raise InputError(
            f"is not Microsoft CLAP 2023: it has no {missing[0]}",
            where=path,
            hint=f"take {PUBLICATION.weights.url}",
        )
    return kept


class MsClapWeights:
    """The weights and the tokeniser, each found and opened when first asked for.

    Args:
        given: a file, or a folder of files; None: ``AMR_MSCLAP_WEIGHTS``, else the cache or a fetched file.
    """

    def __init__(self, given: str | None) -> None:
        self.given = given

    @cached_property
    def path(self) -> Path:
        return find_weights(PUBLICATION, self.given)

    @cached_property
    def tensors(self) -> Tensors:
        return canonical(read_published(self.path), self.path)

    @cached_property
    def sha256(self) -> str:
        """Of the numbers, not of the file."""
        return digest_tensors(self.tensors)

    def below(self, prefix: str) -> Tensors:
        """The tensors whose names begin with ``prefix.``, without it."""
        start = f"{prefix}."
        return {name[len(start) :]: values for name, values in self.tensors.items() if name.startswith(start)}

    @cached_property
    def tokeniser(self) -> ByteBpe:
        """GPT-2's, checked against the weights."""
        vocabulary = find_file(PUBLICATION, PUBLICATION.vocabulary, beside=self.path)
        bpe = ByteBpe(vocabulary, find_file(PUBLICATION, PUBLICATION.merges, beside=self.path))
        words = len(self.tensors[f"{TEXT}.wte.weight"])
        if len(bpe.numbers) != words or END not in bpe.numbers:
            raise InputError(
                f"has {len(bpe.numbers)} tokens, the weights have {words}",
                where=vocabulary,
                hint=f"take the vocab.json and merges.txt of GPT-2: {PUBLICATION.vocabulary.url}",
            )
        if words == REAL_WORDS and bpe.encode(GOLDEN_TEXT) != GOLDEN_NUMBERS:
            raise InputError(f"{GOLDEN_TEXT!r} has other numbers than GPT-2's", where=vocabulary)
        return bpe

    def tokenise(self, text: str) -> list[int]:
        """Numbers of a text and of the end, which the package writes behind a blank; cut to 77."""
        inner = self.tokeniser.encode(f"{text} ")[: MAX_TOKENS - 1]
        return [*inner, self.tokeniser.numbers[END]]
