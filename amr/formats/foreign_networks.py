"""Which published network a checkpoint of torch.save holds: as its options say, else by its weights' names.

The names are Lighthouse's, whose training also made the checkpoints of the DCASE 2026 baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from amr.plugins import NETWORKS

IMPORTED = ("qd_detr", "moment_detr")
"""Those that ``amr.models.lighthouse`` can read."""

MARKS = (
    ("cg_detr", "txtproj_encoder."),
    ("eatr", "moment_span_embed."),
    ("uvcom", "CIM."),
    ("tr_detr", "fuser."),
    ("taskweave", "hd_log_var"),
    ("qd_detr", "transformer.t2v_encoder."),
    ("moment_detr", "transformer.decoder.layers.0.multihead_attn."),
)
"""The beginning of a weight's name that tells a network from those below it."""


def can_import(network: str | None) -> bool:
    """Whether its checkpoints can be read here: by us, or by a package that brings a network of that name."""
    return network in IMPORTED or network in NETWORKS.targets()


def checkpoint_parts(objects: object) -> tuple[Mapping[Any, Any], Mapping[Any, Any]] | None:
    """Weights by name, and options, of ``{model, optimizer, lr_scheduler, epoch, opt}``.

    A bare state dictionary has no options. None: it is neither.
    """
    if not isinstance(objects, dict):
        return None
    model, options = objects.get("model", objects), objects.get("opt", {})
    return (model, options) if isinstance(model, dict) and isinstance(options, dict) else None


def network_name(weights: Collection[Any], options: Mapping[Any, Any]) -> str | None:
    """The network's name; None where neither options nor weights tell."""
    named = options.get("model_name")
    if isinstance(named, str):
        return named
    names = [name for name in weights if isinstance(name, str)]
    for network, mark in MARKS:
        if any(name.startswith(mark) for name in names):
            return network
    return None
