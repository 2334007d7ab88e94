"""The learning rate of a step."""

from __future__ import annotations

import math

from amr.models.train_settings import TrainSettings


def learning_rate(settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    """The learning rate of step ``step`` (from 0).

    Args:
        settings: schedule, its ends and the warm-up.
        step: steps that were made before.
        steps_per_epoch: to know the last step, and the epochs.
    """
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        last = max(1, settings.epochs * steps_per_epoch - 1)
        falling = (1 + math.cos(math.pi * min(step, last) / last)) / 2
        rate = settings.final_learning_rate + (rate - settings.final_learning_rate) * falling
    elif settings.schedule == "step":
        rate *= settings.step_factor ** (step // (steps_per_epoch * settings.step_epochs))
    return rate * min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else rate
