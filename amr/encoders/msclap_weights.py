"""The published weights of Microsoft CLAP 2023, ``CLAP_weights_2023.pth``, and its tokeniser."""

from __future__ import annotations

import re
from pathlib import Path

from amr.encoders.clap_common import ClapFiles
from amr.encoders.download import WebFile
from amr.encoders.published import Publication, Tensors
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


class MsClapWeights(ClapFiles):
    """Of Microsoft: GPT-2 reads the text."""

    publication = PUBLICATION
    language_model = "GPT-2"
    word_table = f"{TEXT}.wte.weight"
    marks = (END,)
    real_words = 50_257
    golden_numbers = (15496, 11, 616, 3290, 318, 13779, 50256)
    canonical = staticmethod(canonical)

    def tokenise(self, text: str) -> list[int]:
        """Numbers of a text and of the end, which the package writes behind a blank; cut to 77."""
        inner = self.tokeniser.encode(f"{text} ")[: MAX_TOKENS - 1]
        return [*inner, self.tokeniser.numbers[END]]
