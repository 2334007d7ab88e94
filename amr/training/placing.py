"""Where a training set lies: on the GPU when it fits there beside the training itself."""

from __future__ import annotations

from dataclasses import replace

import torch

from amr.training.corpus import Corpus, Packed

GPU_SHARE = 0.4
"""Part of a GPU's free memory that features may take; the rest is for activations."""


def placed(corpus: Corpus, device: torch.device) -> Corpus:
    """The corpus with its frames and tokens on ``device`` where they fit; else as it is."""
    if device.type != "cuda":
        return corpus
    free_bytes, _ = torch.cuda.mem_get_info(device)
    wanted = sum(packed.values.nbytes for packed in (corpus.frames, corpus.tokens))
    if wanted > GPU_SHARE * free_bytes:
        return corpus
    return replace(corpus, frames=moved(corpus.frames, device), tokens=moved(corpus.tokens, device))


def moved(packed: Packed, device: torch.device) -> Packed:
    """The same vectors on another device."""
    return Packed(packed.values.to(device), packed.start)
