"""The published weights of LAION-CLAP under one set of names, whichever file they come from.

The names are those of the original checkpoint (``630k-audioset-best.pt``) without its ``module.``; the hub's
``model.safetensors`` holds the same numbers under other names, with queries, keys and values apart.
"""

from __future__ import annotations

import re

import numpy as np

from amr.encoders.clap.hub import HubFile
from amr.encoders.clap.published import Tensors
from amr.encoders.clap.weights import ClapWeights
from amr.errors import InputError

REPOSITORY = "laion/clap-htsat-unfused"
# Not part of what makes a feature: buffers that follow from the architecture, the front end (computed here),
# the heads for AudioSet, which CLAP's loss never touched, and parts that only training used.
UNUSED = re.compile(
    r"attn_mask$|relative_position_index$|position_ids$|token_type_ids$|num_batches_tracked$|logit_scale"
    r"|spectrogram_extractor|logmel_extractor|tscam_conv|_branch\.head\.|_transform\."
)
# The hub's names to ours, tried in order.
HUB_RENAMES = (
    (r"^audio_model\.audio_encoder\.", "audio_branch."),
    (r"^text_model\.", "text_branch."),
    (r"\.batch_norm\.", ".bn0."),
    (r"^(audio_branch\..*)\.layernorm_before\.", r"\1.norm1."),
    (r"^(audio_branch\..*)\.layernorm_after\.", r"\1.norm2."),
    (
        r"^(audio_branch\..*)\.attention\.self\.relative_position_bias_table$",
        r"\1.attn.relative_position_bias_table",
    ),
    (r"^(audio_branch\..*)\.attention\.self\.(query|key|value)\.", r"\1.attn.\2."),
    (r"^(audio_branch\..*)\.attention\.output\.dense\.", r"\1.attn.proj."),
    (r"^(audio_branch\..*)\.intermediate\.dense\.", r"\1.mlp.fc1."),
    (r"^(audio_branch\..*)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"_projection\.linear1\.", "_projection.0."),
    (r"_projection\.linear2\.", "_projection.2."),
)
ESSENTIAL = (
    "audio_branch.bn0.running_mean",
    "audio_branch.patch_embed.proj.weight",
    "audio_branch.norm.weight",
    "text_branch.embeddings.word_embeddings.weight",
    "text_branch.pooler.dense.weight",
    "audio_projection.0.weight",
    "text_projection.2.weight",
)
FUSION = "audio_branch.patch_embed.mel_conv2d.weight"

FIRST, LAST = "<s>", "</s>"
MAX_TOKENS = 77  # as laion-clap cuts a text, both marks included


def rename_hub(name: str) -> str:
    """A name of the hub's file in the original's words."""
    for pattern, replacement in HUB_RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def join_heads(tensors: Tensors) -> Tensors:
    """Queries, keys and values of the audio network as one matrix, as the original has them."""
    joined = dict(tensors)
    for name in [name for name in tensors if ".attn.query." in name]:
        parts = [joined.pop(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        joined[name.replace(".query.", ".qkv.")] = np.concatenate(parts)
    return joined


class LaionWeights(ClapWeights):
    """Of LAION: RoBERTa reads the text."""

    title = "LAION-CLAP"
    known_files = "weights of laion/clap-htsat-unfused or 630k-audioset-best.pt are read"
    variable = "AMR_CLAP_WEIGHTS"
    file = HubFile("model.safetensors", (REPOSITORY,))
    unused = UNUSED
    essential = ESSENTIAL
    language_model = "RoBERTa"
    tokeniser_repositories = (REPOSITORY, "roberta-base", "FacebookAI/roberta-base")
    word_table = "text_branch.embeddings.word_embeddings.weight"
    marks = (FIRST, LAST)
    real_words = 50_265
    golden_numbers = (31414, 6, 127, 2335, 16, 11962, 0, 2)

    def canonical(self, tensors: Tensors) -> Tensors:
        """What features depend on, by the original's names.

        Raises:
            InputError: it is no LAION-CLAP, or the variant with fusion.
        """
        plain = {name.removeprefix("module."): values for name, values in tensors.items()}
        if any(name.startswith("audio_model.") for name in plain):
            plain = join_heads({rename_hub(name): values for name, values in plain.items()})
        kept = super().canonical(plain)
        if FUSION in kept:
            raise InputError(
                "is LAION-CLAP with fusion, which is not read",
                where=self.path,
                hint="take the unfused weights",
            )
        return kept

    def tokenise(self, text: str) -> list[int]:
        """Numbers of a text with both marks, cut to 77 as laion-clap does."""
        numbers = self.tokeniser.numbers
        inner = self.tokeniser.encode(text)[: MAX_TOKENS - 2]
        return [numbers[FIRST], *inner, numbers[LAST]]
