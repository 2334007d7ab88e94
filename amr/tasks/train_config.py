"""The configuration of a training: a preset or model, a TOML file, settings by name; later ones win."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amr.errors import InputError, UsageError
from amr.formats.streams import open_input
from amr.formats.untrusted.bounds import (
    MOST_SETTINGS_BYTES,
    read_whole,
    require_shallow,
    require_short_keys,
)
from amr.models.architectures import preset_names
from amr.models.checkpoint import Checkpoint
from amr.training.advice import fitted, require_learnable
from amr.training.plan import DEFAULT_PRESET, TrainingPlan, flat, nested


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        InputError: it is none.
    """
    with open_input(path) as file:
        data = read_whole(file, str(path), MOST_SETTINGS_BYTES)
    try:
        text = data.decode("utf-8")
        require_short_keys(text)
        found: dict[str, Any] = tomllib.loads(text)
        require_shallow(found)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not TOML: {' '.join(str(error).split())}", where=path) from error
    return found


def known_preset(start: Checkpoint | None) -> str:
    """The preset whose recipe is followed where none is named."""
    if start is None:
        return DEFAULT_PRESET
    return start.preset if start.preset in preset_names() else "am-detr"


def make_plan(
    *,
    preset: str | None,
    start: Checkpoint | None,
    config: Path | None,
    settings: Mapping[str, Any],
    training: Mapping[str, Any],
    dims: tuple[int, int],
    items: int | None = None,
    has_joint_space: bool = True,
) -> TrainingPlan:
    """The effective configuration.

    Args:
        preset: name of a published system; None for that of the file, of ``start``, or the default.
        start: model whose network is taken.
        config: TOML file.
        settings: of any section, by name (``network.gate``) or nested.
        training: fields of the training settings.
        dims: sizes of the features' frames and tokens.
        items: annotations to learn from, for which a published batch may be too large; None: keep it.
        has_joint_space: whether the features' encoder tells how near a frame is to a sentence. The default
            preset goes without similarities where it does not.

    Raises:
        UsageError: a setting that is unknown or cannot be. InputError: the file is broken.
    """
    file = read_toml(config) if config is not None else {}
    named = preset or file.get("preset")
    plan = TrainingPlan.of_preset(str(named or known_preset(start)))
    if items is not None:
        plan = fitted(plan, items)
    if start is not None:
        plan = plan.with_fields({"network": start.config.uncalibrated().to_fields()}, "--init")
    else:
        if plan.network.audio:
            plan = plan.with_fields({"network": {"audio_dim": dims[0], "text_dim": dims[1]}}, "--features")
        if not (named or has_joint_space):
            plan = plan.with_fields({"network": {"similarity_channels": 0}}, "--features")
    plan = plan.with_fields(file, str(config))
    try:
        require_shallow(settings)
        plan = plan.with_fields(nested(flat(settings)), "--set")
    except ValueError as error:
        raise UsageError(str(error), where="--set") from error
    plan = plan.with_fields({"training": training}, "options")
    require_learnable(plan)
    return plan
