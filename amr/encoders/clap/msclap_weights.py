"""The published weights of Microsoft CLAP 2023, ``CLAP_weights_2023.pth``, and its tokeniser."""

from __future__ import annotations

import re

from amr.encoders.clap.hub import HubFile
from amr.encoders.clap.weights import ClapWeights

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


class MicrosoftWeights(ClapWeights):
    """Of Microsoft: GPT-2 reads the text."""

    title = "Microsoft CLAP 2023"
    known_files = "CLAP_weights_2023.pth of microsoft/msclap is read"
    variable = "AMR_MSCLAP_WEIGHTS"
    file = HubFile("CLAP_weights_2023.pth", ("microsoft/msclap",))
    unused = UNUSED
    essential = ESSENTIAL
    language_model = "GPT-2"
    tokeniser_repositories = ("openai-community/gpt2", "gpt2")
    word_table = f"{TEXT}.wte.weight"
    marks = (END,)
    real_words = 50_257
    golden_numbers = (15496, 11, 616, 3290, 318, 13779, 50256)

    def tokenise(self, text: str) -> list[int]:
        """Numbers of a text and of the end, which the package writes behind a blank; cut to 77."""
        inner = self.tokeniser.encode(f"{text} ")[: MAX_TOKENS - 1]
        return [*inner, self.tokeniser.numbers[END]]
