"""A network of torch as a :class:`amr.models.windows.WindowNetwork`: items become padded batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from amr.arrays import FloatingArray
from amr.models.build import Network
from amr.models.config import NetworkConfig
from amr.models.inputs import pad_inputs
from amr.models.spans import to_ends
from amr.models.windows import WindowAnswers, WindowItem

# Windows in one pass.
GPU_BATCH_SIZE = 100
# A processor's cache holds the layers of no more.
CPU_BATCH_SIZE = 16


class TorchWindows:
    """One network on one device.

    Args:
        network: in evaluation mode, on the device.
        device: where it runs.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        self.network = network
        self.device = device
        with torch.inference_mode():
            self._first = network.first_queries()

    @property
    def config(self) -> NetworkConfig:
        return self.network.config

    @property
    def on_gpu(self) -> bool:
        return self.device.type != "cpu"

    @property
    def batch_size(self) -> int:
        return GPU_BATCH_SIZE if self.on_gpu else CPU_BATCH_SIZE

    def answers(self, items: Sequence[WindowItem]) -> list[WindowAnswers]:
        """One answer an item, in order."""
        # Queries of one recording come one after another and share its windows.
        stretches = {item.stretch: item.frames for item in items}
        rows = {stretch: row for row, stretch in enumerate(stretches)}
        curves = [item.curves for item in items if item.curves is not None]
        inputs = pad_inputs(
            list(stretches.values()),
            [item.tokens[: self.config.max_tokens] for item in items],
            curves or None,
            [item.middles for item in items],
            [rows[item.stretch] for item in items] if len(rows) < len(items) else None,
            meanings(items),
        )
        with torch.inference_mode():
            outputs = self.network(inputs.to(self.device), first=self._first)
            ends = to_ends(outputs.spans[-1]).cpu().numpy()
            logits = outputs.score_logits[-1].cpu().numpy()
            saliency = outputs.saliency.cpu().numpy()
        return [WindowAnswers(*each) for each in zip(ends, logits, saliency, strict=True)]


def meanings(items: Sequence[WindowItem]) -> list[FloatingArray] | None:
    """What each item sounds like, NaN where its tokens are to say it; None where they all are."""
    known = next((item.meaning for item in items if item.meaning is not None), None)
    if known is None:
        return None
    blank = np.full_like(known, np.nan)
    return [blank if item.meaning is None else item.meaning for item in items]
