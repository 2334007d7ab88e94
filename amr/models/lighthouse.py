"""Checkpoints of Lighthouse and of the DCASE 2026 baseline: QD-DETR and Moment-DETR under our names.

Both hold ``{model, optimizer, lr_scheduler, epoch, opt}``. They differ in the name of the audio projection,
in the order of audio and TEF, and in whether text was normalised (Lighthouse: yes; the baseline: no).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amr.arrays import AnyArray
from amr.encoders.base import EncoderIdentity
from amr.errors import InputError
from amr.formats.foreign_networks import IMPORTED, can_import, checkpoint_parts, network_name
from amr.formats.streams import require_readable
from amr.formats.untrusted.torch_file import is_torch_file, read_torch_file, widened
from amr.models.architectures import find_architecture
from amr.models.build import build_network
from amr.models.checkpoint import Checkpoint, first_not_finite, shapes_of
from amr.models.config import NetworkConfig
from amr.models.model_file import UNKNOWN_ENCODER, shape_problem
from amr.models.presets import PRESETS

# The only features published for either: Microsoft CLAP 2023 at this rate, one frame a second.
SAMPLE_RATE_HZ = 44_100
LONGEST_HOP_S = 3600.0

OUR_PRESETS = {"qd_detr": "am-detr", "moment_detr": "moment-detr"}

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
    (r"saliency_proj\.", r"saliency_frame."),
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
    (r"^(decoder\.layers\.\d+)\.self_attn\.in_proj_(weight|bias)$", r"\1.query_attention.input.\2"),
    (r"^(decoder\.layers\.\d+)\.multihead_attn\.in_proj_(weight|bias)$", r"\1.memory_attention.input.\2"),
    (r"^(decoder\.layers\.\d+)\.multihead_attn\.out_proj\.", r"\1.memory_attention.output."),
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
    return is_torch_file(path)


def read_lighthouse(path: str | Path, *, lighthouse_mask: bool = False) -> Checkpoint:
    """A ``.ckpt`` of either, read without executing anything.

    Args:
        path: the file.
        lighthouse_mask: repeat the attention mask that lets batch mates into a result.

    Raises:
        InputError: it is another network, is damaged, or its pickle is more than plain data.
    """
    require_readable(path)
    stored, options, network_is = _parts(read_torch_file(path, check_sums=True), path)
    preset = OUR_PRESETS.get(network_is, network_is)
    if network_is in OUR_PRESETS:
        config = _config(preset, stored, options, path, lighthouse_mask=lighthouse_mask)
        names: Mapping[str, str | None] = {name: renamed(name, path) for name in stored}
    else:
        config, names = _of_another_package(network_is, stored, options, path)
    kept = {ours: stored[name] for name, ours in names.items() if ours is not None}
    with torch.device("meta"):
        network = build_network(config)
    problem = shape_problem(shapes_of(network), {name: tensor.shape for name, tensor in kept.items()})
    if problem:
        raise InputError(f"not a {network_is} of Lighthouse or the DCASE baseline: {problem}", where=path)
    weights = {name: _tensor(values) for name, values in kept.items()}
    unsound = first_not_finite(weights)
    if unsound:
        raise InputError(f"weight {unsound} holds values that are not finite", where=path)
    return Checkpoint(
        config=config,
        weights=weights,
        encoder=_identity(config, options),
        preset=preset,
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
    raise InputError(f"not a network of Lighthouse or the DCASE baseline: it has {name}", where=path)


def plain_options(options: Mapping[Any, Any]) -> dict[str, Any]:
    """Their options as far as JSON can hold them, for the record."""
    return {
        str(key): value
        for key, value in options.items()
        if value is None or isinstance(value, bool | int | float | str)
    }


def _tensor(values: AnyArray) -> Tensor:
    """A weight in memory of its own, as float32 or whole numbers."""
    tensor = torch.from_numpy(np.array(widened(values)))
    return tensor.float() if tensor.is_floating_point() else tensor


def _of_another_package(
    name: str, stored: Mapping[str, AnyArray], options: Mapping[Any, Any], path: str | Path
) -> tuple[NetworkConfig, Mapping[str, str | None]]:
    """Configuration and names of a network that an installed package reads."""
    read = find_architecture(name).read_lighthouse
    if read is None:
        raise InputError(f"holds the network {name!r}, whose package reads no checkpoints of it", where=path)
    try:
        return read(stored, plain_options(options), Path(path))
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(f"not a {name} of Lighthouse: {error}", where=path) from error


def _parts(objects: object, path: str | Path) -> tuple[dict[str, AnyArray], Mapping[Any, Any], str]:
    """The weights, still in the file, the options, and the network's name."""
    parts = checkpoint_parts(objects)
    if parts is None:
        raise InputError("not a checkpoint: no dictionary of weights and options", where=path)
    model, options = parts
    _plain(options, "model_name", IMPORTED[0], path)
    name = network_name(model, options) or IMPORTED[0]
    if not can_import(name):
        can_be = " and ".join(map(repr, IMPORTED))
        raise InputError(f"holds the network {name!r}, only {can_be} can be imported", where=path)
    if _plain(options, "use_txt_pos", default=False, path=path):
        raise InputError("uses text positions, which this network does not have", where=path)
    stored = {str(key): tensor for key, tensor in model.items() if isinstance(tensor, np.ndarray)}
    if not stored:
        raise InputError("not a checkpoint: it holds no weights", where=path)
    return stored, options, name


def _config(
    preset: str,
    stored: Mapping[str, AnyArray],
    options: Mapping[Any, Any],
    path: str | Path,
    *,
    lighthouse_mask: bool,
) -> NetworkConfig:
    """Shapes from the weights themselves; from the options only what weights cannot tell."""
    baseline = any(name.startswith("input_aud_proj.") for name in stored)
    audio = "input_aud_proj" if baseline else "input_vid_proj"
    hidden, audio_in = _shape(stored, f"{audio}.0.net.1.weight", 2, path)
    cross_layers = _count(stored, r"transformer\.t2v_encoder\.layers\.(\d+)\.")
    try:
        return replace(
            PRESETS[preset].network,
            cross_layers=cross_layers or NetworkConfig.cross_layers,
            audio_dim=audio_in - 2,
            text_dim=_shape(stored, "input_txt_proj.0.net.1.weight", 2, path)[1],
            hidden_dim=hidden,
            heads=_plain(options, "nheads", NetworkConfig.heads, path),
            feedforward_dim=_shape(stored, "transformer.encoder.layers.0.linear1.weight", 2, path)[0],
            projection_layers=_count(stored, rf"{audio}\.(\d+)\."),
            encoder_layers=_count(stored, r"transformer\.encoder\.layers\.(\d+)\."),
            decoder_layers=_count(stored, r"transformer\.decoder\.layers\.(\d+)\."),
            queries=_shape(stored, "query_embed.weight", 2, path)[0],
            dropout=_plain(options, "dropout", NetworkConfig.dropout, path),
            input_dropout=_plain(options, "input_dropout", NetworkConfig.input_dropout, path),
            window_frames=_plain(options, "max_a_l", NetworkConfig.window_frames, path),
            max_tokens=_plain(options, "max_q_l", NetworkConfig.max_tokens, path),
            tef_first=not baseline,
            normalise_audio=True,
            normalise_text=not baseline,
            cross_mask="lighthouse" if lighthouse_mask else "exact",
            unused_text_positions=_shape(stored, "txt_position_embed.position_embeddings.weight", 2, path)[0],
        )
    except ValueError as error:
        raise InputError(str(error), where=path) from error


def _plain(options: Mapping[Any, Any], name: str, default: object, path: str | Path) -> Any:
    """One of the options. Lists in lists are not passed on: they can be endless to write into a message."""
    value = options.get(name, default)
    if value is not None and not isinstance(value, bool | int | float | str):
        raise InputError(f"its option {name} is neither a number nor a word", where=path)
    return value


def _shape(stored: Mapping[str, AnyArray], name: str, dims: int, path: str | Path) -> tuple[int, ...]:
    shape = stored[name].shape if name in stored else ()
    if len(shape) != dims:
        raise InputError(f"not a network of Lighthouse or the DCASE baseline: no {name}", where=path)
    return shape


def _count(stored: Mapping[str, AnyArray], pattern: str) -> int:
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
