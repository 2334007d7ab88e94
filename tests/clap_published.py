"""Checkpoints of the published layouts with seeded random weights at reduced depth and width, and a toy
tokeniser.

The values come from numpy's generator alone, so that the goldens, made once by the original packages, and the
tests see the same weights.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import save_file

from amr.arrays import Float32Array

Array = Float32Array
Tensors = dict[str, Array]


class AudioShape(NamedTuple):
    """HTS-AT's: size of a token in the first stage, blocks and heads of each stage."""

    dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]


class TextShape(NamedTuple):
    """RoBERTa's or GPT-2's."""

    dim: int
    inner: int
    depth: int


DIM, DEPTHS, HEADS = SMALL_AUDIO = AudioShape(16, (2, 2, 1, 1), (1, 2, 4, 8))
PUBLISHED_AUDIO = AudioShape(96, (2, 2, 6, 2), (4, 8, 16, 32))
AUDIO_DIM = DIM * 8
TEXT_DIM, TEXT_INNER, TEXT_DEPTH = SMALL_TEXT = TextShape(128, 256, 2)
PUBLISHED_TEXT_OF_DEPTH_1 = TextShape(768, 3072, 1)
POSITIONS = 90
LAION_JOINT, MICROSOFT_JOINT = 24, 40
WORDS = 290

MERGES = ["Ġ d", "o g", "Ġd og", "Ġ b", "a r", "k s", "Ġb ar", "Ġbar ks", "Ġ a"]


def alphabet() -> list[str]:
    """The printable characters of the 256 bytes, written out independently of the tokeniser."""
    shown = set(range(33, 127)) | set(range(161, 173)) | set(range(174, 256))
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(256)]


def roberta_vocabulary() -> dict[str, int]:
    words = ["<s>", "<pad>", "</s>", "<unk>", *alphabet(), *(merge.replace(" ", "") for merge in MERGES)]
    words += [f"<spare{number}>" for number in range(WORDS - 1 - len(words))] + ["<mask>"]
    return {word: number for number, word in enumerate(words)}


def gpt2_vocabulary() -> dict[str, int]:
    """As GPT-2's, ``!`` is number 0 and the end of a text the last."""
    letters = sorted(alphabet(), key=lambda letter: (letter != "!", letter))
    words = [*letters, *(merge.replace(" ", "") for merge in MERGES)]
    words += [f"<spare{number}>" for number in range(WORDS - 1 - len(words))] + ["<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}


def write_tokeniser(folder: Path, vocabulary: dict[str, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{m}\n" for m in MERGES), encoding="utf-8"
    )


def draw(shapes: dict[str, tuple[int, ...]]) -> Tensors:
    """Weights in which every part matters: matrices of unit gain, biases and scales off their defaults."""
    tensors = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        noise = rng.standard_normal(shape)
        if name.endswith("running_var"):
            values = 100.0 + 10.0 * np.abs(noise)
        elif name.endswith("running_mean"):
            values = -20.0 + noise
        elif len(shape) == 1:
            values = 0.3 * noise + (1.0 if name.endswith("weight") else 0.0)
        else:
            values = noise / np.sqrt(np.prod(shape[1:])) if "embedding" not in name else noise
        tensors[name] = np.asarray(values, np.float32)
    return tensors


def linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, dim: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def htsat_shapes(audio: AudioShape = SMALL_AUDIO) -> dict[str, tuple[int, ...]]:
    """Names as in both checkpoints, below their prefixes."""
    first = audio.dim
    shapes = norm("bn0", 64) | {"bn0.running_mean": (64,), "bn0.running_var": (64,)}
    shapes |= {"patch_embed.proj.weight": (first, 1, 4, 4), "patch_embed.proj.bias": (first,)}
    shapes |= norm("patch_embed.norm", first)
    for stage, (depth, heads) in enumerate(zip(audio.depths, audio.heads, strict=True)):
        dim = first * 2**stage
        for number in range(depth):
            block = f"layers.{stage}.blocks.{number}"
            shapes |= norm(f"{block}.norm1", dim) | norm(f"{block}.norm2", dim)
            shapes |= {f"{block}.attn.relative_position_bias_table": (225, heads)}
            shapes |= linear(f"{block}.attn.qkv", dim, 3 * dim) | linear(f"{block}.attn.proj", dim, dim)
            shapes |= linear(f"{block}.mlp.fc1", dim, 4 * dim) | linear(f"{block}.mlp.fc2", 4 * dim, dim)
        if stage < 3:
            shapes |= {f"layers.{stage}.downsample.reduction.weight": (2 * dim, 4 * dim)}
            shapes |= norm(f"layers.{stage}.downsample.norm", 4 * dim)
    return shapes | norm("norm", first * 8)


def roberta_shapes(text: TextShape = SMALL_TEXT) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (WORDS, text.dim),
        "embeddings.position_embeddings.weight": (POSITIONS, text.dim),
        "embeddings.token_type_embeddings.weight": (1, text.dim),
    }
    shapes |= norm("embeddings.LayerNorm", text.dim)
    for number in range(text.depth):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            shapes |= linear(f"{layer}.attention.self.{part}", text.dim, text.dim)
        shapes |= linear(f"{layer}.attention.output.dense", text.dim, text.dim)
        shapes |= norm(f"{layer}.attention.output.LayerNorm", text.dim)
        shapes |= linear(f"{layer}.intermediate.dense", text.dim, text.inner)
        shapes |= linear(f"{layer}.output.dense", text.inner, text.dim)
        shapes |= norm(f"{layer}.output.LayerNorm", text.dim)
    return shapes | linear("pooler.dense", text.dim, text.dim)


def gpt2_shapes() -> dict[str, tuple[int, ...]]:
    """Matrices are ``(inputs, outputs)``, as published."""
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (WORDS, TEXT_DIM),
        "wpe.weight": (POSITIONS, TEXT_DIM),
    }
    for number in range(TEXT_DEPTH):
        layer = f"h.{number}"
        shapes |= norm(f"{layer}.ln_1", TEXT_DIM) | norm(f"{layer}.ln_2", TEXT_DIM)
        for name, inputs, outputs in (
            ("attn.c_attn", TEXT_DIM, 3 * TEXT_DIM),
            ("attn.c_proj", TEXT_DIM, TEXT_DIM),
            ("mlp.c_fc", TEXT_DIM, TEXT_INNER),
            ("mlp.c_proj", TEXT_INNER, TEXT_DIM),
        ):
            shapes |= {f"{layer}.{name}.weight": (inputs, outputs), f"{layer}.{name}.bias": (outputs,)}
    return shapes | norm("ln_f", TEXT_DIM)


def under(prefix: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def laion_tensors(
    audio: AudioShape = SMALL_AUDIO, text: TextShape = SMALL_TEXT, joint: int = LAION_JOINT
) -> Tensors:
    """What LAION-CLAP's features depend on, by the original's names."""
    shapes = under("audio_branch", htsat_shapes(audio)) | under("text_branch", roberta_shapes(text))
    for side, dim in (("audio", audio.dim * 8), ("text", text.dim)):
        shapes |= linear(f"{side}_projection.0", dim, joint) | linear(f"{side}_projection.2", joint, joint)
    return draw(shapes)


def microsoft_tensors() -> Tensors:
    """What Microsoft CLAP's features depend on, by the names of ``CLAP_weights_2023.pth``."""
    shapes = under("audio_encoder.base.htsat", htsat_shapes()) | under("caption_encoder.base", gpt2_shapes())
    for side, dim in (("audio", AUDIO_DIM), ("caption", TEXT_DIM)):
        projection = f"{side}_encoder.projection"
        shapes |= {f"{projection}.linear1.weight": (MICROSOFT_JOINT, dim)}
        shapes |= {f"{projection}.linear2.weight": (MICROSOFT_JOINT, MICROSOFT_JOINT)}
        shapes |= norm(f"{projection}.layer_norm", MICROSOFT_JOINT)
    return draw(shapes)


def unused_by_features(prefix: str) -> dict[str, torch.Tensor]:
    """What a published checkpoint also holds below the audio network's prefix."""
    return {
        f"{prefix}.bn0.num_batches_tracked": torch.tensor(7),
        f"{prefix}.spectrogram_extractor.stft.conv_real.weight": torch.zeros(3, 1, 4),
        f"{prefix}.layers.0.blocks.1.attn_mask": torch.zeros(2, 4, 4),
        f"{prefix}.layers.0.blocks.0.attn.relative_position_index": torch.zeros(4, 4, dtype=torch.int64),
        f"{prefix}.tscam_conv.weight": torch.zeros(2, AUDIO_DIM, 2, 3),
        f"{prefix}.head.weight": torch.zeros(2, 2),
    }


def write_laion_pt(folder: Path, *, tensors: Tensors | None = None, position_ids: bool = True) -> Path:
    """``630k-audioset-best.pt``: wrapped in ``module.``, with a numpy scalar in it."""
    write_tokeniser(folder, roberta_vocabulary())
    weights = laion_tensors() if tensors is None else tensors
    state = {name: torch.from_numpy(values) for name, values in weights.items()}
    state |= unused_by_features("audio_branch") | {"logit_scale_a": torch.tensor(2.6)}
    state |= {"text_transform.sequential.0.weight": torch.zeros(2, 2)}
    if position_ids:
        state["text_branch.embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    wrapped = {f"module.{name}": values for name, values in state.items()}
    path = folder / "630k-audioset-best.pt"
    saved = {"epoch": 45, "name": "PANN", "best": np.float64(0.5), "state_dict": wrapped}
    torch.save(saved, path, pickle_protocol=4)
    return path


def hub_name(name: str) -> str:
    """The hub's word for a name of the original."""
    for ours, theirs in (
        (".norm1.", ".layernorm_before."),
        (".norm2.", ".layernorm_after."),
        (".attn.proj.", ".attention.output.dense."),
        (".attn.relative", ".attention.self.relative"),
        (".mlp.fc1.", ".intermediate.dense."),
        (".mlp.fc2.", ".output.dense."),
        (".bn0.", ".batch_norm."),
        ("audio_branch.", "audio_model.audio_encoder."),
        ("text_branch.", "text_model."),
        ("_projection.0.", "_projection.linear1."),
        ("_projection.2.", "_projection.linear2."),
    ):
        name = name.replace(ours, theirs)
    return name


def hub_tensors() -> Tensors:
    """The same weights as the hub's ``model.safetensors`` has them."""
    hub: Tensors = {}
    for name, values in laion_tensors().items():
        if ".attn.qkv." in name:
            for part, third in zip(("query", "key", "value"), np.split(values, 3), strict=True):
                hub[hub_name(name.replace(".attn.qkv.", f".attention.self.{part}."))] = third.copy()
        else:
            hub[hub_name(name)] = values
    return hub


def write_hub_folder(folder: Path) -> Path:
    write_tokeniser(folder, roberta_vocabulary())
    path = folder / "model.safetensors"
    extra = {
        "logit_scale_a": np.float32([2.6]),
        "text_model.embeddings.position_ids": np.zeros((1, 4), np.int64),
    }
    save_file({**hub_tensors(), **extra}, path, metadata={"format": "pt"})
    return path


def write_microsoft_pth(folder: Path) -> Path:
    """``CLAP_weights_2023.pth``."""
    write_tokeniser(folder, gpt2_vocabulary())
    state = {name: torch.from_numpy(values) for name, values in microsoft_tensors().items()}
    state |= unused_by_features("audio_encoder.base.htsat") | {"logit_scale": torch.tensor(4.6)}
    state["caption_encoder.base.h.0.attn.bias"] = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    path = folder / "CLAP_weights_2023.pth"
    torch.save({"model": state, "epoch": 1}, path)
    return path


def noise(seconds: float, rate_hz: int, *, seed: int = 0) -> Array:
    """Noise whose colour and loudness change, so that no two seconds are alike."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    time_s = np.arange(count) / rate_hz
    wave = 0.1 * rng.standard_normal(count) * (1.2 + np.sin(2 * np.pi * 0.7 * time_s))
    wave += 0.3 * np.sin(2 * np.pi * (200 + 150 * time_s) * time_s)
    return np.clip(wave, -1.0, 1.0).astype(np.float32)
