"""Whether a network listens: its figures with the right query for each recording, and with another one.

A network that has not learned what a sentence means answers both alike, with the spans that fit best without
listening; its loss falls all the same. That can go on for a whole training, and no other figure shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr.training.batches import find_negatives
from amr.training.dataset import Dataset
from amr.training.step import Stepper
from amr.training.validate import evaluate

ITEMS = 96
"""Annotations that are asked about, evenly spread; of mAP twice its standard error is then about 5 points."""
LEAST_ITEMS = 20
"""Fewer tell nothing."""
DEAF_BELOW = 1.2
"""A network is called deaf while mAP with the right texts is less than so many times that with other texts.
Networks that learned had 1.29 and more, others 1.0 at most (docs/default-model.md, "Do they listen")."""


@dataclass(frozen=True)
class Exchange:
    """mAP in per cent over the same annotations, asked rightly and with the text of another item."""

    own: float
    other: float

    @property
    def is_deaf(self) -> bool:
        """Whether the text makes no difference that shows."""
        return self.own < DEAF_BELOW * self.other or self.own == 0.0

    def record(self) -> dict[str, float]:
        """As the log has it."""
        return {"own_text_mAP": self.own, "other_text_mAP": self.other}


def exchange(stepper: Stepper, dataset: Dataset) -> Exchange | None:
    """Ask some items of ``dataset`` rightly and wrongly; None where too few of them have another query.

    Args:
        stepper: with the weights that would be kept; every process calls this, and gets the same figures.
        dataset: annotated recordings that were not trained on.
    """
    items = np.flatnonzero(dataset.num_windows > 0)
    if not len(items):
        return None
    items = items[np.linspace(0, len(items) - 1, min(len(items), ITEMS)).astype(np.int64)]
    other = items[find_negatives(dataset, dataset.recording[items], dataset.meaning[items])]
    changed = other != items
    if changed.sum() < LEAST_ITEMS:
        return None
    items, other = items[changed], other[changed]
    texts = [np.array([dataset.wordings[item][0] for item in chosen]) for chosen in (items, other)]
    own_map, other_map = (evaluate(stepper, dataset.asked(items, text))["mAP"] for text in texts)
    return Exchange(own_map, other_map)
