"""Presets: the published systems, and ours, as a network, a loss and a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from amr.models.config import NetworkConfig
from amr.models.matching import MatchingCost
from amr.models.score_losses import LossConfig
from amr.models.targets import RelevantWindows

Wordings = Literal["own", "paraphrases", "label"]


@dataclass(frozen=True)
class Recipe:
    """How a system was trained, as published.

    Args:
        learning_rate, weight_decay: AdamW's.
        epochs: passes over the training set.
        batch_size: pairs of stretch and query a step.
        schedule: of the learning rate over the epochs.
        final_learning_rate: where a cosine schedule ends.
        gradient_clip: largest norm of all gradients together.
        precision: of the forward pass; ``auto`` is bfloat16 where that is fast, else float32.
        span_jitter: largest shift of a target's ends, as a part of its width.
        relevant_windows: which windows label frames as relevant.
        max_windows: most targets an item; which are kept is drawn at random.
        warmup_steps, ema_decay, absent_share, crop_share, wordings: see
            :class:`amr.training.settings.TrainSettings`; the published systems have none of them.
        seed: of every draw.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    epochs: int = 200
    batch_size: int = 32
    schedule: Literal["constant", "cosine"] = "constant"
    final_learning_rate: float = 1e-6
    gradient_clip: float = 0.1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    span_jitter: float = 0.0
    relevant_windows: RelevantWindows = "all"
    max_windows: int = 5
    warmup_steps: int = 0
    ema_decay: float = 0.0
    absent_share: float = 0.0
    crop_share: float = 0.0
    wordings: Wordings = "paraphrases"
    seed: int = 2023


@dataclass(frozen=True)
class Preset:
    """A system: what is built, what is minimised, how it is trained."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    recipe: Recipe = field(default_factory=Recipe)


# QD-DETR as the AM-DETR paper uses it; every default is that system's.
AM_DETR = Preset(network=NetworkConfig(unused_text_positions=32))

# The report's reading wherever report and code disagree; docs/models.md has the table.
LCS_DETR = Preset(
    network=NetworkConfig(
        tef="learned",
        gate="values",
        gate_pooling="mean",
        continuity="features",
        plain_cross=False,
        saliency="gate",
    ),
    loss=LossConfig(
        matching=MatchingCost(class_cost="focal"),
        score_loss="focal",
        focal_alpha_on="background",
        saliency=0.0,
        negatives=False,
    ),
    recipe=Recipe(batch_size=2000, schedule="cosine", precision="bfloat16", span_jitter=0.1, seed=17771),
)

# The reading of LCS-DETR's code, on each switch.
LCS_DETR_CODE = Preset(
    network=NetworkConfig(
        gate="rows",
        gate_pooling="attention",
        continuity="saliency",
        plain_cross=True,
        amplifier=True,
        negatives_bypass_gate=True,
    ),
    loss=LossConfig(score_loss="focal", focal_alpha_on="foreground"),
    recipe=Recipe(batch_size=2000, schedule="cosine", relevant_windows="first", seed=17771),
)

# Ours: what measured best on sounds held out of training; docs/models.md has the table.
BEST = Preset(
    network=NetworkConfig(
        hidden_dim=192,
        feedforward_dim=384,
        encoder_layers=6,
        input_dropout=0.3,
        tef="none",
        plain_cross=False,
        similarity_channels=2,
        proposing="frames",
        prototypes=3072,
        prototype_axes=256,
    ),
    loss=LossConfig(
        l1=0.3,
        overlap=1.0,
        score=1.0,
        saliency=0.3,
        score_loss="quality_focal",
        negatives=False,
    ),
    recipe=Recipe(
        learning_rate=2e-3,
        weight_decay=1e-2,
        epochs=14,
        schedule="cosine",
        gradient_clip=1.0,
        max_windows=1000,
        warmup_steps=100,
        ema_decay=0.998,
        absent_share=0.3,
        crop_share=0.35,
        wordings="label",
        seed=2026,
    ),
)

PRESETS = {"am-detr": AM_DETR, "lcs-detr": LCS_DETR, "lcs-detr-code": LCS_DETR_CODE, "best": BEST}


def sized(preset: Preset, *, audio_dim: int, text_dim: int) -> Preset:
    """The preset for features of other sizes than the published 768."""
    return replace(preset, network=replace(preset.network, audio_dim=audio_dim, text_dim=text_dim))
