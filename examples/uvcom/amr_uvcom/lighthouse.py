"""Lighthouse's checkpoints of UVCOM under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from amr.arrays import AnyArray
from amr.errors import InputError
from amr.models.config import NetworkConfig
from amr.models.lighthouse import INNER_RENAMES
from amr_uvcom.switches import NETWORK

# Their names to ours, tried in order; None for what enters no result (see SentenceSlots, and text positions).
RENAMES: list[tuple[str, str | None]] = [
    (r"input_(vid|txt)_proj\.(\d+)\.LayerNorm\.", r"input_\1.layers.\2.norm."),
    (r"input_(vid|txt)_proj\.(\d+)\.net\.1\.", r"input_\1.layers.\2.linear."),
    (r"global_rep_pos$", r"global_position"),
    (r"global_rep_token$", None),
    (r"query_embed\.weight$", r"anchors"),
    (r"class_embed\.", r"score_head."),
    (r"span_embed\.layers\.", r"span_head.layers."),
    (r"saliency_proj1\.", r"saliency_frame."),
    (r"saliency_proj2\.", r"saliency_global."),
    (r"txt_position_embed\.", None),
    (r"CIM\.t2v_encoder\.layers\.", r"cross."),
    (r"CIM\.v2t_encoder\.layers\.", r"text_cross."),
    (r"CIM\.GKA_Module\.layers\.", r"encoder."),
    (r"CIM\.feature_proj\.", r"sentence."),
    (r"CIM\.txt_mu$", r"text_slots"),
    (r"CIM\.vid_mu$", r"audio_slots"),
    (r"CIM\.conv_local\.0\.", r"local.before."),
    (r"CIM\.conv_local\.1\.", r"local.neighbours."),
    (r"CIM\.conv_local\.2\.", r"local.after."),
    (r"CIM\.sim_vid\.layers\.", r"contrast_audio.layers."),
    (r"CIM\.sim_txt\.layers\.", r"contrast_text.layers."),
    (r"CIM\.processer_for_tgt\.(?:project_[qk]|norm_slots)\.", None),
    (r"CIM\.processer_for_tgt\.norm_inputs\.", r"content.norm_frames."),
    (r"CIM\.processer_for_tgt\.project_v\.", r"content.value."),
    (r"CIM\.processer_for_tgt\.norm_mlp\.", r"content.norm_update."),
    (r"CIM\.processer_for_tgt\.mlp\.layers\.", r"content.update.layers."),
    (r"CIM\.processer_for_tgt\.norm_out\.", r"content.norm."),
    (r"CIM\.decoder\.span_embed\.weight$", r"slot_content"),
    (r"CIM\.decoder\.", r"decoder."),
]
MODALITIES = {"input_vid.": "audio_projection.", "input_txt.": "text_projection."}


def read_lighthouse(
    stored: Mapping[str, AnyArray], options: Mapping[Any, Any], path: Path
) -> tuple[NetworkConfig, dict[str, str | None]]:
    """Configuration and names of a checkpoint: of its options only what the weights' shapes do not tell.

    Raises:
        InputError: it is UVCOM with a part that this one lacks.
        KeyError: a weight is missing, or is none of UVCOM's.
        ValueError: a size that cannot be.
    """
    if any(name.startswith("CIM.moment_fusion.") for name in stored):
        raise InputError("is a UVCOM with cross_fusion, which is not here", where=path)
    hidden, audio_in = stored["input_vid_proj.0.net.1.weight"].shape
    config = replace(
        NETWORK,
        audio_dim=audio_in - 2,
        text_dim=stored["input_txt_proj.0.net.1.weight"].shape[1],
        hidden_dim=hidden,
        heads=options.get("nheads", NETWORK.heads),
        feedforward_dim=stored["CIM.GKA_Module.layers.0.linear1.weight"].shape[0],
        projection_layers=layers_of(stored, r"input_vid_proj\.(\d+)\."),
        cross_layers=layers_of(stored, r"CIM\.t2v_encoder\.layers\.(\d+)\."),
        encoder_layers=layers_of(stored, r"CIM\.GKA_Module\.layers\.(\d+)\."),
        decoder_layers=layers_of(stored, r"CIM\.decoder\.layers\.(\d+)\."),
        queries=stored["query_embed.weight"].shape[0],
        dropout=options.get("dropout", NETWORK.dropout),
        input_dropout=options.get("input_dropout", NETWORK.input_dropout),
        window_frames=options.get("max_v_l", NETWORK.window_frames),
        max_tokens=options.get("max_q_l", NETWORK.max_tokens),
        options={
            "text_slots": stored["CIM.txt_mu"].shape[0],
            "audio_slots": stored["CIM.vid_mu"].shape[0],
            "gather_rounds": options.get("em_iter", 5),
        },
    )
    return config, {name: renamed(name) for name in stored}


def layers_of(stored: Mapping[str, AnyArray], pattern: str) -> int:
    """How many layers have names like ``pattern``."""
    found = (re.match(pattern, name) for name in stored)
    return len({match.group(1) for match in found if match})


def renamed(name: str) -> str | None:
    """Our name of one of their parameters, None for one that enters no result.

    Raises:
        KeyError: it is none of UVCOM's.
    """
    for pattern, ours in RENAMES:
        if ours is None and re.match(pattern, name):
            return None
        new, hits = re.subn("^" + pattern, ours or "", name)
        if hits:
            return _inner(new)
    raise KeyError(name)


def _inner(name: str) -> str:
    """The names inside layers are those of QD-DETR."""
    for theirs, ours in MODALITIES.items():
        name = name.replace(theirs, ours, 1) if name.startswith(theirs) else name
    prefix = "text_" if name.startswith("text_cross.") else ""
    name = name.removeprefix(prefix)
    for pattern, replacement in INNER_RENAMES:
        name = re.sub(pattern, replacement, name)
    return prefix + name
