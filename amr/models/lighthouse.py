"""Checkpoints of Lighthouse and of the DCASE 2026 baseline: their QD-DETR under our names.

Both hold ``{model, optimizer, lr_scheduler, epoch, opt}``. They differ in the name of the audio projection,
in the order of audio and TEF, and in whether text was normalised (Lighthouse: yes; the baseline: no).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.formats.safe_pickle import StoredTensor
from amr.formats.streams import require_readable
from amr.models.checkpoint import UNKNOWN_ENCODER, Checkpoint, first_not_finite, shape_problem
from amr.models.config import NetworkConfig
from amr.models.network import MomentNetwork
from amr.models.pickles import Archive

# The only features published for either: Microsoft CLAP 2023 at this rate, one frame a second.
SAMPLE_RATE_HZ = 44_100
LONGEST_HOP_S = 3600.0

# Their names to ours, tried in order; a name that nothing matches is refused.
RENAMES = [
    (r"input_(?:vid|aud)_proj\.(\d+)\.LayerNorm\.", r"audio_projection.layers.\1.norm."),
    (r"input_(?:vid|aud)_proj\.(\d+)\.net\.1\.", r"audio_projection.layers.\1.linear."),
    (r"input_txt_proj\.(\d+)\.LayerNorm\.", r"text_projection.layers.\1.norm."),
    (r"input_txt_proj\.(\d+)\.net\.1\.", r"text_projection.layers.\1.linear."),
    (r"global_rep_token$", r"global_token"),
    (r"global_rep_pos$", r"global_position"),
    (r"query_embed\.weight$", r"anchors"),
    (r"class_embed\.", r"score_head."),
    (r"span_embed\.layers\.", r"span_head.layers."),
    (r"saliency_proj1\.", r"saliency_frame."),
    (r"saliency_proj2\.", r"saliency_global."),
    (r"txt_position_embed\.position_embeddings\.", r"text_positions.table."),
    (r"txt_position_embed\.LayerNorm\.", r"text_positions.norm."),
    (r"transformer\.t2v_encoder\.layers\.", r"cross."),
    (r"transformer\.encoder\.layers\.", r"encoder."),
    (r"transformer\.decoder\.", r"decoder."),
]
# Names inside the layers.
INNER_RENAMES = [
    (r"^((?:cross|encoder)\.\d+)\.self_attn\.in_proj_(weight|bias)$", r"\1.attention.input.\2"),
    (r"^((?:cross|encoder)\.\d+)\.self_attn\.out_proj\.", r"\1.attention.output."),
    (r"\.linear1\.", r".feedforward.up."),
    (r"\.linear2\.", r".feedforward.down."),
    (r"\.activation\.", r".feedforward.activation."),
    (r"^(decoder\.layers\.\d+)\.sa_qcontent_proj\.", r"\1.query_attention.query_content."),
    (r"^(decoder\.layers\.\d+)\.sa_qpos_proj\.", r"\1.query_attention.query_position."),
    (r"^(decoder\.layers\.\d+)\.sa_kcontent_proj\.", r"\1.query_attention.key_content."),
    (r"^(decoder\.layers\.\d+)\.sa_kpos_proj\.", r"\1.query_attention.key_position."),
    (r"^(decoder\.layers\.\d+)\.sa_v_proj\.", r"\1.query_attention.value."),
    (r"^(decoder\.layers\.\d+)\.self_attn\.out_proj\.", r"\1.query_attention.output."),
    (r"^(decoder\.layers\.\d+)\.ca_qcontent_proj\.", r"\1.frame_attention.query_content."),
    (r"^(decoder\.layers\.\d+)\.ca_qpos_proj\.", r"\1.frame_attention.query_position."),
    (r"^(decoder\.layers\.\d+)\.ca_qpos_sine_proj\.", r"\1.frame_attention.query_sine."),
    (r"^(decoder\.layers\.\d+)\.ca_kcontent_proj\.", r"\1.frame_attention.key_content."),
    (r"^(decoder\.layers\.\d+)\.ca_kpos_proj\.", r"\1.frame_attention.key_position."),
    (r"^(decoder\.layers\.\d+)\.ca_v_proj\.", r"\1.frame_attention.value."),
    (r"^(decoder\.layers\.\d+)\.cross_attn\.out_proj\.", r"\1.frame_attention.output."),
    (r"^decoder\.ref_point_head\.", r"decoder.position."),
    (r"^decoder\.query_scale\.", r"decoder.sine_scale."),
    (r"^decoder\.ref_anchor_head\.", r"decoder.width_scale."),
    (r"^decoder\.bbox_embed\.", r"decoder.refine."),
]


def is_archive(path: str | Path) -> bool:
    """Whether a file starts as torch.save's zip files do; raises ``InputError`` where there is none."""
    require_readable(path)
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def read_lighthouse(path: str | Path, *, lighthouse_mask: bool = False) -> Checkpoint:
    """A ``.ckpt`` of either, read without executing anything.

    Args:
        path: the file.
        lighthouse_mask: repeat the attention mask that lets batch mates into a result.

    Raises:
        InputError: it is not a QD-DETR of theirs on audio, is damaged, or its pickle is more than plain data.
    """
    archive = Archive(path)
    stored, options = _parts(archive)
    config = _config(stored, options, path, lighthouse_mask=lighthouse_mask)
    names = {name: renamed(name, path) for name in stored}
    with torch.device("meta"):
        network = MomentNetwork(config)
    problem = shape_problem(network, {names[name]: tensor.shape for name, tensor in stored.items()})
    if problem:
        raise InputError(f"not a QD-DETR of Lighthouse or the DCASE baseline: {problem}", where=path)
    weights = {names[name]: tensor for name, tensor in archive.tensors(stored).items()}
    unsound = first_not_finite(weights)
    if unsound:
        raise InputError(f"weight {unsound} holds values that are not finite", where=path)
    return Checkpoint(
        config=config,
        weights=weights,
        encoder=_identity(config, options),
        preset="am-detr",
        training=plain_options(options),
    )


def renamed(name: str, path: str | Path) -> str:
    """Our name of one of their parameters."""
    for pattern, ours in RENAMES:
        new, hits = re.subn("^" + pattern, ours, name)
        if hits:
            for inner, replacement in INNER_RENAMES:
                new = re.sub(inner, replacement, new)
            return new
    raise InputError(f"not a QD-DETR of Lighthouse or the DCASE baseline: it has {name}", where=path)


def plain_options(options: Mapping[Any, Any]) -> dict[str, Any]:
    """Their options as far as JSON can hold them, for the record."""
    return {
        str(key): value
        for key, value in options.items()
        if value is None or isinstance(value, bool | int | float | str)
    }


def _parts(archive: Archive) -> tuple[dict[str, StoredTensor], Mapping[Any, Any]]:
    """The described weights and the options; a bare state dictionary has no options."""
    objects = archive.objects
    if not isinstance(objects, dict):
        raise InputError("not a checkpoint: its pickle holds no dictionary", where=archive.path)
    model = objects.get("model", objects)
    options = objects.get("opt", {})
    if not isinstance(model, dict) or not isinstance(options, dict):
        raise InputError("not a checkpoint: 'model' and 'opt' are no dictionaries", where=archive.path)
    name = options.get("model_name", "qd_detr")
    if name != "qd_detr":
        raise InputError(f"holds the network {name!r}, only 'qd_detr' can be imported", where=archive.path)
    stored = {str(key): tensor for key, tensor in model.items() if isinstance(tensor, StoredTensor)}
    if not stored:
        raise InputError("not a checkpoint: it holds no weights", where=archive.path)
    return stored, options


def _config(
    stored: Mapping[str, StoredTensor], options: Mapping[Any, Any], path: str | Path, *, lighthouse_mask: bool
) -> NetworkConfig:
    """Shapes from the weights themselves; from the options only what weights cannot tell."""
    baseline = any(name.startswith("input_aud_proj.") for name in stored)
    audio = "input_aud_proj" if baseline else "input_vid_proj"
    hidden, audio_in = _shape(stored, f"{audio}.0.net.1.weight", 2, path)
    try:
        return NetworkConfig(
            audio_dim=audio_in - 2,
            text_dim=_shape(stored, "input_txt_proj.0.net.1.weight", 2, path)[1],
            hidden_dim=hidden,
            heads=options.get("nheads", NetworkConfig.heads),
            feedforward_dim=_shape(stored, "transformer.encoder.layers.0.linear1.weight", 2, path)[0],
            projection_layers=_count(stored, rf"{audio}\.(\d+)\."),
            cross_layers=_count(stored, r"transformer\.t2v_encoder\.layers\.(\d+)\."),
            encoder_layers=_count(stored, r"transformer\.encoder\.layers\.(\d+)\."),
            decoder_layers=_count(stored, r"transformer\.decoder\.layers\.(\d+)\."),
            queries=_shape(stored, "query_embed.weight", 2, path)[0],
            dropout=options.get("dropout", NetworkConfig.dropout),
            input_dropout=options.get("input_dropout", NetworkConfig.input_dropout),
            window_frames=options.get("max_a_l", NetworkConfig.window_frames),
            max_tokens=options.get("max_q_l", NetworkConfig.max_tokens),
            tef_first=not baseline,
            normalise_audio=True,
            normalise_text=not baseline,
            cross_mask="lighthouse" if lighthouse_mask else "exact",
            unused_text_positions=_shape(stored, "txt_position_embed.position_embeddings.weight", 2, path)[0],
        )
    except ValueError as error:
        raise InputError(str(error), where=path) from error


def _shape(stored: Mapping[str, StoredTensor], name: str, dims: int, path: str | Path) -> tuple[int, ...]:
    shape = stored[name].shape if name in stored else ()
    if len(shape) != dims:
        raise InputError(f"not a QD-DETR of Lighthouse or the DCASE baseline: no {name}", where=path)
    return shape


def _count(stored: Mapping[str, StoredTensor], pattern: str) -> int:
    """How many layers have names like ``pattern``."""
    found = (re.match(pattern, name) for name in stored)
    return len({match.group(1) for match in found if match})


def _identity(config: NetworkConfig, options: Mapping[Any, Any]) -> EncoderIdentity:
    """Unknown but for its sizes: neither file says which weights made its features."""
    hop_s = options.get("clip_length", 1)
    known = isinstance(hop_s, int | float) and 0 < hop_s < LONGEST_HOP_S
    samples = round(hop_s * SAMPLE_RATE_HZ) if known else SAMPLE_RATE_HZ
    return EncoderIdentity(
        name=UNKNOWN_ENCODER,
        weights_sha256="",
        sample_rate_hz=SAMPLE_RATE_HZ,
        window_samples=samples,
        hop_samples=samples,
        dimension=config.audio_dim,
        text_dimension=config.text_dim,
        joint_dimension=0,
    )
