"""How many threads encode, and how many each of them may use."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from amr.encoders.base import Encoder
from amr.processors import free_processors

GPU_BATCH = 8  # segments at once: some four minutes of yamnet, be they of one recording or of ten


class EncoderThreads(NamedTuple):
    """Threads that encode, and segments that each of them takes at once.

    Args:
        torch_threads: how many torch used inside an operation before; None where that was not changed.
    """

    workers: int
    batch: int
    torch_threads: int | None = None

    def restore(self) -> None:
        """Give torch back the threads that it had."""
        if self.torch_threads is not None:
            sys.modules["torch"].set_num_threads(self.torch_threads)


def set_up_threads(encoder: Encoder, *, on_gpu: bool, workers: int | None) -> EncoderThreads:
    """Prepare the threads; ``workers`` None means one a processor, or one for a GPU.

    The network is loaded here, by one thread, before several use it. Each thread computes alone: networks
    of this size run faster once in each of several threads than once over all processors, and torch's own
    threads wait by spinning: beside busy neighbours that took seven times the processor time.
    """
    count = max(1, workers if workers is not None else 1 if on_gpu else free_processors())
    encoder.encode_audio(np.zeros((1, encoder.identity.window_samples), np.float32))
    torch = sys.modules.get("torch")
    before = None
    if torch is not None and not on_gpu:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
    return EncoderThreads(workers=count, batch=GPU_BATCH if on_gpu else 1, torch_threads=before)
